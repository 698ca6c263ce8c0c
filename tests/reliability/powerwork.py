"""Work on one kind of store, for a trace of its system calls, and the judge of what a power cut left of it.

python -m reliability.powerwork KIND FOLDER ACKS MANY         numbers 0 … MANY-1, each acknowledged by a line in ACKS
python -m reliability.powerwork judge KIND FOLDER SAID …      what is wrong with it, where it needs a process of its own

A number that fails is tried once more and said as `failed N`; the next one comes after it.
"""

from __future__ import annotations

from . import mutants

mutants.install()

import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from .powerstores import KINDS  # noqa: E402


@contextmanager
def _acks(path: Path) -> Any:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    # By a call that no store makes, so that a refused write is the store's and never the acknowledgement's.
    yield lambda text: os.writev(handle, [f"{text}\n".encode()])
    os.close(handle)


def main(kind: str, folder: Path, acks: Path, many: int) -> None:
    """Open, put every number, close. Only a store's own errors are taken; anything else ends the process."""
    from carbon254.errors import Carbon254Error

    clean: tuple[type[Exception], ...] = (OSError, Carbon254Error)
    if kind == "log":
        import apsw

        clean = (*clean, apsw.Error)
    if kind in ("ledger", "metrics", "reference", "lake"):
        from sqlalchemy.exc import DBAPIError

        clean = (*clean, DBAPIError)
    with _acks(acks) as said:
        said("start")
        try:
            store = KINDS[kind](folder)
        except clean as error:
            said(f"unopened {type(error).__name__}")
            return
        said("opened")
        for number in range(many):
            for _ in range(2):
                try:
                    store.put(number)
                except clean as error:
                    said(f"failed {number} {type(error).__name__}")
                else:
                    said(f"done {number}")
                    break
        said("end")
        store.close()


def judged(kind: str, folder: Path, said: Sequence[str]) -> str:
    """What is wrong with the store in the folder, by what had been said; empty when nothing is."""
    done = {int(one.split()[1]) for one in said if one.startswith("done")}
    begun = max((int(one.split()[1]) for one in said if one.split()[0] in ("done", "failed")), default=-1) + 2
    try:
        store = KINDS[kind](folder)
        try:
            held: set[int] = store.held(begun)
        finally:
            store.close()
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    if not done <= held:
        return f"{sorted(done - held)} were acknowledged and are gone"
    return "" if max(held, default=0) < begun else f"{sorted(held)} came from nowhere"


if __name__ == "__main__" and sys.argv[1] == "judge":
    sys.stdout.write(judged(sys.argv[2], Path(sys.argv[3]), sys.argv[4:]))
elif __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
