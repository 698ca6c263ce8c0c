"""Views that take a moment: what was known then, at a settlement rung, or when the day-ahead gate closed.

`<view>_as_of(as_of = '…')` goes by `known_at`: received live, else published, else assumed from the card.
`<view>_as_of_strict` leaves assumed rows out. `<view>_as_received` goes by `received_at`: what this workspace held.
Each answers as a store would that never saw anything later: the last version of every key, whatever the order in
which the rows came.

The last version is found by grouping and not by sorting: all versions of a key meet in one group, and the whole
version order is packed into one number, so that a group keeps the largest. Over 3 M rows this is twice as fast as
sorting them. Keys are grouped as plain strings: a filter on key columns still reaches the table.
"""

from __future__ import annotations

from collections.abc import Iterator

from carbon254.model import Column, Dataset
from carbon254.model.ladders import known_names

from .cutoffs import GATE, NAME
from .ddl import TABLES, VIEWS

MOMENT = "{as_of:DateTime64(6, 'UTC')}"
# How the name of a view ends, and which rows were known at the moment it is asked about.
BASES = {
    "as_of": "t.known_at {before}",
    "as_of_strict": "t.known_at {before} AND t.known_basis != 'assumed'",
    "as_received": "t.received_at {before}",
}
_VERSION = ("known_at", "revision", "received_at")
# Instants begin in 1900; as unsigned numbers they keep their order.
_SHIFT = 4_611_686_018_427_387_904


def moment_views(dataset: Dataset, history: str) -> Iterator[tuple[str, str]]:
    """(name, body) of a dataset's views that take `as_of`."""
    for ending, known in BASES.items():
        where = known.format(before=f"<= {MOMENT}")
        if dataset.version == _VERSION:
            yield f"{history}_{ending}", standing(dataset, where)
        else:
            where = f"received_at <= {MOMENT}"
            names = ", ".join(dataset.names)
            yield f"{history}_{ending}", f"SELECT {names} FROM {TABLES}.{dataset.name} FINAL WHERE {where}"


def rung_views(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """(name, body) of the views of interval prices that take `rung`; `rung_reached_at` tells when each row's was.

    Rows whose rung is not reached yet are left out. An unknown rung is refused with the known ones.
    """
    joined = f"""{TABLES}.{dataset.name} AS t
  ASOF JOIN (
    SELECT market, starts, ends, reached_at, after_s FROM {NAME} WHERE rung = {{rung:String}}
  ) AS c ON t.market = c.market AND t.interval_start >= c.starts"""
    told = "if(c.after_s = 0, c.reached_at, t.interval_end + toIntervalSecond(c.after_s))"
    listed = known_names().replace("'", "")
    known_rung = (
        f"(SELECT throwIf(count() = 0, 'there is no such rung; write one of {listed}') FROM {NAME} "
        "WHERE rung = {rung:String} AND rung != 'gate') = 0"
    )
    for ending, known in BASES.items():
        where = f"t.interval_start < c.ends AND {told} <= now64(6) AND {known.format(before=f'< {told}')}"
        body = standing(dataset, where, joined, {"rung_reached_at": told})
        # The filter is said once more outside, so that an unknown rung is refused where no row is met.
        yield (
            f"{dataset.name}_{ending.replace('as_of', 'at_rung').replace('as_', 'at_rung_')}",
            (f"{body}\nWHERE {known_rung}"),
        )


def change_view(dataset: Dataset) -> tuple[str, str]:
    """(name, body) of the price at one rung beside the price at a later one: `from_rung`, `to_rung`.

    Rows are those of the later rung. `change` is missing where either price is.
    """
    keys = ", ".join(dataset.key)
    told = ", ".join(f"b.{name} AS {name}" for name in (*dataset.key, "location"))
    view = f"{VIEWS}.{dataset.name}_at_rung"
    changed = " OR ".join(f"b.{name} IS DISTINCT FROM a.{name}" for name in dataset.values)
    return (
        f"{dataset.name}_change",
        f"""SELECT {told}, a.lmp AS lmp_from, b.lmp AS lmp_to,
  round(b.lmp - a.lmp, 8) AS change,
  a.known AS known_from, b.known_at AS known_to, b.flags AS flags, {changed} AS changed,
  b.rung_reached_at AS rung_reached_at
FROM {view}(rung = {{to_rung:String}}) AS b
LEFT JOIN (
  SELECT {keys}, {", ".join(dataset.values)}, toNullable(known_at) AS known FROM {view}(rung = {{from_rung:String}})
) AS a USING ({keys})""",
    )


def arrivals_view(dataset: Dataset) -> tuple[str, str]:
    """(name, body) of when each version of each interval came: narrow, and read without collapsing anything."""
    names = (*dataset.key, "location", "known_at", "known_basis", "revision", "received_at")
    return f"{dataset.name}_arrivals", f"SELECT {', '.join(dict.fromkeys(names))} FROM {TABLES}.{dataset.name}"


def gate_view(dataset: Dataset) -> tuple[str, str]:
    """(name, body) of forecasts as known when a market's day-ahead gate closed: the newest issue of each period."""
    names = ", ".join(dataset.names)
    latest = ", ".join(f"{name} DESC" for name in ("issued_at", *dataset.version, "value_hash", "payload"))
    body = f"""SELECT {names}, gate_closed_at FROM (
  SELECT {", ".join(f"t.{name} AS {name}" for name in (*dataset.names, "value_hash"))}, c.reached_at AS gate_closed_at
  FROM (SELECT *, value_hash, '{GATE}' AS kind FROM {TABLES}.{dataset.name}) AS t
  ASOF JOIN (
    SELECT rung, starts, ends, reached_at FROM {NAME} WHERE rung = '{GATE}' AND market = {{market:String}}
  ) AS c ON t.kind = c.rung AND t.forecast_time >= c.starts
  WHERE t.forecast_time < c.ends AND t.known_at <= c.reached_at
)
ORDER BY source, location, forecast_time, {latest} LIMIT 1 BY source, location, forecast_time"""
    return f"{dataset.name}_at_gate", body


def newest_issue_view(dataset: Dataset) -> tuple[str, str]:
    """(name, body) of forecasts as known at a moment, the newest issue of each period only."""
    latest = ", ".join(f"{name} DESC" for name in ("issued_at", *dataset.version))
    return f"{dataset.name}_newest_as_of", (
        f"SELECT * FROM {VIEWS}.{dataset.name}_as_of(as_of = {MOMENT})\n"
        f"ORDER BY source, location, forecast_time, {latest} LIMIT 1 BY source, location, forecast_time"
    )


def standing(dataset: Dataset, where: str, source: str = "", extra: dict[str, str] | None = None) -> str:
    """SELECT of the last version of every key among the rows that `where` lets through.

    `source` is what is read, the table called `t`; `extra` are more columns, constant within a key.
    """
    rest = [column for column in dataset.columns if column.name not in dataset.key]
    extra = extra or {}
    keys = ", ".join(dataset.key)
    inner = ",\n    ".join(
        [
            *(_key(dataset.column(name)) for name in dataset.key),
            *(f"t.{column.name} AS _{column.name}" for column in rest),
            *(f"{made} AS _{name}" for name, made in extra.items()),
            f"{_order()} AS _order",
        ]
    )
    outer = ",\n  ".join([keys, *map(_last, rest), *(f"any(_{name}) AS {name}" for name in extra)])
    columns = ", ".join([*dataset.names, *extra])
    return f"""SELECT {columns} FROM (
SELECT {outer}
FROM (
  SELECT
    {inner}
  FROM {source or f"{TABLES}.{dataset.name} AS t"}
  WHERE {where}
)
GROUP BY {keys})"""


def _key(column: Column) -> str:
    plain = column.type == "category"
    return f"CAST(t.{column.name}, 'String') AS {column.name}" if plain else f"t.{column.name} AS {column.name}"


def _order() -> str:
    """Version, values and payload as one number of 256 bits: where it is larger, the version is later.

    Put together from numbers of 64 bits: the engine's wide ones are slow.
    """
    known = f"toUInt64(toUnixTimestamp64Micro(t.known_at) + {_SHIFT})"
    received = f"toUInt64(toUnixTimestamp64Micro(t.received_at) + {_SHIFT})"
    payload = "reinterpretAsUInt32(reverse(unhex(substring(t.payload, 1, 8))))"
    revised = f"bitOr(bitShiftLeft(toUInt64(t.revision), 32), bitShiftRight({received}, 32))"
    arrived = f"bitOr(bitShiftLeft({received}, 32), bitShiftRight(t.value_hash, 32))"
    valued = f"bitOr(bitShiftLeft(t.value_hash, 32), {payload})"
    return _beside(_beside(known, revised, 64), _beside(arrived, valued, 64), 128)


def _beside(high: str, low: str, bits: int) -> str:
    return f"bitOr(bitShiftLeft(toUInt{2 * bits}({high}), {bits}), toUInt{2 * bits}({low}))"


def _last(column: Column) -> str:
    """The column's value in the last version. `argMax` skips nulls, so these are told apart first."""
    name = column.name
    if name == "known_at":
        return f"max(_{name}) AS {name}"  # the version order begins with it
    if not column.nullable:
        return f"argMax(_{name}, _order) AS {name}"
    return f"if(argMax(isNull(_{name}), _order), NULL, argMax(assumeNotNull(_{name}), _order)) AS {name}"
