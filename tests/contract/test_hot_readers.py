"""What a reader may ask of the hot store, on the real engine: reading only, one statement, within limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from given_rows import ENGINES, T0, benchmark, engine_url, opened, price, prices, shaped

from carbon254.errors import QueryRefused
from carbon254.stores.hot import HotStore, Limits

QUERIES = Path(__file__).parents[2].parent / "shared" / "queries"
TIGHT = Limits(max_rows=1000, seconds=1, memory_bytes=200_000_000)


@pytest.fixture(scope="module", params=ENGINES)
def hot(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HotStore]:
    with opened(tmp_path_factory.mktemp("readers"), engine_url(request)) as store:
        today = datetime.now(UTC).date()
        days = [today - timedelta(days=n) for n in range(1, 41)]
        names = {"crude_oil": "RWTC", "natural_gas": "RNGWHHD", "brent_crude_oil": "RBRTE"}
        given = [
            benchmark(commodity, name, day, 50.0 + n + 3 * (n % (2 + len(commodity))))
            for commodity, name in names.items()
            for n, day in enumerate(days)
        ]
        store.insert("energy_prices", shaped("energy_prices", given), "e")
        store.insert("interval_prices", prices(*(price(f"P{n:02d}", lmp=float(n)) for n in range(20))), "i")
        store.insert("weather_forecasts", shaped("weather_forecasts", [forecast(day) for day in days[:5]]), "w")
        yield store


def forecast(day: date) -> dict[str, object]:
    start = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    row = price(start=start)
    kept = (
        "known_at",
        "known_basis",
        "revision",
        "received_at",
        "flags",
        "feed",
        "payload",
        "batch_id",
        "published_at",
    )
    return {
        **{name: row[name] for name in kept},
        "source": "NWS",
        "location": "Houston",
        "forecast_time": start,
        "issued_at": T0,
        "temperature": 20.0,
        "forecast_end": start + timedelta(hours=1),
        "precipitation_probability": 10.0,
    }


def nothing_was_left_behind(hot: HotStore) -> None:
    """A failed answer must not leak into the next one."""
    for _ in range(10):
        assert hot.query("SELECT 7 AS x", limits=TIGHT).to_pylist() == [{"x": 7}]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", ["latest_prices", "oil_gas_correlation", "volatility_30d", "weather_impact"])
def test_the_stated_queries_run_unchanged(hot: HotStore, name: str) -> None:
    file = QUERIES / f"{name}.sql"
    if not file.exists():
        pytest.skip("../shared/queries is absent")
    found = hot.query(file.read_text())
    assert (
        found.num_rows
        == {"latest_prices": 3, "oil_gas_correlation": 1, "volatility_30d": 3, "weather_impact": 15}[name]
    )
    assert not any(column.null_count for column in found.columns)
    if name == "volatility_30d":
        order = found["volatility"].to_pylist()
        assert order == sorted(order, reverse=True)
    if name == "weather_impact":
        days = found["price_date"].to_pylist()
        assert days == sorted(days, reverse=True)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT location FROM interval_prices ORDER BY lmp DESC",
        "SELECT location FROM commodity_data.interval_prices ORDER BY lmp DESC;",
        "WITH x AS (SELECT * FROM current_prices) SELECT location FROM x ORDER BY lmp DESC",
        "(SELECT location FROM interval_prices ORDER BY lmp DESC)",
        "SELECT location FROM (SELECT * FROM interval_prices ORDER BY lmp) ORDER BY lmp DESC -- newest; first",
        "/* a ; b */ SELECT location FROM interval_prices WHERE location != 'a;b''c\\'' ORDER BY lmp DESC ; ",
    ],
)
def test_rows_come_in_the_order_asked_for(hot: HotStore, sql: str) -> None:
    assert hot.query(sql)["location"].to_pylist() == [f"P{n:02d}" for n in range(19, -1, -1)]


def test_the_catalogue_can_be_seen(hot: HotStore) -> None:
    shown = hot.query("SHOW TABLES")["name"].to_pylist()
    assert {"interval_prices", "current_prices", "energy_prices", "ohlc_bars"} <= set(shown)
    assert "value_hash" not in hot.query("DESCRIBE TABLE interval_prices")["name"].to_pylist()
    assert hot.query("EXPLAIN SELECT * FROM energy_prices").num_rows > 1
    assert hot.query("SHOW CREATE TABLE current_prices").num_rows == 1
    assert hot.query("SHOW DATABASES").to_pylist() == [{"name": "commodity_data"}]
    assert hot.query("SHOW COLUMNS FROM interval_prices FROM commodity_data").num_rows > 10
    assert hot.query("SELECT count() AS n FROM numbers(2) AS a, numbers(3) AS b")["n"].to_pylist() == [6]


def test_answers_are_typed(hot: HotStore) -> None:
    found = hot.query(
        "SELECT interval_start, toStartOfHour(interval_start) AS hour, now() AS at, toDate(interval_start) AS day, "
        "location, lmp, ghg, revision FROM interval_prices LIMIT 1"
    )
    assert found.schema.types == [
        pa.timestamp("us", "UTC"), pa.timestamp("s", "UTC"), pa.timestamp("s", "UTC"), pa.date32(),
        pa.string(), pa.float64(), pa.float64(), pa.uint32(),
    ]  # fmt: skip
    assert found["hour"][0].as_py() == T0
    assert hot.query("SELECT lmp FROM interval_prices WHERE 0").schema.names == ["lmp"]


def test_parameters_are_values_and_never_text(hot: HotStore) -> None:
    asked = {"place": "P07", "low": 5.0, "since": T0}
    sql = ("SELECT location FROM interval_prices WHERE location = {place:String} AND lmp > {low:Float64} "
           "AND interval_start >= {since:DateTime64(6, 'UTC')}")  # fmt: skip
    assert hot.query(sql, asked)["location"].to_pylist() == ["P07"]
    assert hot.query(sql, asked | {"place": "x' OR 1=1 --"}).num_rows == 0
    for bad, given in (("SELECT %(a)s", {"a": 1}), ("SELECT {a:UInt8}", None), ("SELECT {a:UInt8}", {"a": "1; x"}),
                       ("SELECT * FROM {t:Identifier}", {"t": "system.tables"})):  # fmt: skip
        with pytest.raises(QueryRefused):
            hot.query(bad, given)
    nothing_was_left_behind(hot)


REFUSED = {
    "INSERT INTO interval_prices SELECT * FROM interval_prices": "begin with SELECT",
    "DROP TABLE interval_prices": "begin with SELECT",
    "ALTER TABLE store.interval_prices DELETE WHERE 1": "begin with SELECT",
    "CREATE TABLE x (a UInt8) ENGINE = Memory": "begin with SELECT",
    "SET max_execution_time = 1000": "begin with SELECT",
    "USE system": "begin with SELECT",
    "SYSTEM SHUTDOWN": "begin with SELECT",
    "KILL QUERY WHERE 1": "begin with SELECT",
    "EXPLAIN AST SELECT 1": "only EXPLAIN",
    "EXPLAIN INSERT INTO x SELECT 1": "only EXPLAIN",
    "SELECT 1; DROP TABLE interval_prices": "more than one statement",
    "SELECT 1 /* */; /* */ SELECT 2": "more than one statement",
    "SELECT 1 SETTINGS max_execution_time = 100": "SETTINGS",
    "SELECT * FROM (SELECT 1 SETTINGS readonly = 0)": "SETTINGS",
    "SELECT 1 FORMAT JSON": "FORMAT",
    "SELECT 1 INTO OUTFILE 'x'": "OUTFILE",
    "SELECT file('/etc/passwd')": "file is not available",
    "SELECT `file`('/etc/passwd')": "file is not available",
    "SELECT FiLe /* */ ('/etc/passwd')": "FiLe is not available",
    "SELECT arrayMap(file, ['/etc/passwd'])": "file is not available",
    "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')": "file is not available",
    "WITH file AS f SELECT f('/etc/passwd')": "f is not available",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')": "file is not available",
    "DESCRIBE file('/etc/passwd')": "file is not available",
    "SELECT * FROM url('http://127.0.0.1/', 'CSV')": "url is not available",
    "SELECT * FROM s3('http://127.0.0.1/b/k', 'CSV')": "s3 is not available",
    "SELECT * FROM remote('127.0.0.1', system.one)": "remote is not available",
    "SELECT * FROM executable('id', 'CSV', 'a String')": "executable is not available",
    "SELECT * FROM icebergLocal('lake')": "icebergLocal is not available",
    "SELECT * FROM python('table')": "python is not available",
    "SELECT * FROM sqlite('/tmp/a.db', 'runs')": "sqlite is not available",
    "SELECT * FROM filesystem('/etc')": "filesystem is not available",
    "SELECT * FROM merge('store', '.*')": "merge is not available",
    "SELECT * FROM cluster('default', system, one)": "cluster is not available",
    "SELECT * FROM mysql('h:1', 'd', 't', 'u', 'p')": "mysql is not available",
    "SELECT sleep(3)": "sleep is not available",
    "SELECT * FROM system.tables": "not for readers",
    'SELECT * FROM "system" . `settings`': "not for readers",
    "SELECT * FROM system/**/.processes": "not for readers",
    "SELECT * FROM store.interval_prices": "not for readers",
    "SELECT * FROM information_schema.tables": "not for readers",
    "SELECT * FROM default.`/etc/passwd`": "not for readers",
    "SHOW TABLES FROM system": "only the tables of",
    "SHOW PROCESSLIST": "SHOW gives",
    "SHOW CREATE USER default": "SHOW gives",
    "SELECT * FROM system.one": "not for readers",
    "SHOW COLUMNS FROM users FROM system": "not for readers",
    "SHOW CREATE TABLE store.interval_prices": "not for readers",
    "SELECT 'open": "quoted string is not closed",
    "SELECT 1 /* open": "comment is not closed",
    "SELECT `fi\\x6ce`('/etc/passwd')": "file is not available",
    "SELECT 1)": "check the statement",
    "": "empty",
    " -- nothing\n;": "empty",
    "SELECT nosuch FROM interval_prices": "DESCRIBE TABLE",
    "SELECT 1 FROM nosuch": "SHOW TABLES",
    "SELECT FROM WHERE": "dialect",
    "SELECT throwIf(number = 500) FROM numbers(900)": "non-zero",
}  # fmt: skip


@pytest.mark.sampled(22)
@pytest.mark.parametrize("sql", REFUSED)
def test_anything_else_is_refused_with_its_reason(hot: HotStore, sql: str) -> None:
    with pytest.raises(QueryRefused, match=REFUSED[sql]) as refusal:
        hot.query(sql, limits=TIGHT)
    assert len(str(refusal.value)) < 450
    assert "DB::Exception" not in str(refusal.value)
    nothing_was_left_behind(hot)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT sum(sipHash64(number)) FROM numbers(1000000000000)", "higher time limit"),
        (
            "SELECT count() FROM (SELECT 1 UNION ALL (SELECT sum(number) FROM numbers(1000000000000)))",
            "higher time limit",
        ),
        ("SELECT groupArray(number) FROM numbers(1000000000)", "higher memory limit"),
        ("SELECT number FROM numbers(100000)", "add LIMIT"),
    ],
)
def test_limits_hold(hot: HotStore, sql: str, reason: str) -> None:
    started = datetime.now(UTC)
    with pytest.raises(QueryRefused, match=reason):
        hot.query(sql, limits=TIGHT)
    assert datetime.now(UTC) - started < timedelta(seconds=4)
    nothing_was_left_behind(hot)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO store.interval_prices (location) VALUES ('x')", "DROP TABLE store.interval_prices",
        "SELECT * FROM url('http://127.0.0.1:9/', 'CSV', 'a String')", "SELECT 1 SETTINGS max_execution_time = 100",
        "SELECT 1 SETTINGS readonly = 0", "SELECT * FROM remote('127.0.0.1', system.one)",
    ],
)  # fmt: skip
def test_the_engine_refuses_a_readers_writes_even_unguarded(
    hot: HotStore, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carbon254.stores.hot.guard.check", lambda sql, *_: sql)
    with pytest.raises(QueryRefused):
        hot.query(sql, limits=TIGHT)
    assert hot.count("interval_prices") == 20


def test_a_long_statement_is_read(hot: HotStore) -> None:
    listed = ", ".join(f"'P{n}'" for n in range(6_000))
    assert hot.query(f"SELECT count() AS n FROM interval_prices WHERE location IN ({listed})")["n"].to_pylist() == [10]
