"""Postgres, opened one way by all who keep tables there: the ledger, quality, places.

A connection is tried before it is used, so that a server that was restarted meanwhile is found again by itself. One
that is away is told as a TransientError: one line, with the setting and without the password.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy import event, exc

from carbon254.errors import SettingsError, TransientError

_PLAIN = ("postgres", "postgresql")
_DRIVER = "postgresql+psycopg"
TRIED = 15
# Seconds to connect; a host that vanished without a word is given up within half a minute. Nothing is prepared on a
# connection: a pool such as pgBouncer lends another one for the next transaction.
_CONNECTION = {
    "connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
    "tcp_user_timeout": 30_000, "prepare_threshold": None,
}  # fmt: skip


def address(url: str, setting: str) -> sa.URL:
    """A URL of SQLite or Postgres, read; plain `postgres://` and `postgresql://` take the psycopg driver.

    Raises SettingsError naming the setting.
    """
    try:
        read = sa.make_url(url)
    except exc.ArgumentError:
        raise SettingsError(
            f"{setting} is no URL; write postgresql://USER@HOST:PORT/DATABASE or sqlite:///PATH"
        ) from None
    if read.drivername in _PLAIN:
        read = read.set(drivername=_DRIVER)
    if read.get_backend_name() not in ("sqlite", "postgresql"):
        raise SettingsError(
            f"{setting} is SQLite or Postgres, not {read.get_backend_name()}: "
            "write postgresql://USER@HOST:PORT/DATABASE or sqlite:///PATH"
        )
    return read


def open_engine(url: str, setting: str) -> sa.Engine:
    """An engine on a Postgres URL. Raises SettingsError; its calls raise TransientError while the server is away."""
    place = address(url, setting)
    try:
        engine = sa.create_engine(place, pool_pre_ping=True, connect_args=_CONNECTION)
    except ModuleNotFoundError:
        raise SettingsError(f"{setting} needs Postgres's client: pip install 'carbon254[postgres]'") from None
    shown = _shown(place)

    @event.listens_for(engine, "handle_error")
    def _away(context: sa.engine.ExceptionContext) -> None:
        unreached = context.connection is None and isinstance(context.sqlalchemy_exception, exc.OperationalError)
        if (unreached or context.is_disconnect) and not context.is_pre_ping:
            raise TransientError(
                f"the database at {shown} does not answer ({_line(context.original_exception)})"
            ) from None

    return engine


@contextmanager
def opening(engine: sa.Engine, setting: str) -> Iterator[None]:
    """The first use of an engine: what is wrong then is said by its setting. Raises SettingsError."""
    try:
        yield
    except TransientError as error:
        raise SettingsError(f"{setting}: {error}: start it or change {setting}") from None
    except exc.DBAPIError as error:
        if engine.dialect.name != "postgresql":
            raise
        told, version = _line(error.orig), int((engine.dialect.server_version_info or (TRIED,))[0])
        need = "it needs a database of its own, and a user that may make tables"
        if version < TRIED:
            need = f"it is PostgreSQL {version}, and {TRIED} is the oldest that this was tried on"
        raise SettingsError(f"{setting}: {_shown(engine.url)} refuses ({told}): {need}") from None


def answer(engine: sa.Engine) -> None:
    """Raise TransientError where the engine's server does not answer; a file has no server."""
    if engine.dialect.name == "postgresql":
        with engine.connect() as db:
            db.execute(sa.select(1))


def _shown(place: sa.URL) -> str:
    """Where it is; who asks and how stays unsaid."""
    return f"{place.host or 'its socket'}{f':{place.port}' if place.port else ''}/{place.database or ''}"


def _line(error: BaseException | None) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
