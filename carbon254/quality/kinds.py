"""Every kind of check by the name it has in `quality.yaml`."""

from __future__ import annotations

from collections.abc import Mapping

from .behaviour import Frozen, Spikes, Stale, Stuck
from .check import Check
from .identity import Balance, Identity
from .laws import HourlyMean, Hub, OneEnergy, Share
from .row_checks import Inside, Late, Matches, Nulls, Range, Unique
from .whole import Anomaly, Complete, Fresh, Intervals, Places

KINDS: Mapping[str, type[Check]] = {
    kind.kind: kind
    for kind in (
        Intervals, Complete, Places, Fresh, Late, Unique, Inside, Nulls, Range, Matches,
        Identity, OneEnergy, Share, Hub, HourlyMean, Balance,
        Stuck, Frozen, Spikes, Stale, Anomaly,
    )
}  # fmt: skip
