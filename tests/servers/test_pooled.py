"""Postgres behind a pool that lends a connection for one transaction: nothing of ours outlives one."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

import servers
from carbon254.stores.postgres import open_engine
from servers.plugin import Up
from servers.postgres import Pooled


@pytest.mark.servers("postgres", "pgbouncer")
def test_every_reader_gets_the_answer_to_its_own_question(up: Up) -> None:
    """A prepared statement would stay with a connection that somebody else has next."""
    pool = up("pgbouncer", lambda: servers.pgbouncer(up("postgres", servers.postgres)))
    assert isinstance(pool, Pooled)
    url, wrong = pool.new_database(), list[object]()

    def ask(number: int) -> None:
        engine = open_engine(url, "C254_LEDGER_URL")
        question = sa.text(f"SELECT {number} + :more")
        for more in range(100):
            try:
                with engine.begin() as db:
                    found = db.execute(question, {"more": more}).scalar_one()
                if found != number + more:
                    wrong.append((number, more, found))
            except sa.exc.DBAPIError as error:
                wrong.append(error)
        engine.dispose()

    threads = [threading.Thread(target=ask, args=(1_000 * n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
