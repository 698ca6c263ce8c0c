"""A provider's market day as its files, and the ways in which such files go wrong.

Prices come from the emulator's own market; energy is one number an interval. A fault takes the day's rows and gives
wrong ones, with the (place, interval) of every price that is now wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

from carbon254.calendars import market_day_span
from carbon254.emulator.market import MARKETS, prices
from carbon254.emulator.noise import keys
from carbon254.feeds import feeds

DA, RT = "iso.da.lmp.spp", "iso.rt.lmp.spp"
PLACES = [f"LOC_{number:02d}" for number in range(12)]
Cells = set[tuple[str, datetime]]


@dataclass(frozen=True)
class Wrong:
    """Rows of a faulty file, and the cells whose published price is not the true one."""

    rows: pl.DataFrame
    cells: Cells


def true_rows(topic: str, start: datetime, end: datetime, seed: int = 254) -> pl.DataFrame:
    """The market's prices of [start, end): location, end, lmp, energy, congestion, loss."""
    stream = feeds()[topic].stream
    step = int(stream.resolution.total_seconds())
    starts = range(int(start.timestamp()), int(end.timestamp()), step)
    import numpy as np

    grid = np.array(list(starts), dtype=np.int64)
    made = prices(seed, MARKETS["spp"], stream.market_run, topic == RT, keys(PLACES), grid)
    ends = [datetime.fromtimestamp(one + step, UTC) for one in starts]
    frame = pl.DataFrame(
        {
            "location": PLACES * len(ends),
            "end": [end for end in ends for _ in PLACES],
            **{name: made.dollars(name).reshape(-1) for name in ("energy", "congestion", "loss")},
        }
    )
    frame = frame.with_columns(pl.col("energy", "congestion", "loss").round(4))
    return frame.with_columns((pl.col("energy") + pl.col("congestion") + pl.col("loss")).round(4).alias("lmp"))


def day_rows(day: date, seed: int = 254) -> pl.DataFrame:
    """A whole day-ahead market day."""
    return true_rows(DA, *market_day_span(day, "America/Chicago"), seed)


def csv(rows: pl.DataFrame) -> bytes:
    """The rows as SPP prints them."""
    stamp = pl.col("end").dt.strftime("%m/%d/%Y %H:%M:%S")
    told = rows.select(
        stamp.alias("Interval"),
        stamp.alias("GMTIntervalEnd"),
        pl.col("location").alias("Settlement Location"),
        pl.col("location").alias("Pnode"),
        pl.col("lmp").alias("LMP"),
        pl.col("loss").alias("MLC"),
        pl.col("congestion").alias("MCC"),
        pl.col("energy").alias("MEC"),
    )
    return told.write_csv().encode()


def _all(rows: pl.DataFrame) -> Cells:
    return set(rows.select("location", "end").iter_rows())


def flatline(rows: pl.DataFrame) -> Wrong:
    """One place keeps its first price while the others move."""
    mine = pl.col("location") == PLACES[3]
    first = rows.filter(mine).row(0, named=True)
    # The identity holds: congestion takes up what energy and loss do.
    flat = rows.with_columns(pl.when(mine).then(first["lmp"]).otherwise("lmp").alias("lmp")).with_columns(
        pl.when(mine)
        .then((pl.col("lmp") - pl.col("energy") - pl.col("loss")).round(4))
        .otherwise("congestion")
        .alias("congestion")
    )
    return Wrong(flat, {(PLACES[3], end) for end in rows["end"].unique()} - {(PLACES[3], first["end"])})


def frozen(rows: pl.DataFrame) -> Wrong:
    """The last half of the file repeats one interval at every place."""
    ends = rows["end"].unique().sort()
    half = ends[len(ends) // 2]
    held = rows.filter(pl.col("end") == half).drop("end")
    late = rows.filter(pl.col("end") > half).select("location", "end").join(held, on="location", how="left")
    return Wrong(pl.concat([rows.filter(pl.col("end") <= half), late.select(rows.columns)]), _all(late))


def wrong_sign(rows: pl.DataFrame) -> Wrong:
    """Congestion with its sign turned, and the price with it left."""
    turned = rows.with_columns(-pl.col("congestion").alias("congestion"))
    return Wrong(turned, _all(rows.filter(pl.col("congestion").abs() > 0.001)))


def unit_slip(rows: pl.DataFrame) -> Wrong:
    """Every number a thousand times too large: all laws hold, no market has cleared there."""
    slipped = rows.with_columns((pl.col("lmp", "energy", "congestion", "loss") * 1_000).round(4))
    return Wrong(slipped, _all(rows))


def shifted_hour(rows: pl.DataFrame) -> Wrong:
    """Labels an hour late."""
    moved = rows.with_columns(pl.col("end") + timedelta(hours=1))
    return Wrong(moved, _all(moved))


def duplicates(rows: pl.DataFrame) -> Wrong:
    """Rows twice, a tenth of them with another price the second time: which is right nobody can tell."""
    again = rows.gather_every(10).with_columns(
        (pl.col("congestion") + 7).alias("congestion"), (pl.col("lmp") + 7).round(4).alias("lmp")
    )
    return Wrong(pl.concat([rows, rows.gather_every(5), again]), _all(again))


def missing_nodes(rows: pl.DataFrame) -> Wrong:
    """A quarter of the places is not there."""
    return Wrong(rows.filter(~pl.col("location").is_in(PLACES[:3])), set())


def spikes(rows: pl.DataFrame) -> Wrong:
    """Lone figures far away, laws intact."""
    ends = rows["end"].unique().sort()
    hit = (pl.col("location") == PLACES[5]) & pl.col("end").is_in([ends[4], ends[len(ends) // 2]])
    spiked = rows.with_columns(
        pl.when(hit).then(pl.col("lmp") + 3_000).otherwise("lmp").round(4).alias("lmp"),
        pl.when(hit).then(pl.col("congestion") + 3_000).otherwise("congestion").round(4).alias("congestion"),
    )
    return Wrong(spiked, _all(rows.filter(hit)))


def nulls(rows: pl.DataFrame) -> Wrong:
    """A third of the prices are empty."""
    gone = pl.int_range(pl.len()) % 3 == 0
    holes = rows.with_columns(pl.when(~gone).then("lmp").alias("lmp"))
    return Wrong(holes, _all(rows.filter(gone)))


def truncated(rows: pl.DataFrame) -> Wrong:
    """The file ends after two thirds of its rows."""
    return Wrong(rows.head(rows.height * 2 // 3), set())


def swapped(rows: pl.DataFrame) -> Wrong:
    """Energy and loss have changed places."""
    return Wrong(rows.rename({"energy": "loss", "loss": "energy"}).select(rows.columns), _all(rows))


FAULTS: dict[str, Callable[[pl.DataFrame], Wrong]] = {
    fault.__name__: fault
    for fault in (
        flatline, truncated, frozen, wrong_sign, unit_slip, shifted_hour, duplicates, missing_nodes, spikes, nulls,
        swapped,
    )
}  # fmt: skip
