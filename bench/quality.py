"""Quality on one market day of three million rows: the full check set against a plain scan, and against Great
Expectations on the same checks with the verdicts compared.

python bench/quality.py [rows] [--without-ge]

Great Expectations runs in an environment of its own in a temporary folder; where it cannot be had, the comparison is
skipped and said so.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import peers
import polars as pl

from carbon254.calendars import market_day_span
from carbon254.emulator.market import MARKETS, prices
from carbon254.emulator.noise import keys
from carbon254.feeds import feeds
from carbon254.quality import Rules, judge, observe, read_rules
from carbon254.quality.row_checks import Matches, Nulls, Range, Unique
from carbon254.quality.states import Tally

ROUNDS = 15
TOPIC, DAY, INTERVALS = "iso.rt.lmp.spp", date(2025, 7, 1), 288
PATTERN = "SPP_[0-9]{5}"
BOUNDS = {"lmp": (-500.0, 2_000.0), "energy": (-500.0, 2_000.0), "congestion": (-300.0, 300.0), "loss": (-50.0, 50.0)}
KEY = ("market", "product", "market_run", "location_id", "interval_start", "interval_end")
SAME: tuple[Any, ...] = (
    Unique(),
    *(Nulls(column=name) for name in ("lmp", "energy", "congestion", "loss")),
    *(Range(column=name, min=low, max=high) for name, (low, high) in BOUNDS.items()),
    Matches(column="location_id", pattern=PATTERN),
)
THEIRS = """
import json, sys, time
import pandas as pd
import great_expectations as gx
import great_expectations.expectations as gxe
path, told = sys.argv[1], json.loads(sys.argv[2])
frame = pd.read_parquet(path)
context = gx.get_context(mode="ephemeral")
asset = context.data_sources.add_pandas("day").add_dataframe_asset("day")
batch = asset.add_batch_definition_whole_dataframe("day").get_batch(batch_parameters={"dataframe": frame})
suite = {"unique": gxe.ExpectCompoundColumnsToBeUnique(column_list=told["key"])}
for name, (low, high) in told["bounds"].items():
    suite[f"nulls.{name}"] = gxe.ExpectColumnValuesToNotBeNull(column=name)
    suite[f"range.{name}"] = gxe.ExpectColumnValuesToBeBetween(column=name, min_value=low, max_value=high)
suite["matches.location_id"] = gxe.ExpectColumnValuesToMatchRegex(column="location_id", regex=f"^{told['pattern']}$")
whole = gx.ExpectationSuite(name="day", expectations=list(suite.values()))
begin = time.perf_counter()
results = batch.validate(whole, result_format="SUMMARY").results
took = time.perf_counter() - begin
found = {}
for result in results:
    kind, arguments = result.expectation_config.type, result.expectation_config.kwargs
    name = {"expect_compound_columns_to_be_unique": "unique",
            "expect_column_values_to_not_be_null": f"nulls.{arguments.get('column')}",
            "expect_column_values_to_be_between": f"range.{arguments.get('column')}",
            "expect_column_values_to_match_regex": f"matches.{arguments.get('column')}"}[kind]
    found[name] = [bool(result.success), int(result.result["unexpected_count"])]
print(json.dumps({"seconds": took, "version": gx.__version__, "found": found}))
"""


def day(rows: int) -> pl.DataFrame:
    """A market day as the lake holds it, with a few wrong rows: nulls, extremes, repeats, an odd name."""
    places = -(-rows // INTERVALS)
    stream = feeds()[TOPIC].stream
    start = int(market_day_span(DAY, stream.clock)[0].timestamp())
    starts = start + np.arange(INTERVALS, dtype=np.int64) * 300
    names = [f"SPP_{number:05d}" for number in range(places)]
    made = prices(254, MARKETS["spp"], "RTBM", True, keys(names), starts)
    columns = {name: made.dollars(name).reshape(-1) for name in BOUNDS}
    begins = pl.Series(np.repeat(starts * 1_000_000, places)).cast(pl.Datetime("us", "UTC"))
    spelled = pl.Series(names).gather(np.tile(np.arange(places), INTERVALS))
    frame = pl.DataFrame({"location_id": spelled, "interval_start": begins, **columns})
    fixed = {"market": "SPP", "product": "energy", "market_run": "RTBM", "known_basis": "received"}
    frame = frame.with_columns(
        *(pl.lit(text).alias(name) for name, text in fixed.items()),
        (pl.col("interval_start") + timedelta(minutes=5)).alias("interval_end"),
        (pl.col("interval_start") + timedelta(minutes=11)).alias("received_at"),
        pl.lit(0, dtype=pl.UInt32).alias("flags"),
    )
    return frame.with_columns(pl.col(*fixed, "location_id").cast(pl.Categorical))


def spoilt(frame: pl.DataFrame) -> pl.DataFrame:
    """The day with seeded faults that both judges look for."""
    number = pl.int_range(pl.len())
    wrong = frame.with_columns(
        pl.when(number % 100_003 == 7).then(None).when(number % 250_007 == 9).then(9e4).otherwise("lmp").alias("lmp"),
        pl.when(number % 400_009 == 11).then(-7e3).otherwise("loss").alias("loss"),
        pl.when(number == 123_456).then(pl.lit("spp-x")).otherwise(pl.col("location_id").cast(pl.String))
        .cast(pl.Categorical).alias("location_id"),
    )  # fmt: skip
    return pl.concat([wrong, wrong.slice(1_000, 17)])


def seconds(work: Callable[[], Any], times: int = 7) -> float:
    """The best of a few runs: other work on the machine only adds."""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return min(taken)


def spent(work: Callable[[], Any]) -> tuple[float, float]:
    """(seconds on the wall, seconds of the processors) of one run."""
    begin, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begin, time.process_time() - busy


def theirs(path: Path) -> dict[str, Any] | str:
    """Great Expectations' verdicts and time, or why there are none."""
    with tempfile.TemporaryDirectory() as folder:
        python, reason = peers.interpreter(Path(folder), ("great-expectations", "pyarrow"))
        if not python:
            return f"skipped: {reason}"
        told = json.dumps({"key": KEY, "bounds": BOUNDS, "pattern": PATTERN})
        environment = {**os.environ, "GX_ANALYTICS_ENABLED": "false"}
        environment.pop("PYTHONPATH", None)
        done = subprocess.run(
            (python, "-c", THEIRS, str(path), told), capture_output=True, check=False, env=environment, cwd=folder
        )
        if done.returncode:
            raise SystemExit(f"Great Expectations failed:\n{done.stderr.decode()[-3_000:]}")
        return json.loads(done.stdout.splitlines()[-1])


def ours(frame: pl.DataFrame) -> tuple[float, dict[str, list[Any]]]:
    """(seconds, verdict and failing rows by check) of the same checks. Theirs passes only without a failing row, and
    counts every row of a repeated key."""
    stream = feeds()[TOPIC].stream
    rules = Rules(TOPIC, stream.dataset, stream.resolution, SAME)
    took = seconds(lambda: judge(observe(frame, rules), rules), 5)
    state = observe(frame, rules)
    failed = {check.title: state.get(check.title, Tally).failed for check in SAME}
    failed["unique"] = frame.height - frame.select(pl.struct(KEY).is_unique().sum()).item() if failed["unique"] else 0
    return took, {name: [count == 0, count] for name, count in failed.items()}


def main(rows: int, with_ge: bool) -> None:
    frame, stream = day(rows), feeds()[TOPIC].stream
    span, rules = market_day_span(DAY, stream.clock), read_rules(feeds()[TOPIC].quality(), stream)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "day.parquet"
        frame.write_parquet(path)
        # By turns, so that other work on the machine meets both.
        rounds = [
            (spent(lambda: pl.read_parquet(path)), spent(lambda: judge(observe(frame, rules, span), rules)))
            for _ in range(ROUNDS)
        ]
        (scan, scan_cpu), (checks, checks_cpu) = (
            tuple(min(one[which][clock] for one in rounds) for clock in (0, 1)) for which in (0, 1)
        )
        state = observe(frame, rules, span)
        result: dict[str, Any] = {
            "bench": f"quality of {frame.height:,} rows",
            "checks": len(rules.checks),
            "scan_ms": round(scan * 1e3),
            "checks_ms": round(checks * 1e3),
            "checks_to_scan": round(checks / scan, 2),
            "checks_to_scan_cpu": round(checks_cpu / scan_cpu, 2),
            "rows_per_s": round(frame.height / checks),
            "state_bytes": len(state.to_bytes()),
            "merge_of_30_days_ms": round(seconds(lambda: _month(state)) * 1e3, 1),
        }
        if with_ge:
            wrong = spoilt(frame)
            wrong.write_parquet(path)
            result |= _beside(path, wrong)
    sys.stdout.write(json.dumps(result) + "\n")


def _month(state: Any) -> Any:
    whole = state
    for _ in range(29):
        whole = whole.merge(state)
    return whole


def _beside(path: Path, frame: pl.DataFrame) -> dict[str, Any]:
    found = theirs(path)
    if isinstance(found, str):
        return {"great_expectations": found}
    took, mine = ours(frame)
    if mine != found["found"]:
        raise SystemExit(f"verdicts differ:\nours   {mine}\ntheirs {found['found']}")
    return {
        "great_expectations": found["version"],
        "same_checks": len(mine),
        "verdicts": "equal",
        "failing_rows": sum(count for _, count in mine.values()),
        "theirs_ms": round(found["seconds"] * 1e3),
        "ours_ms": round(took * 1e3),
        "times_faster": round(found["seconds"] / took, 1),
    }


if __name__ == "__main__":
    # Asked to end, it tidies up as after ctrl-C: what it started must not outlive it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    numbers = [argument for argument in sys.argv[1:] if argument.isdigit()]
    main(int(numbers[0]) if numbers else 3_000_000, "--without-ge" not in sys.argv)
