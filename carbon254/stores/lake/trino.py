"""What a reader sees in Trino: the views of `commodity_data`, over the lake's own tables.

The lake keeps every version of every row; readers ask for what stands. In the hot store that is a matter of views
(`stores/hot/views.py`); these say the same in Trino's SQL, under the same names, so that one query gives one answer in
both. They are made in a catalog of their own, because the tables have the plain names in theirs.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib.resources import files

from carbon254.model import Dataset, catalogue

SCHEMA = "commodity_data"
# As in the hot store: the desk's power benchmark is the day-ahead mean of one named hub over the market's own day.
_MARKET, _RUN, _HUB, _CLOCK = "PJM", "DAM", "WESTERN HUB", "America/New_York"
_BENCHMARK = "commodity, price, price_date, location, unit, benchmark, known_at, known_basis, flags, feed"


def reader_views(tables: str, views: str, place: str = "") -> Iterator[str]:
    """Statements that make the views in the Trino catalog `views` over the lake in the catalog `tables`.

    `place` is where the views' schema keeps its files (`s3://bucket/prefix`), for catalogs that ask for one.
    """
    where = f" WITH (location = '{place.rstrip('/')}/{SCHEMA}')" if place else ""
    yield f"CREATE SCHEMA IF NOT EXISTS {views}.{SCHEMA}{where}"
    for name, body in _bodies(f"{tables}.{SCHEMA}", f"{views}.{SCHEMA}"):
        yield f"CREATE OR REPLACE VIEW {views}.{SCHEMA}.{name} AS\n{body}"


def _bodies(tables: str, views: str) -> Iterator[tuple[str, str]]:
    for dataset in catalogue().values():
        source = f"{tables}.{dataset.name}"
        if "revision" not in dataset.names:
            yield dataset.name, f"SELECT {', '.join(dataset.names)} FROM {source}"
            continue
        history = f"{dataset.name}_history" if dataset.name == "energy_prices" else dataset.name
        yield history, _history(dataset, source)
        yield f"current_{dataset.name}".replace("interval_prices", "prices"), _current(dataset, source)
    yield "energy_prices", f"{_fuels(views)}\nUNION ALL\n{_power(views)}"


def _history(dataset: Dataset, source: str) -> str:
    """Every version but those that say the same as the one before."""
    columns, key = ", ".join(dataset.names), ", ".join(dataset.key)
    order = ", ".join((*dataset.version, "payload"))
    said = f"ROW({', '.join((*dataset.values, 'revision'))})"
    return f"""SELECT {columns} FROM (
  SELECT {columns}, said, row_number() OVER w AS place, lag(said) OVER w AS before
  FROM (SELECT {columns}, {said} AS said FROM {source})
  WINDOW w AS (PARTITION BY {key} ORDER BY {order})
)
WHERE place = 1 OR said IS DISTINCT FROM before"""


def _current(dataset: Dataset, source: str) -> str:
    """The last version of every key."""
    columns, key = ", ".join(dataset.names), ", ".join(dataset.key)
    latest = ", ".join(f"{name} DESC" for name in (*dataset.version, "payload"))
    return f"""SELECT {columns} FROM (
  SELECT {columns}, row_number() OVER (PARTITION BY {key} ORDER BY {latest}) AS place
  FROM {source}
)
WHERE place = 1"""


def _fuels(views: str) -> str:
    """One benchmark a commodity and date: the first of the list that has a price."""
    text = files("carbon254.stores.hot").joinpath("benchmarks.csv").read_text("utf-8")
    ranks = ", ".join(
        f"('{row['commodity']}', '{row['benchmark']}', {row['rank']})" for row in csv.DictReader(text.splitlines())
    )
    return f"""SELECT {_BENCHMARK} FROM (
  SELECT held.*, row_number() OVER (
    PARTITION BY held.commodity, held.price_date ORDER BY if(held.price IS NULL, 1, 0), listed.rank
  ) AS place
  FROM {views}.current_energy_prices AS held
  JOIN (VALUES {ranks}) AS listed (c, b, rank) ON listed.c = held.commodity AND listed.b = held.benchmark
)
WHERE place = 1"""


def _power(views: str) -> str:
    """Daily mean of the hub's day-ahead prices weighted by duration; no price where an hour has none.

    It ends where the fuels end, so that the last date has every benchmark.
    """
    return f"""SELECT 'electricity' AS commodity,
  if(count_if(lmp IS NULL) = 0, sum(lmp * seconds) / sum(seconds)) AS price,
  day AS price_date, '{_HUB}' AS location, 'USD/MWh' AS unit, '{_MARKET} {_RUN}' AS benchmark,
  max(known_at) AS known_at,
  if(count_if(known_basis = 'assumed') > 0, 'assumed', arbitrary(known_basis)) AS known_basis,
  bitwise_or_agg(flags) AS flags, arbitrary(feed) AS feed
FROM (
  SELECT lmp, date_diff('second', interval_start, interval_end) AS seconds,
    CAST(interval_start AT TIME ZONE '{_CLOCK}' AS date) AS day, known_at, known_basis, flags, feed
  FROM {views}.current_prices
  WHERE market = '{_MARKET}' AND product = 'energy' AND market_run = '{_RUN}' AND location = '{_HUB}'
)
GROUP BY day
HAVING (SELECT count(*) FROM {views}.current_energy_prices) = 0
  OR day <= (SELECT max(price_date) FROM {views}.current_energy_prices WHERE price IS NOT NULL)"""
