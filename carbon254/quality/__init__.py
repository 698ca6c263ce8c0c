"""Quality that judges: rules beside the feed, one pass over rows, states that merge, verdicts with numbers and rows.

`observe` reads rows once and keeps a `PartitionState`; `judge` makes findings and the score of it; states of days merge
into a month's. No store, no feed and no clock is known here.
"""

from .check import Check, Context, Finding, Verdict
from .judge import Judgement, Service, context_for, judge, score, services, together
from .metrics import metrics
from .partition import PartitionState, merged
from .rules import Rules, RulesError, Targets, read_rules
from .scan import failing, observe

__all__ = [
    "Check",
    "Context",
    "Finding",
    "Judgement",
    "PartitionState",
    "Rules",
    "RulesError",
    "Service",
    "Targets",
    "Verdict",
    "context_for",
    "failing",
    "judge",
    "merged",
    "metrics",
    "observe",
    "read_rules",
    "score",
    "services",
    "together",
]
