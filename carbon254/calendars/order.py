"""The pass of a repeated hour from nothing but the order of rows within a location."""

from __future__ import annotations

import numpy as np
import polars as pl

from .wall import NO_PASS, Passes, Status, Statuses
from .zones import DAY, Micros


def passes_by_order(
    wall: Micros, status: Statuses, place: pl.Series | None = None, ordinal: pl.Series | None = None
) -> Passes:
    """0, 1 or -1 for each label, `status` being what `wall.to_utc` says of it without a pass.

    The second pass opens where a location's label stops rising. Runs off the grid keep their place in the order. A
    location whose first label of the day already lies in the repeated hour, and that never steps back, could be in
    either pass: its labels stay -1. `ordinal` is the order of rows within a location, where they do not come in it.
    """
    passes = np.full(len(wall), NO_PASS, np.int8)
    twice = status == Status.TWICE
    if not twice.any():
        return passes
    day = wall // DAY
    near = np.flatnonzero(np.isin(day, np.unique(day[twice])))
    where = pl.Series(near)
    frame = pl.DataFrame(
        {
            "place": np.zeros(len(near)) if place is None else place.gather(where),
            "ordinal": near if ordinal is None else ordinal.gather(where),
            "day": day[near],
            "wall": wall[near],
            "twice": twice[near],
            "row": near,
        }
    ).sort("ordinal", maintain_order=True)
    group = ["place", "day"]
    back = (pl.col("twice") & (pl.col("wall") <= pl.col("wall").shift(1).over(group))).fill_null(False)
    second = back.cum_sum().over(group) > 0
    anchored = ~pl.col("twice").first().over(group) | back.any().over(group)
    told = pl.when(pl.col("twice") & anchored).then(second.cast(pl.Int8)).otherwise(pl.lit(NO_PASS, dtype=pl.Int8))
    passes[frame["row"].to_numpy()] = frame.select(told).to_series().to_numpy()
    return passes
