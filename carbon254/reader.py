"""Reading a workspace from Python: SQL and prices as Arrow, Polars or pandas.

Where a node is running, it is asked over HTTP; else the workspace is opened here, and closed with the reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import httpx2 as httpx
import pyarrow as pa

from carbon254.api.compared import misspelt
from carbon254.api.folding import folded
from carbon254.api.notary import Verdict
from carbon254.disk import told_of
from carbon254.errors import Carbon254Error, PermanentError, QueryRefused, TransientError, UnknownName
from carbon254.mirror import readable
from carbon254.model import Stream
from carbon254.names import Asked
from carbon254.proof.receipt import Receipt, receipt_of
from carbon254.vintages import Result, Vintages
from carbon254.workspace import Workspace, stored_default

if TYPE_CHECKING:
    from carbon254.app import Node

_QUERY_TIMEOUT_S = 120.0
_NAMES_AT_ONCE = 200
_JSON = {"Content-Type": "application/json"}


class Engine(Protocol):
    """What can answer SQL."""

    def query(self, sql: str) -> pa.Table: ...
    def answer(self, sql: str) -> tuple[pa.Table, Receipt]: ...
    def verify(self, receipt: Receipt) -> Verdict: ...
    def settle(self, names: Asked) -> Asked: ...
    def close(self) -> None: ...


class Reader(Vintages):
    """Reads one workspace."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def sql(self, statement: str, *, receipt: bool = False) -> Result:
        """Run one read-only statement (ClickHouse dialect), with a receipt if asked for. Raises QueryRefused.

        A mean that goes over several market runs is warned of (RunsMixed), and refused with C254_STRICT=1.
        """
        table, given = self._engine.answer(statement) if receipt else (self._engine.query(statement), None)
        mixed = self._mixed(folded(self._engine.query, statement))
        return Result(table, given, mixed or misspelt(self._engine.settle, statement, table))

    def verify(self, receipt: Receipt | str) -> Verdict:
        """Derive a receipt's answer again (the receipt, or its JSON). Raises ReceiptChanged where it was edited."""
        return self._engine.verify(receipt_of(receipt) if isinstance(receipt, str) else receipt)

    def streams(self) -> Mapping[str, Stream]:
        """The feeds' cards, by topic."""
        from carbon254.app import streams

        return streams()

    def settle(self, names: Asked) -> Asked:
        """The names of a question as they are kept. Raises UnknownName with the nearest ones."""
        return self._engine.settle(names)

    def strict(self) -> bool:
        """Whether an answer that mixes market runs is refused: C254_STRICT, read when the question is asked."""
        from carbon254.settings import load_settings

        return load_settings().strict

    def close(self) -> None:
        """Give the workspace up, if it was opened here."""
        self._engine.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class RemoteEngine:
    """A running node, asked over HTTP."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=_QUERY_TIMEOUT_S, trust_env=False)

    def query(self, sql: str) -> pa.Table:
        answer = self._client.post("/v1/sql", json={"sql": sql, "format": "arrow"})
        if answer.status_code != httpx.codes.OK:
            raise _refused(answer)
        with pa.ipc.open_stream(answer.content) as stream:
            return stream.read_all()

    def answer(self, sql: str) -> tuple[pa.Table, Receipt]:
        answer = self._client.post("/v1/sql", json={"sql": sql, "format": "arrow", "receipt": True})
        if answer.status_code != httpx.codes.OK:
            raise _refused(answer)
        with pa.ipc.open_stream(answer.content) as stream:
            return stream.read_all(), receipt_of(answer.headers["X-Receipt"])

    def settle(self, names: Asked) -> Asked:
        # An address holds only so many names.
        rest = names.locations[_NAMES_AT_ONCE:]
        if rest:
            first = self.settle(replace(names, locations=names.locations[:_NAMES_AT_ONCE]))
            more = self.settle(Asked(first.market, locations=rest))
            return replace(first, locations=(*first.locations, *more.locations))
        given = {name: value for name, value in asdict(names).items() if value}
        if not given:
            return names
        single = {"location": given.pop("locations", ()), **given}
        answer = self._client.get("/v1/names", params={name: value for name, value in single.items() if value})
        if answer.status_code != httpx.codes.OK:
            raise _refused(answer, UnknownName)
        found = answer.json()
        return Asked(**found | {name: tuple(found[name]) for name in ("locations", "series")})

    def verify(self, receipt: Receipt) -> Verdict:
        answer = self._client.post("/v1/receipts/verify", content=receipt.to_json(), headers=_JSON)
        if answer.status_code != httpx.codes.OK:
            raise _refused(answer)
        found = answer.json()
        differs, notes = tuple(found["differs"]), tuple(found["notes"])
        return Verdict(found["equal"], differs, notes, found["rows"], found.get("payloads", 0))

    def close(self) -> None:
        self._client.close()


def _refused(answer: httpx.Response, unknown: type[PermanentError] = QueryRefused) -> Carbon254Error:
    """What the node says: busy for now, `unknown` where it cannot make sense of the question, or never."""
    told = answer.json().get("detail", answer.text) if "json" in answer.headers.get("content-type", "") else answer.text
    busy = answer.status_code in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)
    if busy:
        return TransientError(told)
    return unknown(told) if answer.status_code == httpx.codes.UNPROCESSABLE_CONTENT else QueryRefused(told)


class LocalEngine:
    """A workspace opened in this process."""

    def __init__(self, node: Node) -> None:
        self._node, self._notary, self._names = node, node.notary(), node.names()

    def query(self, sql: str) -> pa.Table:
        return self._node.hot.query(sql)

    def answer(self, sql: str) -> tuple[pa.Table, Receipt]:
        return self._notary.answer(sql)

    def settle(self, names: Asked) -> Asked:
        return self._names.settle(names)

    def verify(self, receipt: Receipt) -> Verdict:
        return self._notary.verify(receipt)

    def close(self) -> None:
        self._node.close()


def open_reader(workspace: str | Path | None) -> Reader:
    """A reader of `workspace`, also of one that may only be read; where none is named, of `workspace`, else of the
    demo's.

    Raises NoWorkspace where there is none, DiskTrouble where the disk refuses.
    """
    folder = Workspace(Path(workspace) if workspace is not None else stored_default()).existing()
    running = folder.running()
    if running:
        return Reader(RemoteEngine(running.url))
    from carbon254.app import open_node
    from carbon254.settings import load_settings

    with told_of(folder.root):
        return Reader(LocalEngine(open_node(load_settings(workspace=readable(folder.root)), secrets={})))
