"""Logs and metrics. Names follow the Prometheus conventions: base units, `_total` counters, no unbounded labels."""

from __future__ import annotations

import logging
import sys

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logging(level: str = "info", json: bool | None = None) -> None:
    """Send logs to standard error: for people on a terminal, as JSON otherwise."""
    as_json = not sys.stderr.isatty() if json is None else json
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS.get(level.lower(), logging.INFO)),
        # Looked up at each call: a stream that was replaced or closed since must not be written to.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def log_to_standard_error() -> None:
    """Unless somebody has said where logs go: standard output is for what was asked."""
    if not structlog.is_configured():
        configure_logging("warning")


class Metrics:
    """The counters of one node, in a registry of its own so that two nodes in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        feed = ["feed"]
        new = self.registry
        self.payloads = Counter("c254_payloads_received_total", "Payloads received", feed, registry=new)
        self.repeated = Counter("c254_payloads_repeated_total", "Payloads already known", feed, registry=new)
        self.rows = Counter("c254_rows_ingested_total", "Rows normalised", feed, registry=new)
        self.rejected = Counter(
            "c254_rows_rejected_total", "Rows and payloads sent to dead letters", feed, registry=new
        )
        self.held = Counter("c254_rows_held_total", "Rows that a quality check held back", feed, registry=new)
        self.stored = Counter("c254_rows_stored_total", "Rows inserted into the hot store", ["dataset"], registry=new)
        self.lag = Gauge("c254_log_lag_records", "Records a consumer has yet to carry", ["consumer"], registry=new)
        self.visible = Histogram(
            "c254_arrival_to_query_seconds",
            "From a record's append to its rows being queryable",
            registry=new,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )
        self.success = Gauge(
            "c254_feed_last_success_timestamp_seconds", "When a feed's payload was last stored", feed, registry=new
        )
        self.failures = Counter("c254_consumer_failures_total", "Steps that raised", ["consumer"], registry=new)
