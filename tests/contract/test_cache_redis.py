"""What the cache on Redis promises beyond the contract: writers that agree, an end, trouble that is said and heals."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import servers
from servers.plugin import Up
from test_cache import frame, held, missed, price

from carbon254.errors import SettingsError, TransientError
from carbon254.stores.cache import LatestPrices, open_cache
from carbon254.stores.cache.redis import open_redis

pytestmark = pytest.mark.servers("redis")


def until(what: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return what()


def test_writers_in_any_order_agree_with_one_in_process(up: Up) -> None:
    url, prefix, alone = up("redis", servers.redis).url, uuid.uuid4().hex, LatestPrices()
    rows = [price(place, n, float(n), known) for place in "ABCDE" for n in range(8) for known in range(3)]
    alone.put(frame(*rows))
    caches = [open_redis(url, prefix=prefix) for _ in range(4)]

    def write(number: int) -> None:
        mine = rows[:]
        random.Random(number).shuffle(mine)
        for start in range(0, len(mine), 7):
            caches[number].put(frame(*mine[start : start + 7]))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [held(cache) for cache in caches] == [held(alone)] * 4
    for cache in caches:
        cache.close()


def test_every_value_comes_back_as_it_went_in(up: Up) -> None:
    cache = open_redis(up("redis", servers.redis).url, prefix=uuid.uuid4().hex)
    values = [0.1 + 0.2, -0.0, 1e-300, -1.7976931348623157e308, 5e-324, None]
    places = ['Łódź "hub" \\ |', "a\nb", "'", "{x}", "\x1f", "plain"]
    cache.put(frame(*(price(place, 1, value) for place, value in zip(places, values, strict=True))))
    found = cache.get()
    assert found is not None
    assert dict(zip(found["location"], map(repr, found["lmp"]), strict=True)) == dict(
        zip(places, map(repr, values), strict=True)
    )
    cache.close()


def test_what_nothing_came_for_is_gone_after_its_time(up: Up) -> None:
    cache = open_redis(up("redis", servers.redis).url, timedelta(milliseconds=400), uuid.uuid4().hex)
    cache.put(frame(price("A", 1, 20.0)))
    assert held(cache)
    assert until(lambda: cache.get() is None, 5)
    cache.put(frame(price("A", 0, 10.0)))
    assert held(cache)["A"][1] == 10.0
    cache.close()


def test_a_restart_is_survived_and_watchers_look_again() -> None:
    with servers.redis() as server:
        cache = open_redis(server.url)
        cache.put(frame(price("A", 1, 20.0)))
        cache.fill_done()
        assert cache.filled()
        watch = cache.subscribe()
        server.kill()
        with pytest.raises(TransientError, match="does not answer"):
            cache.put(frame(price("A", 2, 21.0)))
        server.start()
        assert until(lambda: watch.missed >= 2)
        assert cache.get() is None and not cache.filled()
        cache.put(frame(price("A", 2, 21.0)))
        while (news := watch.take(5)) and news[1]["lmp"].to_list() != [21.0]:
            pass
        assert news is not None and held(cache)["A"][1] == 21.0
        cache.close()


def test_a_server_that_hangs_is_given_up_in_time() -> None:
    with servers.redis() as server:
        cache = open_redis(server.url)
        server.pause()
        start = time.monotonic()
        with pytest.raises(TransientError, match="does not answer"):
            cache.get()
        assert time.monotonic() - start < 30
        server.resume()
        assert cache.get() is None
        cache.close()


def test_the_sentinels_replica_takes_over() -> None:
    with servers.sentinel() as (watcher, primary, _):
        cache = open_redis(watcher.url)
        watch = cache.subscribe()
        primary.kill()

        def stored() -> bool:
            try:
                cache.put(frame(price("A", 1, 20.0)))
            except TransientError:
                return False
            return True

        assert until(stored, 40)
        assert held(cache)["A"][1] == 20.0
        later = iter(range(2, 1000))
        assert until(lambda: cache.put(frame(price("A", next(later), 21.0))) or watch.take(0.2) is not None)
        assert watch.missed
        cache.close()


def test_a_cluster_that_lacks_a_node_is_said_and_goes_on_when_it_is_back() -> None:
    with servers.redis_cluster() as nodes:
        cache, seen = open_redis(nodes[0].url), set()
        rows = [{**price("A", 1, float(n)), "market": f"M{n}"} for n in range(12)]
        cache.put(frame(*rows))
        nodes[2].kill()

        def refused() -> bool:
            try:
                cache.get()
            except TransientError as error:
                seen.add(str(error))
            return any("ClusterDown" in one for one in seen)

        assert until(refused, 60), seen
        nodes[2].start()

        def whole() -> bool:
            try:
                cache.put(frame(*rows))
                found = cache.get()
            except TransientError:
                return False
            return found is not None and found.height == 12

        assert until(whole, 60)
        cache.close()


def test_tls_is_checked(tmp_path: Path) -> None:
    with servers.redis_tls() as server:
        cache = open_redis(server.url)
        cache.put(frame(price("A", 1, 20.0)))
        assert held(cache)
        cache.close()
        with pytest.raises(
            SettingsError, match=r"C254_REDIS_URL: rediss://localhost:\d+ does not answer .*certificate"
        ):
            open_redis(server.url.partition("?")[0])
        with pytest.raises(SettingsError, match="does not answer"):
            open_redis(f"redis://localhost:{server.port}")


def test_wrong_credentials_are_said_without_them() -> None:
    with servers.redis(password="right horse") as server:
        cache = open_redis(f"redis://:{quote('right horse')}@127.0.0.1:{server.port}")
        cache.put(frame(price("A", 1, 20.0)))
        cache.close()
        for wrong in (":wrong-secret@", "", "someone:wrong-secret@"):
            with pytest.raises(SettingsError, match=r"^C254_REDIS_URL: .* refuses these credentials: write") as told:
                open_redis(f"redis://{wrong}127.0.0.1:{server.port}/0")
            assert "secret" not in str(told.value)


def test_missed_is_told_apart_from_slow(up: Up) -> None:
    cache = open_redis(up("redis", servers.redis).url, prefix=uuid.uuid4().hex)
    watch = cache.subscribe()
    cache.put(frame(price("A", 1, 20.0)))
    assert watch.take(5) is not None and missed(watch, 0)
    assert open_cache("") is not cache
    cache.close()
