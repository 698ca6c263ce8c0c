"""URLs of the cache that cannot work: one line that names the setting and what to write, before any server is asked."""

from __future__ import annotations

import pytest

from carbon254.errors import SettingsError
from carbon254.stores.cache import LatestPrices, open_cache
from carbon254.stores.cache.connecting import place


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        ("http://127.0.0.1:6379", "redis://"),
        ("127.0.0.1:6379", "redis://"),
        ("redis://", "host"),
        ("redis://127.0.0.1:port/0", "host"),
        ("redis://127.0.0.1/first", "number"),
        ("redis+sentinel://127.0.0.1:26379", "mymaster"),
        ("rediss://secret:word@127.0.0.1?ssl_cert_reqs=none", "ssl_ca_certs"),
        ("rediss://secret:word@127.0.0.1?ssl_check_hostname=false", "ssl_ca_certs"),
        ("redis://user:secret-word@127.0.0.1:9/0", "start it or change"),
    ],
)
def test_a_url_that_cannot_work_is_named_with_the_fix(url: str, fix: str) -> None:
    with pytest.raises(SettingsError, match=r"^C254_REDIS_URL") as told:
        open_cache(url)
    assert fix in str(told.value) and "secret" not in str(told.value) and "\n" not in str(told.value)


def test_forms_are_read() -> None:
    found = place("rediss+sentinel://ann:p%40ss@a:1,b/desk/3?ssl_ca_certs=/ca.crt")
    assert (found.form, found.tls, found.hosts, found.service, found.database) == (
        "redis+sentinel", True, (("a", 1), ("b", 26379)), "desk", 3,
    )  # fmt: skip
    assert found.credentials == {"username": "ann", "password": "p@ss"}
    assert found.shown == "rediss+sentinel://a:1,b"
    assert place("redis+cluster://a,b:7").hosts == (("a", 6379), ("b", 7))
    assert isinstance(open_cache(), LatestPrices)
