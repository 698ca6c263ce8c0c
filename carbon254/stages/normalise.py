"""Normalise: a parser's rows → observations in UTC, with signs, derived components and quality flags.

Asks only the stream's card, never which provider it is. The length of an interval is that of the row's market run. A
row whose time names no instant, or whose run is not on the card, is a reject.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from carbon254.calendars import Status, wall_to_utc
from carbon254.model import Flag, Stream

COMPONENTS = ("energy", "congestion", "loss", "ghg")
_UTC = pl.Datetime("us", "UTC")
_ROUND = 8


@dataclass(frozen=True, slots=True)
class Normalised:
    """Observations in the payload's order, and rejects (line, reason, raw)."""

    frame: pl.DataFrame
    rejects: pl.DataFrame


def normalise(frame: pl.DataFrame, stream: Stream) -> Normalised:
    """Observations of a parsed frame; see `feeds.contract` for what a parser yields.

    Interval prices come out with market, product, market_run, location, location_id, interval_start, interval_end
    (UTC), lmp and components in USD/MWh, revision, flags, `line`, and `published_at` where the payload states it. Other
    datasets pass through with the columns their card fixes.
    """
    if stream.dataset != "interval_prices":
        return Normalised(_fill(frame, stream), pl.DataFrame(schema={"line": pl.Int64, "reason": pl.String}))
    timed = _times(_fill(frame, stream), stream)
    good, bad = _split(timed, stream)
    return Normalised(_prices(good.drop("label", strict=False), stream), bad)


def _fill(frame: pl.DataFrame, stream: Stream) -> pl.DataFrame:
    """Columns the card fixes, where the payload does not override them."""
    add: list[pl.Expr] = []
    if stream.dataset == "interval_prices":
        add = [pl.lit(stream.market).alias("market"), pl.lit(stream.product).alias("product")]
        if "market_run" not in frame.columns:
            add.append(pl.lit(stream.market_run).alias("market_run"))
        add += [pl.lit(None, dtype=pl.Float64).alias(name) for name in COMPONENTS if name not in frame.columns]
    if "revision" not in frame.columns:
        add.append(pl.lit(0, dtype=pl.UInt32).alias("revision"))
    flags = pl.col("flags").cast(pl.UInt32) if "flags" in frame.columns else pl.lit(0, dtype=pl.UInt32)
    return frame.with_columns(*add, flags.alias("flags"))


def _times(frame: pl.DataFrame, stream: Stream) -> pl.DataFrame:
    """interval_start and interval_end in UTC from whatever the parser gave."""
    if "label" in frame.columns:
        frame = _from_label(frame, stream)
    micros = _steps(frame, stream)
    if "interval_start" not in frame.columns:
        end = pl.col("interval_end").dt.epoch("us")
        # A row that ends off the grid opens where the grid's does, so that its key does not depend on which other rows
        # share the payload.
        start = ((end - 1) // micros * micros).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        off = (end % micros != 0).fill_null(False)
        return frame.with_columns(
            start.alias("interval_start"),
            (pl.col("flags") | pl.when(off).then(Flag.OFF_GRID.value).otherwise(0).cast(pl.UInt32)).alias("flags"),
        )
    if "interval_end" not in frame.columns:
        return frame.with_columns((pl.col("interval_start") + micros.cast(pl.Duration("us"))).alias("interval_end"))
    return frame


def _steps(frame: pl.DataFrame, stream: Stream) -> pl.Expr:
    """The length (µs) of each row's interval, by its market run."""
    runs = frame["market_run"].cast(pl.String).unique().drop_nulls().to_list()
    steps = {run: stream.of_run(run).resolution // timedelta(microseconds=1) for run in runs}
    if len(set(steps.values())) == 1:
        return pl.lit(next(iter(steps.values())), dtype=pl.Int64)
    return pl.col("market_run").cast(pl.String).replace_strict(steps, default=None, return_dtype=pl.Int64)


def _from_label(frame: pl.DataFrame, stream: Stream) -> pl.DataFrame:
    """A local label by its mark, or by the order of rows within a location; one that stays open is flagged."""
    mark = frame["mark"] if "mark" in frame.columns else None
    place = frame["location_id"] if stream.repeat == "row_order" else None
    instant, status = wall_to_utc(frame["label"], stream.clock, mark, place)
    column = "interval_end" if stream.label == "interval_end" else "interval_start"
    unsure = pl.when(status == Status.TWICE).then(Flag.AMBIGUOUS_TIME.value).otherwise(0).cast(pl.UInt32)
    timed = frame.with_columns(instant.alias(column), (pl.col("flags") | unsure).alias("flags"))
    return timed.drop("mark", strict=False)


def _split(frame: pl.DataFrame, stream: Stream) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows that can stand, and rejects with their reason."""
    no_time = pl.col("interval_start").is_null() | pl.col("interval_end").is_null()
    backwards = (pl.col("interval_end") <= pl.col("interval_start")).fill_null(False)
    no_place = pl.col("location_id").is_null() | (pl.col("location_id") == "")
    stranger = pl.col("market_run").cast(pl.String).is_in([run.market_run for run in stream.every_run]).not_()
    wild = pl.any_horizontal(pl.col("lmp", *COMPONENTS).is_finite().not_().fill_null(False))
    reason = (
        pl.when(stranger.fill_null(True))
        .then(pl.format("the market run {} is not on the feed's card", pl.col("market_run").fill_null("(none)")))
        .when(no_time)
        .then(_no_instant(frame, stream))
        .when(backwards)
        .then(pl.lit("the interval ends before it starts"))
        .when(no_place)
        .then(pl.lit("the location is empty"))
        .when(wild)
        .then(pl.lit("a price is not a finite number"))
    )
    reasons = frame.select(reason.alias("reason"))["reason"]
    if reasons.null_count() == frame.height:
        return frame, pl.DataFrame(schema={"line": pl.Int64, "reason": pl.String})
    bad = frame.select("line").with_columns(reasons).filter(reasons.is_not_null())
    return frame.filter(reasons.is_null()), bad


def _no_instant(frame: pl.DataFrame, stream: Stream) -> pl.Expr:
    told = pl.col("label").dt.to_string("%Y-%m-%d %H:%M:%S") if "label" in frame.columns else pl.lit("the row's time")
    why = f"names no instant in {stream.market}'s clock ({stream.clock}), which skips an hour in spring"
    return pl.format("{} {}", told.fill_null("an empty label"), pl.lit(why))


def _prices(frame: pl.DataFrame, stream: Stream) -> pl.DataFrame:
    """Signs turned, components derived, the identity checked."""
    turned = [_unsigned_zero(pl.col(name) * sign).alias(name) for name, sign in stream.signs.items()]
    frame = frame.with_columns(turned) if turned else frame
    if stream.derive:
        others = [name for name in ("energy", "congestion", "loss") if name != stream.derive]
        rest = pl.col("lmp") - pl.col(others[0]) - pl.col(others[1])
        made = pl.col(stream.derive).is_null() & rest.is_not_null()
        frame = frame.with_columns(
            pl.coalesce(stream.derive, _unsigned_zero(rest.round(_ROUND))).alias(stream.derive),
            (pl.col("flags") | pl.when(made).then(Flag.DERIVED_ENERGY.value).otherwise(0).cast(pl.UInt32)).alias(
                "flags"
            ),
        )
    return frame.with_columns(_component_flags(stream.rounding.most).alias("flags"))


def _unsigned_zero(value: pl.Expr) -> pl.Expr:
    """Zero without a sign: nobody published a minus."""
    return pl.when(value == 0.0).then(0.0).otherwise(value)


def _component_flags(unit: float) -> pl.Expr:
    """Which of the parts are there, and whether they add up within half a unit of each number that is summed."""
    core = pl.all_horizontal(pl.col(name).is_not_null() for name in ("lmp", "energy", "congestion", "loss"))
    some = pl.any_horizontal(pl.col(name).is_not_null() for name in COMPONENTS)
    total = pl.col("energy") + pl.col("congestion") + pl.col("loss") + pl.col("ghg").fill_null(0.0)
    numbers = 4 + pl.col("ghg").is_not_null().cast(pl.Int8)
    broken = (pl.col("lmp") - total).abs() > numbers * (unit / 2) + 1e-9
    incomplete = pl.when(core).then(broken).otherwise(some & pl.col("lmp").is_not_null())
    return (
        pl.col("flags")
        | pl.when(incomplete).then(Flag.INCOMPLETE_COMPONENTS.value).otherwise(0).cast(pl.UInt32)
        | pl.when(pl.col("lmp").is_null()).then(Flag.MISSING_PRICE.value).otherwise(0).cast(pl.UInt32)
    )
