"""The slow twin: every check said again in plain Python over dicts, with nothing of the engine in it.

Rows are dicts with `start` and `end` (µs or None), `place`, `run`, numbers that may be None, NaN or infinite, `flags`
and `basis`. Answers are (judged, failed, unknown) as counts.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

Row = dict[str, Any]
Counts = tuple[int, int, int]
ROUNDING = 1e-9
LATE, DERIVED = 256, 8


def finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def counted(rows: Sequence[Row], verdict: Any) -> Counts:
    """`verdict(row)` is True (fails), False (holds) or None (unknown)."""
    said = [verdict(row) for row in rows]
    return sum(one is not None for one in said), sum(one is True for one in said), sum(one is None for one in said)


def in_range(rows: Sequence[Row], column: str, low: float, high: float) -> Counts:
    def wrong(row: Row) -> bool | None:
        value = row[column]
        return None if value is None else not (math.isfinite(value) and low <= value <= high)

    return counted(rows, wrong)


def nulls(rows: Sequence[Row], column: str) -> Counts:
    return counted(rows, lambda row: row[column] is None or math.isnan(row[column]))


def late(rows: Sequence[Row]) -> Counts:
    backfills = {row["received"] for row in rows if row["basis"] == "assumed"}
    return counted(rows, lambda row: None if row["received"] in backfills else bool(row["flags"] & LATE))


def inside(rows: Sequence[Row], span: tuple[int, int]) -> Counts:
    def wrong(row: Row) -> bool | None:
        if row["start"] is None or row["end"] is None:
            return None
        return row["start"] < span[0] or row["end"] > span[1]

    return counted(rows, wrong)


def unique(rows: Sequence[Row]) -> Counts:
    seen: Counter[tuple[Any, ...]] = Counter((row["run"], row["place"], row["start"], row["end"]) for row in rows)
    return len(rows), sum(count - 1 for count in seen.values()), 0


def identity(rows: Sequence[Row], parts: Sequence[str], tolerance: float) -> Counts:
    def wrong(row: Row) -> bool | None:
        if not all(finite(row[name]) for name in ("lmp", *parts)) or row["flags"] & DERIVED:
            return None
        rest = row["lmp"]
        for name in parts:
            rest = rest - row[name]
        return abs(rest) > tolerance + ROUNDING

    return counted(rows, wrong)


def share(rows: Sequence[Row], limit: float, floor: float) -> Counts:
    def wrong(row: Row) -> bool | None:
        if not (finite(row["loss"]) and finite(row["energy"])):
            return None
        return abs(row["loss"]) - limit * abs(row["energy"]) > floor

    return counted(rows, wrong)


class Table:
    """Cells of (run, place) × start: the last row of each, among rows of the stream's own width."""

    def __init__(self, rows: Sequence[Row], step: int) -> None:
        self.step = step
        whole = [row for row in rows if None not in (row["start"], row["end"], row["place"], row["run"])]
        self.rows = [row for row in whole if row["end"] - row["start"] == step]
        self.starts = sorted({row["start"] for row in self.rows})
        self.places = sorted({(row["run"], row["place"]) for row in rows if None not in (row["run"], row["place"])})
        self.cells = {((row["run"], row["place"]), row["start"]): row for row in self.rows}

    def value(self, place: tuple[str, str], start: int, column: str = "lmp") -> float | None:
        row = self.cells.get((place, start))
        found = row[column] if row else None
        return None if found is None or math.isnan(found) else found

    def filled(self) -> dict[int, int]:
        return dict(Counter(start for _, start in self.cells))

    def adjacent(self, start: int) -> bool:
        return start - self.step in self.starts


def one_energy(rows: Sequence[Row], step: int, tolerance: float) -> Counts:
    """A group is one market run's interval; with one run the last row of a cell counts, with more every row."""
    table, groups = Table(rows, step), defaultdict(list)
    several = len({row["run"] for row in rows}) > 1
    for row in table.rows if several else table.cells.values():
        groups[row["run"], row["start"]] += [row["energy"]] if finite(row["energy"]) else []
    judged = [known for known in groups.values() if len(known) >= 2]
    failed = sum(max(known) - min(known) > tolerance + ROUNDING for known in judged)
    return len(judged), failed, len(groups) - len(judged)


def stuck(rows: Sequence[Row], step: int, hours: float) -> Counts:
    table = Table(rows, step)
    limit = max(3, round(hours * 3_600_000_000 / step))
    longest = {}
    for place in table.places:
        best = run = 0
        before = None
        for start in table.starts:
            value = table.value(place, start)
            good = finite(value) and value != 0.0
            run = run + 1 if good and run and table.adjacent(start) and value == before else int(good)
            best, before = max(best, run), value
        longest[place] = best
    stood = [place for place in table.places if longest[place] >= limit]
    if len(table.places) < 2 or len(stood) == len(table.places):
        stood = []
    judged = len(table.places) if len(table.starts) >= limit else 0
    return judged, len(stood), len(table.places) - judged


def frozen(rows: Sequence[Row], step: int, minutes: float) -> Counts:
    table = Table(rows, step)
    if len(table.starts) < 2:
        return 0, 0, 0
    limit = max(3, round(minutes * 60_000_000 / step))
    runs: list[list[int]] = [[]]
    for start in table.starts:
        here = {place: table.value(place, start) for place in table.places}
        here = {place: value for place, value in here.items() if finite(value)}
        before = {place: table.value(place, start - step) for place in table.places}
        before = {place: value for place, value in before.items() if finite(value)}
        if table.adjacent(start) and here and here == before:
            runs[-1].append(start)
        else:
            runs.append([])
    judged = sum(table.adjacent(start) for start in table.starts)
    return judged, sum(len(run) for run in runs if len(run) >= limit), len(table.starts) - judged


def spikes(rows: Sequence[Row], step: int, above: float) -> Counts:
    table = Table(rows, step)
    judged = failed = 0
    for start in table.starts:
        if not (table.adjacent(start) and table.adjacent(start + step) and start + step in table.starts):
            continue
        rises, lone = [], []
        for place in table.places:
            before, here, after = (table.value(place, start + shift * step) for shift in (-1, 0, 1))
            if not (finite(before) and finite(here) and finite(after)):
                continue
            judged += 1
            rises.append(here - before)
            if min(abs(here - before), abs(here - after)) > above and (here > before) == (here > after):
                lone.append(here - before)
        failed += sum(abs(rise - middle(rises)) > above for rise in lone)
    return judged, failed, len(table.starts) * len(table.places) - judged


def middle(values: Iterable[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def repeated_blocks(rows: Sequence[Row], step: int, origin: int, block: int) -> tuple[int, int]:
    """(blocks with differing prices, those whose prices an earlier one had at the same places and offsets)."""
    table, blocks = Table(rows, step), defaultdict(dict)
    for (place, start), row in table.cells.items():
        value = row["lmp"]
        if value is not None and not math.isnan(value):
            # With one market run a place is known by its name alone.
            blocks[(start - origin) // block][place, (start - origin) % block] = value
    told = {number: cells for number, cells in sorted(blocks.items()) if len(set(cells.values())) > 1}
    seen: list[dict[Any, float]] = []
    repeats = 0
    for cells in told.values():
        repeats += cells in seen
        seen.append(cells)
    return len(told), repeats


def hub(rows: Sequence[Row], step: int, name: str, members: dict[str, float], tolerance: float) -> Counts:
    table = Table(rows, step)
    by_name = {place: (run, place) for run, place in table.places}
    if len({row["run"] for row in rows}) > 1 or any(place not in by_name for place in (name, *members)):
        return 0, 0, len(table.starts)
    said = []
    for start in table.starts:
        values = {place: table.value(by_name[place], start) for place in (name, *members)}
        if not all(finite(value) for value in values.values()):
            said.append(None)
            continue
        mean = sum(Fraction(values[place]) * Fraction(weight) for place, weight in members.items())
        mean = float(mean / sum(map(Fraction, members.values())))
        said.append(abs(values[name] - mean) > tolerance + ROUNDING)
    return sum(one is not None for one in said), said.count(True), said.count(None)


def profile(values: Sequence[float | None]) -> dict[str, Any]:
    good = [value for value in values if value is not None and math.isfinite(value) and abs(value) < 1e100]
    exact = [Fraction(value) for value in good]
    mean = sum(exact) / len(exact) if exact else None
    spread = math.sqrt(sum((value - mean) ** 2 for value in exact) / len(exact)) if exact else None
    return {
        "count": len(good),
        "nulls": sum(value is None for value in values),
        "low": min(good, default=None),
        "high": max(good, default=None),
        "mean": None if mean is None else float(mean),
        "std": spread,
        "distinct": len(set(good)),
        "sorted": sorted(good),
    }
