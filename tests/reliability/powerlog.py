"""Power cuts of the log: transactions on the tearing VFS, a clone at every sync, each clone judged as a restart.

python -m reliability.powerlog FOLDER SEED TRANSACTIONS   → JSON {"states": …, "wrong": […]}
"""

from __future__ import annotations

from . import mutants

mutants.install()

import json  # noqa: E402
import random  # noqa: E402
import shutil  # noqa: E402
import sys  # noqa: E402
from collections import Counter  # noqa: E402
from datetime import UTC, datetime  # noqa: E402
from pathlib import Path  # noqa: E402

import apsw  # noqa: E402

from carbon254.stores.log import Letter, Log, NewRecord, open_log  # noqa: E402

from .disk import VARIANTS, Disk  # noqa: E402
from .tearing import NAME, Tearing  # noqa: E402

NOW = datetime(2025, 7, 1, tzinfo=UTC)
_CHECKPOINT_PAGES = 24


class Cuts:
    """Clones taken while the work goes on, each with what was acknowledged by then."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.live, self._clones, self.chance = folder / "live", folder / "clones", random.Random(seed)
        self.disk, self.acknowledged, self.begun = Disk(), 0, 0
        self.taken: list[tuple[Path, str, int, int]] = []

    def take(self) -> None:
        """One clone a variant, here and now."""
        for variant in VARIANTS:
            clone = self._clones / str(len(self.taken))
            self.disk.crash(clone, variant, self.chance)
            self.taken.append((clone, variant, self.acknowledged, self.begun))


def work(cuts: Cuts, many: int) -> None:
    """`many` transactions on the tearing disk, each of two records, an offset, a state and a letter."""
    cuts.live.mkdir(parents=True)
    before = apsw.vfs_names()[0]
    vfs = Tearing(cuts.live, cuts.disk, cuts.take)
    log = open_log(cuts.live / "log.db")
    log._writer.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    for number in range(many):
        cuts.begun = number + 1
        with log.transaction() as txn:
            body = cuts.chance.randbytes(cuts.chance.choice((10, 3_000, 30_000)))
            txn.append([NewRecord(topic, None, {"n": number}, body) for topic in ("rows.a", "rows.b")])
            txn.commit("c", "raw.a", number + 1)
            txn.put_state("s", str(number), b"1")
            txn.add_letter(Letter(None, "dlq", str(number), 1, "bad", "raw", "parse", "1", NOW))
        cuts.acknowledged = number + 1
        cuts.take()
    log.close()
    cuts.take()
    apsw.set_default_vfs(before)
    vfs.unregister() if hasattr(vfs, "unregister") else None


def judged(clone: Path, acknowledged: int, begun: int) -> str:
    """What is wrong with the clone; empty when nothing is."""
    try:
        log = open_log(clone / "log.db")
        try:
            return _wrong(log, acknowledged, begun)
        finally:
            log.close()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _wrong(log: Log, acknowledged: int, begun: int) -> str:
    problems = log.check()
    rows = Counter(record.headers["n"] for record in log.scan("rows."))
    held = len(rows)
    if problems or set(rows) != set(range(held)) or any(many != 2 for many in rows.values()):
        return f"{problems or 'half a transaction'}: {dict(rows)}"
    parts = (log.offsets("c").get("raw.a", 0), log.count_letters(), sum(_has(log, n) for n in range(begun)))
    if set(parts) != {held}:
        return f"rows of {held} transactions beside (offset, letters, states) {parts}"
    return "" if acknowledged <= held <= begun else f"{held} transactions, {acknowledged} acknowledged, {begun} begun"


def _has(log: Log, number: int) -> bool:
    return log.get_state("s", str(number)) is not None


def main(folder: Path, seed: int, many: int) -> dict[str, object]:
    """Every clone judged. `folder` is emptied."""
    cuts, wrong = Cuts(folder, seed), []
    work(cuts, many)
    for number, (clone, variant, acknowledged, begun) in enumerate(cuts.taken):
        if found := judged(clone, acknowledged, begun):
            wrong.append(f"clone {number} ({variant}): {found}")
        shutil.rmtree(clone)
    shutil.rmtree(folder)
    assert NAME not in apsw.vfs_names()[:1]
    return {"states": len(cuts.taken), "wrong": wrong[:5]}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))) + "\n")
