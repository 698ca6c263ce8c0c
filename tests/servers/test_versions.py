"""A server that is too old is told as such, with the setting. These are of today: what is asked of them is raised."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

import servers
from carbon254.errors import SettingsError
from carbon254.stores import postgres
from carbon254.stores.cache import open_cache, redis
from carbon254.stores.reference import open_reference
from servers.plugin import Up
from servers.postgres import Postgres


@pytest.mark.servers("redis")
def test_an_old_redis_is_told_at_the_start(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    url = up("redis", servers.redis).url
    open_cache(url).close()
    monkeypatch.setattr(redis, "OLDEST", 99)
    with pytest.raises(SettingsError, match=r"C254_REDIS_URL: .* is Redis \d.*: 99\.0 or newer is needed$"):
        open_cache(url)


@pytest.mark.servers("postgres")
@pytest.mark.parametrize(("tried", "said"), [(15, "a user that may make tables"), (99, "99 is the oldest that this")])
def test_an_old_postgres_is_told_where_it_refuses(
    up: Up, monkeypatch: pytest.MonkeyPatch, tried: int, said: str
) -> None:
    monkeypatch.setattr(postgres, "TRIED", tried)
    server = up("postgres", servers.postgres)
    assert isinstance(server, Postgres)
    url = server.new_database()
    engine = sa.create_engine(postgres.address(url, "C254_REFERENCE_URL"))
    with engine.begin() as db:
        db.execute(sa.text("ALTER DATABASE " + url.rpartition("/")[2] + " SET default_transaction_read_only = on"))
    engine.dispose()
    with pytest.raises(SettingsError, match=f"C254_REFERENCE_URL: .*read-only.*{said}"):
        open_reference(url, lambda: datetime.now(UTC))
