"""docs/reliability.md from the tallies of a run: python -m reliability.report TALLY TARGET

What was asked stands in `programme.toml`, what was found in `found.toml`; every count and seed comes from the tallies.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Line = dict[str, Any]
_HEAD = """# Reliability: what was tried, and what came of it

Written by `make test-reliability` from what the tests counted. Tier P has the short figures, of which `make test` runs
some; tier N is the long one, of which `C254_MINUTES` takes a sample. A seed in the tables replays its test:
`C254_SEED=… python -m pytest …`; a case of the simulator replays with
`python -m reliability.simulator --seed … --only …`.
"""


def programme() -> dict[int, Line]:
    """What each test asks, by its number."""
    return {int(number): one for number, one in tomllib.loads((HERE / "programme.toml").read_text()).items()}


def written(lines: list[Line]) -> str:
    """The page."""
    parts = [
        _HEAD,
        _sample(lines),
        "\n".join(_summary(lines)),
        "\n".join(_details(lines)),
        "\n".join(_syncs(lines)),
        *_found(),
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _sample(lines: list[Line]) -> str:
    share = min((line.get("share", 1.0) for line in lines if line["tier"] == "N"), default=1.0)
    return "" if share == 1.0 else f"Tier N was run as a sample here: {share:.1%} of its figures, and no less than P's."


def _summary(lines: list[Line]) -> Iterator[str]:
    yield "## The programme\n"
    yield from _table(("#", "Test", "P asked", "P done", "N asked", "N done", "Failed", "What must hold"))
    for number, one in programme().items():
        mine = [line for line in lines if line["number"] == number]
        done = {tier: _sum(one["counted"], (line for line in mine if line["tier"] == tier)) for tier in "PN"}
        failed = sum(bool(line["failure"]) for line in mine)
        yield _row((number, one["title"], one["asked_P"], done["P"], one["asked_N"], done["N"], failed, one["holds"]))


def _sum(counted: list[str], lines: Iterable[Line]) -> str:
    total = Counter[str]()
    for line in lines:
        total.update({name: line["counts"].get(name, 0) for name in counted})
    return ", ".join(f"{total[name]:,} {name}" for name in counted if total[name]) or "not run"


def _details(lines: list[Line]) -> Iterator[str]:
    yield "## Each test\n"
    yield from _table(("#", "Test", "Tier", "Seed", "Counts", "Seconds", "Failure"))
    plain = [line for line in lines if "mutants" not in line["counts"]]
    for line in sorted(plain, key=lambda line: (line["number"], line["test"], line["tier"] == "N")):
        counts = ", ".join(f"{name} {many:,}" for name, many in line["counts"].items())
        seed = "" if line["seed"] is None else line["seed"]
        yield _row((line["number"], line["test"], line["tier"], seed, counts, line["seconds"], line["failure"]))


def _syncs(lines: list[Line]) -> Iterator[str]:
    mutants = {line["test"]: line for line in lines if "mutants" in line["counts"]}
    caught = sum(line["counts"]["caught"] for line in mutants.values())
    yield "## Each sync of ours taken away\n"
    yield f"{caught} of {len(mutants)} were noticed.\n"
    yield from _table(("Sync", "Noticed", "What a power cut then did"))
    for name, line in sorted(mutants.items()):
        note = line["notes"][0] if line["notes"] else ""
        yield _row((name.removeprefix("without "), "yes" if line["counts"]["caught"] else "no", note))


def _found() -> Iterator[str]:
    yield "## Faults found and mended"
    rows = tomllib.loads((HERE / "found.toml").read_text())["found"]
    told = [_row((one["by"], one["what"], f"`{one['kept_by']}`")) for one in rows]
    yield "\n".join([*_table(("Found by", "What", "Kept from coming back by")), *told])


def _table(heads: tuple[str, ...]) -> Iterator[str]:
    yield _row(heads)
    yield "|" + "---|" * len(heads)


def _row(cells: tuple[object, ...]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


if __name__ == "__main__":
    tallies = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    Path(sys.argv[2]).write_text(written(tallies), "utf-8")
