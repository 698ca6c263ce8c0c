"""What readers see in `commodity_data`: collapsed histories, current rows, and one benchmark a commodity and day.

A history view leaves out a row that says the same as the one before it: equal values and revision, in the order in
which they became known, whatever the basis. Windows are cut by the whole key, so that a filter on key columns
reaches the table.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files

from carbon254.model import Dataset

from .as_of import (
    BASES,
    MOMENT,
    arrivals_view,
    change_view,
    gate_view,
    moment_views,
    newest_issue_view,
    rung_views,
)
from .bars import views as bar_views
from .ddl import TABLES, VIEWS, keeps_versions

# The desk's power benchmark: day-ahead mean of one named hub over the market's own day.
_POWER_MARKET, _POWER_RUN, _POWER_HUB, _POWER_CLOCK = "PJM", "DAM", "WESTERN HUB", "America/New_York"


def history_name(dataset: Dataset) -> str:
    """The view of everything a dataset holds."""
    return "energy_prices_history" if dataset.name == "energy_prices" else dataset.name


def current_name(dataset: Dataset) -> str:
    """The view of the version that stands."""
    if not keeps_versions(dataset):
        return dataset.name
    return "current_prices" if dataset.name == "interval_prices" else f"current_{dataset.name}"


def versions_name(dataset: Dataset) -> str:
    """The view of every version that was stored."""
    return f"{dataset.name}_versions" if keeps_versions(dataset) else dataset.name


def commodities() -> list[str]:
    """The commodities that have a benchmark, beside power."""
    return list(dict.fromkeys(row["commodity"] for row in _listed()))


def create_views(datasets: Iterable[Dataset], held: Mapping[str, str]) -> list[str]:
    """`CREATE OR REPLACE VIEW` statements, each after those it reads, of the views that `held` has not.

    Each view carries the hash of its text as its comment; `held` has the comments of those there are, by name.
    """
    made = [(name, body, hashlib.sha256(body.encode()).hexdigest()[:16]) for name, body in _views(list(datasets))]
    return [
        f"CREATE OR REPLACE VIEW {VIEWS}.{name} AS\n{body}\nCOMMENT '{mark}'"
        for name, body, mark in made
        if held.get(name) != mark
    ]


def _views(datasets: list[Dataset]) -> Iterator[tuple[str, str]]:
    for dataset in (one for one in datasets if not one.derived):
        if keeps_versions(dataset):
            yield history_name(dataset), history(dataset)
            yield current_name(dataset), current(dataset)
            every = f"SELECT {_list(dataset.names)} FROM {TABLES}.{dataset.name} FINAL"
            yield versions_name(dataset), every
        else:
            yield current_name(dataset), f"SELECT {_list(dataset.names)} FROM {TABLES}.{dataset.name} FINAL"
    yield "energy_prices", _benchmarks()
    yield from _as_of_views(datasets)


def _as_of_views(datasets: list[Dataset]) -> Iterator[tuple[str, str]]:
    """The views that take a moment, a rung or a market's gate."""
    for dataset in datasets:
        if "received_at" not in dataset.names:
            continue
        yield from moment_views(dataset, history_name(dataset))
        if dataset.name == "interval_prices":
            yield from (*rung_views(dataset), change_view(dataset), arrivals_view(dataset))
        if dataset.name == "weather_forecasts":
            yield from (newest_issue_view(dataset), gate_view(dataset))
    for ending in BASES:
        at = f"{ending}(as_of = {MOMENT})"
        yield f"energy_prices_{ending}", _benchmarks(f"energy_prices_history_{at}", f"interval_prices_{at}")
    yield from bar_views(datasets)


def history(dataset: Dataset) -> str:
    """Collapsed history of a dataset that keeps versions."""
    columns, key = _list(dataset.names), _list(dataset.key)
    order = _list((*dataset.version, "value_hash", "payload"))
    return f"""SELECT {columns} FROM (
  SELECT {columns}, value_hash,
    row_number() OVER w AS place,
    lagInFrame(value_hash) OVER w AS hash_before,
    lagInFrame(revision) OVER w AS revision_before
  FROM {TABLES}.{dataset.name} FINAL
  WINDOW w AS (PARTITION BY {key} ORDER BY {order} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
WHERE place = 1 OR value_hash != hash_before OR revision != revision_before"""


def current(dataset: Dataset) -> str:
    """The last stored version of every key."""
    latest = ", ".join(f"{name} DESC" for name in (*dataset.version, "value_hash", "payload"))
    columns, key = _list(dataset.names), _list(dataset.key)
    return f"""SELECT {columns} FROM (
  SELECT {columns}, row_number() OVER (PARTITION BY {key} ORDER BY {latest}) AS place
  FROM {TABLES}.{dataset.name} FINAL
)
WHERE place = 1"""


def _benchmarks(fuels: str = "current_energy_prices", prices: str = "current_prices") -> str:
    ranks = ", ".join(f"('{row['commodity']}', '{row['benchmark']}', {row['rank']})" for row in _listed())
    columns = "commodity, price, price_date, location, unit, benchmark, known_at, known_basis, flags, feed"
    return f"""SELECT {columns} FROM (
  SELECT CAST(commodity, 'String') AS commodity, price, price_date, CAST(location, 'String') AS location,
    CAST(unit, 'String') AS unit, CAST(benchmark, 'String') AS benchmark, known_at,
    CAST(known_basis, 'String') AS known_basis, flags, CAST(feed, 'String') AS feed
  FROM {VIEWS}.{fuels}
  INNER JOIN (SELECT * FROM VALUES('c String, b String, rank UInt8', {ranks})) AS listed
    ON listed.c = commodity AND listed.b = benchmark
  ORDER BY price IS NULL, rank
  LIMIT 1 BY commodity, price_date
)
UNION ALL
{_power(fuels, prices)}"""


def _listed() -> list[dict[str, str]]:
    text = files("carbon254.stores.hot").joinpath("benchmarks.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def _power(fuels: str, prices: str) -> str:
    """Daily mean of the hub's day-ahead prices weighted by duration; no price where an hour has none.

    Fuels are published days after the power auction. The board ends where the fuels end, so that its last date has
    every benchmark; without any fuel it ends where power does.
    """
    return f"""SELECT 'electricity' AS commodity,
  if(countIf(lmp IS NULL) = 0, sum(lmp * seconds) / sum(seconds), NULL) AS price,
  day AS price_date, '{_POWER_HUB}' AS location, 'USD/MWh' AS unit, '{_POWER_MARKET} {_POWER_RUN}' AS benchmark,
  max(known) AS known_at, if(countIf(basis = 'assumed') > 0, 'assumed', CAST(any(basis), 'String')) AS known_basis,
  groupBitOr(marks) AS flags, CAST(any(topic), 'String') AS feed
FROM (
  SELECT lmp, date_diff('second', interval_start, interval_end) AS seconds,
    toDate32(toTimeZone(interval_start, '{_POWER_CLOCK}')) AS day,
    known_at AS known, known_basis AS basis, flags AS marks, feed AS topic
  FROM {VIEWS}.{prices}
  WHERE market = '{_POWER_MARKET}' AND product = 'energy' AND market_run = '{_POWER_RUN}'
    AND location = '{_POWER_HUB}'
)
GROUP BY day
HAVING (SELECT count() FROM {VIEWS}.{fuels}) = 0
  OR day <= (SELECT max(price_date) FROM {VIEWS}.{fuels} WHERE price IS NOT NULL)"""


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
