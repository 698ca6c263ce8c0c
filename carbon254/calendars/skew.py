"""Event times of sources whose clocks are off, brought to ours within a stated bound; and rows that come too late.

One-way reckoning: a message that left at event time e by the source's clock and arrived at r by ours took between 0
and D (`fastest`, the longest that a source's quickest message may take). With lag = r - e, the source's clock stands
`min(lag) - d` behind ours for some d in [0, D]. Half-way between the two edges is never more than D / 2 wrong. Where
that span holds zero the clock cannot be shown to be wrong, and nothing is moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import polars as pl

from carbon254.errors import BadLabel

# Flink's habit for bounded disorder, and the bound the platform promises.
OUT_OF_ORDER = timedelta(minutes=10)
FASTEST = timedelta(seconds=2)


def align(
    frame: pl.DataFrame,
    *,
    event: str = "event_time",
    received: str = "received_at",
    source: str | Sequence[str] | None = None,
    fastest: timedelta = FASTEST,
    most: timedelta = OUT_OF_ORDER,
) -> pl.DataFrame:
    """`frame` with `aligned_time` (UTC), `skew` (added to the event time) and `skew_status` for each row.

    Statuses: `in_step` (the clock cannot be shown to be wrong by more than `fastest`), `aligned` (moved; at most
    `fastest` / 2 wrong), `beyond` (the clock is off by more than `most`: the row is not moved, only flagged), `unknown`
    (a time is missing). Skew is reckoned per `source` (one column or several) over the frame. Raises BadLabel for a
    missing column.
    """
    sources = [source] if isinstance(source, str) else list(source or ())
    wanted = [event, received, *sources]
    if missing := [name for name in wanted if name not in frame.columns]:
        raise BadLabel(f"clock alignment needs the columns {', '.join(wanted)}; {', '.join(missing)} is missing")
    least = (pl.col(received) - pl.col(event)).min()
    least = least.over(sources) if sources else least
    quick = pl.lit(fastest, dtype=pl.Duration("us"))
    behind = least - pl.lit(fastest / 2, dtype=pl.Duration("us"))
    in_step = (least >= pl.duration()) & (least <= quick)
    beyond = behind.abs() > pl.lit(most, dtype=pl.Duration("us"))
    known = pl.col(event).is_not_null() & pl.col(received).is_not_null()
    status = (
        pl.when(~known)
        .then(pl.lit("unknown"))
        .when(in_step)
        .then(pl.lit("in_step"))
        .when(beyond)
        .then(pl.lit("beyond"))
        .otherwise(pl.lit("aligned"))
    )
    moved = pl.when(pl.col("skew_status") == "aligned").then(behind).otherwise(pl.duration())
    return (
        frame.with_columns(status.alias("skew_status"))
        .with_columns(moved.alias("skew"))
        .with_columns((pl.col(event) + pl.col("skew")).alias("aligned_time"))
    )


def ahead(event: str, received: str) -> pl.Expr:
    """True where a message left after it came, by more than its quickest way takes: the source's clock is ahead."""
    return pl.col(event) - pl.col(received) > FASTEST


def late(event: pl.Series, bound: timedelta = OUT_OF_ORDER) -> pl.Series:
    """True for rows that come, in this order, after the watermark (newest event time seen so far less `bound`)."""
    watermark = event.cum_max().shift(1).forward_fill() - bound
    return (event < watermark).fill_null(False).alias("late")
