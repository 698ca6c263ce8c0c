"""The metric store: states, metrics and verdicts of partitions, so that no partition is read twice."""

from .metrics import Kept, MetricStore, open_metrics

__all__ = ["Kept", "MetricStore", "open_metrics"]
