"""`c254 verify`: is everything stored what was stored, does a receipt still hold; and the proof beside a replay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import DEFAULT_WORKSPACE, AsJson, Workspace, complain, existing, fail, out, progress, say, show, to_read

if TYPE_CHECKING:
    from carbon254.app import Node
    from carbon254.engine.soundness import Soundness
    from carbon254.proof import Proof

_SHOWN = 40


def verify(
    hashes: Annotated[
        bool, typer.Option("--hash", help="Canonical hash of each table, whatever the order of arrival.")
    ] = False,
    receipt: Annotated[
        Path | None, typer.Option("--receipt", help="Derive this receipt's answer again.", exists=True, dir_okay=False)
    ] = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Check everything stored: payloads, log, stores, ledger, quality; harm is named by feed and partition (exit 1).

    It says how much it compared; where there is nothing to compare, nothing is sound (exit 1).
    With --receipt derive an answer again, also after corrections: it is equal, or where it differs is told (exit 1).
    With --hash print the tables' canonical hashes: two workspaces that saw the same arrivals have the same.
    Checking needs the workspace to itself; a receipt may be verified beside a running node.
    Examples: `c254 verify`, `c254 verify --receipt answer.json`
    """
    if receipt is not None:
        _receipt(receipt, workspace, as_json)
    elif hashes:
        _hashes(workspace, as_json)
    else:
        _everything(workspace, as_json)


def _receipt(path: Path, workspace: Path, as_json: bool) -> None:
    import carbon254
    from carbon254.proof import receipt_of

    found = receipt_of(path.read_text("utf-8"))
    with carbon254.open(existing(workspace)) as reader:
        verdict = reader.verify(found)
    if as_json:
        told = {"equal": verdict.equal, "differs": verdict.differs, "notes": verdict.notes, "rows": verdict.rows,
                "payloads": verdict.payloads}  # fmt: skip
        typer.echo(json.dumps(told))
    else:
        for note in verdict.notes:
            say(note)
        for line in verdict.differs:
            complain(line)
    if not verdict.equal:
        fail(f"the answer known at {found.known_at} does not come out again")
    if not as_json:
        out.print(
            f"equal: {verdict.rows:,} rows as known at {found.known_at}, of {verdict.payloads:,} payloads, "
            f"rows {found.rows.hash[:16]}…, data {found.root[:16]}…",
            highlight=False,
        )


def _hashes(workspace: Path, as_json: bool) -> None:
    from carbon254.model import catalogue

    with _opened(workspace) as node:
        rows = [(name, node.hot.count(name), node.hot.hash(name)) for name in catalogue()]
    if as_json:
        typer.echo(json.dumps({name: {"rows": count, "hash": digest} for name, count, digest in rows}))
    else:
        show(("table", "rows", "hash"), rows)


def _everything(workspace: Path, as_json: bool) -> None:
    from carbon254.errors import Carbon254Error, SettingsError
    from carbon254.stores.log import check_file
    from carbon254.workspace import Workspace as Folder

    from .console import settings_of

    # A workspace in use is refused before its files are looked at: they are changing.
    workspace = to_read(workspace)
    folder = Folder(workspace)
    folder.claim()
    folder.release()
    # A harmed log must not be opened for work: what is derived from it would be wrong too.
    file = folder.path("log.db")
    on_kafka = bool(settings_of(workspace).kafka_bootstrap)
    problems = [] if on_kafka else [f"log: {problem}" for problem in check_file(file)]
    compared: dict[str, int] = {}
    if not problems:
        try:
            with _opened(workspace) as node, progress("payloads") as advance:
                asked = soundness(node)
                problems = [str(finding) for finding in asked.findings(advance)]
                compared = {name: n for name, n in asked.compared.items() if n}
                compared |= {"places": node.reference.places().height}
        except SettingsError:
            # Nothing was looked at: this says nothing of the workspace.
            raise
        except (Carbon254Error, RuntimeError, OSError) as error:
            problems.append(f"the workspace cannot be opened: {' '.join(str(error).split())[:300]}")
    payloads = compared.get("payloads", 0)
    if as_json:
        sound = not problems and payloads > 0
        typer.echo(json.dumps({"sound": sound, "payloads": payloads, "compared": compared, "problems": problems}))
    else:
        for problem in problems[:_SHOWN]:
            complain(problem)
    if problems:
        fail(f"{len(problems)} problems")
    if not payloads:
        fail("nothing to compare: the workspace holds no payload; bring one in with: c254 feeds run --feed … --file …")
    if not as_json:
        say("compared: " + ", ".join(f"{n:,} {name}" for name, n in compared.items()))
        out.print(f"{payloads:,} payloads, the log, the hot store and the lake are sound", highlight=False)


@contextmanager
def _opened(workspace: Path) -> Iterator[Node]:
    from carbon254.app import open_node

    from .console import secrets, settings_of

    with open_node(settings_of(to_read(workspace)), secrets()) as node:
        node.catch_up()
        yield node


def soundness(node: Node) -> Soundness:
    """The witnesses of an open node."""
    from carbon254.engine.soundness import Soundness
    from carbon254.pipeline import sources

    pipeline = node.pipeline
    return Soundness(
        node.log, node.raw, node.hot, node.lake, node.ledger, pipeline.normaliser, pipeline.prover, sources(),
        {"quality": node.quality, "verdict": pipeline.days.verdicts},
    )  # fmt: skip


def show_proof(before: Proof, after: Proof, as_json: bool, rows: int, payloads: int) -> None:
    """Both roots, and what differs between them by partition."""
    from carbon254.proof import differences

    changed = differences(before, after)
    if as_json:
        told = {
            "before": before.root,
            "after": after.root,
            "equal": compared(before, after) and before.root == after.root,
            "differs": [{"feed": one.feed, "partition": one.partition, "what": one.what} for one in changed],
            "partitions": [
                {"feed": one.feed, "partition": one.partition, "payloads": len(one.payloads), "code": one.code,
                 "rows": one.rows, "hash": one.hash}
                for one in after.partitions
            ],
            "rows": rows,
            "payloads": payloads,
        }  # fmt: skip
        typer.echo(json.dumps(told))
        return
    names = ("feed", "partition", "payloads", "code", "rows", "rows hash")
    shown = after.partitions[-_SHOWN:]
    show(names, [(p.feed, p.partition, len(p.payloads), p.code[:12], p.rows, p.hash[:24] + "…") for p in shown])
    out.print(f"root before  {before.root}\nroot after   {after.root}", highlight=False)
    for one in changed:
        complain(f"differs: {one}")
    if not changed and compared(before, after):
        kept, held = len(after.partitions), sum(one.rows for one in after.partitions)
        say(f"equal: {kept:,} partitions, {held:,} rows: the raw payloads and this code make exactly what was stored")


def compared(before: Proof, after: Proof) -> bool:
    """Whether two proofs say anything: of no rows they are equal whatever happened."""
    return any(one.rows for proof in (before, after) for one in proof.partitions)
