"""Bars as one SELECT, generated from a dataset's declaration: for what is read now, as of a moment, and to be sealed.

`ohlc_bars` is the union of bars sealed for finished market days (ticks: hours) and of bars computed on read for all
else. Rows find their day by joining `day_changes` (see `changes.py`), so that the engine's idea of a zone decides
nothing. Sums are taken in ascending order of their terms and ties are broken by time alone: the answer does not depend
on the order of rows.

A statement reads each table at one moment (`enable_shared_storage_snapshot_in_query`), the tables in the order in which
they are named first: rows, changes, seals, sealed bars. A writer goes the other way (change before rows, sealed bars
before seal), so a reader that meets rows of a batch meets its change too, and one that meets a seal meets its bars.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from carbon254.model import Dataset
from carbon254.model.bars import Bars
from carbon254.model.ticks import NUMBER_IN_ID

from .as_of import BASES, MOMENT
from .ddl import TABLES, VIEWS
from .frozen import COMPUTED

CHANGES, SEALED, SPANS = (f"{TABLES}.{name}" for name in ("day_changes", "sealed_bars", "bar_widths"))
VIEW = "ohlc_bars"
VALUES = ("open", "high", "low", "close", "mean", "weight", "volume", "count", "expected", "flags")
_SERIES = ("market", "product", "market_run", "location_id", "tenant", "source")
COLUMNS = ("market", "product", "market_run", "location", "location_id", "tenant", "source", "width", "bar_start",
           "bar_end", *VALUES)  # fmt: skip
_DERIVED = "{0} AS build, CAST(toString({0}), 'LowCardinality(String)') AS batch_id"
_MEAN_DECIMALS = 8
_DAY = "1d"
_DAY_S = 86_400
# Which days: those without a seal, those with one, all.
OPEN, COUNTS, ANY = "seal = 0", "seal != 0", "1"


def micros(moment: str) -> str:
    """An instant's expression as µs since 1970."""
    return f"toUnixTimestamp64Micro({moment})"


def units(bars: Bars, state: str, sealed: str = "0") -> str:
    """SELECT of the days (hours of instants) in a state: their run (`k`), span in µs, last change, whether `sealed`."""
    return (
        f"SELECT k, {micros('starts')} AS s, {micros('ends')} AS e, starts, ends, sequence, resolution, "
        f"{sealed} AS sealed FROM {CHANGES} FINAL WHERE grain = '{bars.seal}' AND {state}"
    )


def of_rows(dataset: Dataset, rows: str, widths: str = SPANS) -> str:
    """SELECT of the bars of all widths, made of rows that have found their day (see `current_rows`)."""
    bars = _declared(dataset)
    window = "fromUnixTimestamp64Micro(_us - positiveModulo(_us, seconds * 1000000), 'UTC')"
    begins, ends = window, "bar_start + toIntervalSecond(seconds)"
    if bars.end:
        begins = f"if(seconds = {_DAY_S}, starts, {window})"
        ends = f"if(seconds = {_DAY_S}, max(ends), {ends})"
    priced, price = f"{bars.price} IS NOT NULL", f"assumeNotNull({bars.price})"
    term, weight, total = price, "toFloat64(count)", "count"
    if bars.end:
        term, weight, total = f"{price} * _length / 1000000", f"sumIf(_length, {priced}) / 1000000", "weight"
    volume = "CAST(NULL, 'Nullable(Float64)')"
    if bars.volume:
        quantity = f"{bars.volume} IS NOT NULL"
        volume = f"if(countIf({quantity}) > 0, {_sum(f'assumeNotNull({bars.volume})', quantity)}, NULL)"
    named = [f"{_written(bars.series[name])} AS {name}" for name in _SERIES]
    grouped = ", ".join(dict.fromkeys(bars.series[name] for name in _SERIES if not bars.series[name].startswith("'")))
    return f"""SELECT market, product, market_run, _location AS location, location_id, tenant, source, width, bar_start,
  bar_end, if(count = 0, NULL, _open) AS open, if(count = 0, NULL, _high) AS high,
  if(count = 0, NULL, _low) AS low, if(count = 0, NULL, _close) AS close,
  if({total} > 0, round(_sum / {total}, {_MEAN_DECIMALS}), NULL) AS mean, weight, volume, count,
  toUInt32(if(_every = 0, 0, intDiv(dateDiff('second', bar_start, bar_end), greatest(_every, 1)))) AS expected,
  _flags AS flags, {_DERIVED.format("_changed")}
FROM (
  SELECT {", ".join(named)}, width, argMax({bars.series["location"]}, _order) AS _location, {begins} AS bar_start,
    {ends} AS bar_end, argMinIf({price}, _order, {priced}) AS _open, maxIf({price}, {priced}) AS _high,
    minIf({price}, {priced}) AS _low, argMaxIf({price}, _order, {priced}) AS _close,
    {_sum(term, priced)} AS _sum, toUInt32(countIf({priced})) AS count, {weight} AS weight, {volume} AS volume,
    toUInt32(groupBitOr(flags)) AS _flags, max(resolution) AS _every, max(changed) AS _changed
  FROM (SELECT *, toUInt8(1) AS _one FROM ({rows})) AS r
  INNER JOIN (SELECT width, seconds, toUInt8(1) AS _one FROM {widths}) AS w USING (_one)
  WHERE resolution <= seconds{"" if bars.end else f" AND (seconds = {_DAY_S} OR NOT sealed)"}
  GROUP BY {grouped}, width, seconds, bar_start
)"""


def current_rows(dataset: Dataset, where: str = "1", state: str = OPEN) -> str:
    """The rows that stand of days in a state, each with its day.

    Of a day that nobody revised every row stands. Of another the last version does; it is found by sorting. Of instants
    all hours come, for bars of a day are made of them.
    """
    bars = _declared(dataset)
    table, names = f"{TABLES}.{dataset.name}", _columns(bars)
    if not bars.end:
        return placed(bars, f"{table} FINAL", names, units(bars, ANY, "0" if state == ANY else COUNTS), where)
    latest = ", ".join(f"{name} DESC" for name in (*dataset.version, "value_hash", "payload"))
    every = dict.fromkeys([*names, *dataset.key, *dataset.version, "value_hash", "payload"])
    plain = placed(bars, table, names, units(bars, f"{state} AND revised = 0"), where)
    revised = placed(bars, table, every, units(bars, f"{state} AND revised != 0"), where)
    kept = ", ".join([*names, *_PLACED, "_length"])
    return f"""{plain}
UNION ALL
SELECT {kept} FROM (
  SELECT {kept}, row_number() OVER (PARTITION BY {", ".join(dataset.key)} ORDER BY {latest}) AS _place FROM ({revised})
) WHERE _place = 1"""


_PLACED = ("starts", "ends", "resolution", "changed", "_us", "_order")


def placed(bars: Bars, source: str, names: Iterable[str], days: str, where: str = "1") -> str:
    """Rows of `source` beside the day that they start in, among `days` (see `units`)."""
    scope = f"cityHash64('', '{bars.run}')" if bars.run else "cityHash64(market, market_run)"
    told, us = ", ".join(names), micros(bars.start)
    length = f", {micros(bars.end)} - {us} AS _length" if bars.end else ""
    rest = ", _length" if bars.end else ", d.sealed AS sealed"
    return f"""SELECT {told}, d.starts AS starts, d.ends AS ends, d.resolution AS resolution, d.sequence AS changed,
  _us, _order{rest}
FROM (SELECT {told}, {scope} AS _k, {us} AS _us{length}, {_order(bars)} AS _order FROM {source} WHERE {where}) AS t
ASOF JOIN ({days}) AS d ON t._k = d.k AND t._us >= d.s
WHERE t._us < d.e"""


def views(datasets: Iterable[Dataset]) -> Iterator[tuple[str, str]]:
    """(name, body) of the view of current bars, and of those that take a moment or a settlement run."""
    made = [dataset for dataset in datasets if dataset.bars]
    sealed = f"""SELECT {", ".join(COLUMNS)}, {_DERIVED.format("sequence")}
FROM {SEALED} WHERE seal IN (SELECT seal FROM {CHANGES} FINAL WHERE {COUNTS})"""
    yield VIEW, _union([*(of_rows(one, current_rows(one)) for one in made), sealed])
    yield COMPUTED, _union(of_rows(one, current_rows(one, state=ANY)) for one in made)
    for ending in BASES:
        yield f"{VIEW}_{ending}", _union(_as_known(one, f"{ending}(as_of = {MOMENT})") for one in made)
        # Instants have no settlement runs.
        rung = ending.replace("as_of", "at_rung").replace("as_", "at_rung_")
        at = f"{rung}(rung = {{rung:String}})"
        yield f"{VIEW}_{rung}", _union(_as_known(one, at) for one in made if _declared(one).end)


def _as_known(dataset: Dataset, at: str) -> str:
    """The bars as of a moment: of what was known then, whatever is sealed."""
    bars = _declared(dataset)
    source = f"{VIEWS}.{dataset.name}_{at}"
    return of_rows(dataset, placed(bars, source, _columns(bars), units(bars, ANY)))


def _union(parts: Iterable[str]) -> str:
    names = ", ".join((*COLUMNS, "build", "batch_id"))
    return "\nUNION ALL\n".join(f"SELECT {names} FROM (\n{part}\n)" for part in parts)


def _declared(dataset: Dataset) -> Bars:
    if dataset.bars is None:
        raise ValueError(f"{dataset.name} declares no bars")
    return dataset.bars


def _columns(bars: Bars) -> list[str]:
    """The columns of a row that a bar is made of."""
    named = [name for name in bars.series.values() if not name.startswith("'")]
    ordered = [] if bars.end else ["sequence", "event_id", "received_at", "payload", "position"]
    return list(
        dict.fromkeys([*named, bars.start, *filter(None, [bars.end, bars.volume]), bars.price, "flags", *ordered])
    )


def _order(bars: Bars) -> str:
    """What orders the rows of a window. Of intervals start and length do, as one number: tuples are slow."""
    if bars.end:
        return "intDiv(_us, 1000000) * 1048576 + least(intDiv(_length, 1000000), 1048575)"
    number = f"coalesce(sequence, toUInt64OrNull(extract(event_id, '{NUMBER_IN_ID}')))"
    return (
        f"(_us, {number} IS NOT NULL, ifNull({number}, 0), {micros('received_at')}, CAST(payload, 'String'), "
        "position IS NOT NULL, ifNull(position, 0), event_id)"
    )


def _sum(term: str, where: str) -> str:
    """A sum in ascending order of its terms: sums of doubles depend on their order in the last bits."""
    return f"arraySum(arraySort(groupArrayIf({term}, {where})))"


def _written(value: str) -> str:
    """A naming column of a bar: a column, or a text in the type of such columns."""
    return f"CAST({value}, 'LowCardinality(String)')" if value.startswith("'") else value
