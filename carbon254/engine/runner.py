"""Running the consumers: all of them in this process, each in its own thread, or one pass until nothing is left.

Starting and recovering are the same path: a consumer begins where its offset says.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import structlog

from carbon254.errors import TransientError
from carbon254.stores.log import Log
from carbon254.telemetry import Metrics

Step = Callable[[], int]
_IDLE_S = 0.25
_TROUBLE_S = 2.0
_LONG_S = 120.0


class Runner:
    """Keeps consumers stepping while there is something to carry."""

    def __init__(
        self,
        log: Log,
        steps: Mapping[str, Step],
        metrics: Metrics,
        pause_s: Mapping[str, float],
        trace: bool = False,
        beside: Collection[str] = (),
        at_rest: Mapping[str, Step] | None = None,
    ) -> None:
        """`beside` names what a node does beside the flow, in its own time: nobody waits for it. `at_rest` are the
        steps of consumers that bide their time while a node runs, and do not when everything is to be carried."""
        self._at_rest = at_rest or {}
        self._log, self._steps, self._metrics, self._pause_s = log, steps, metrics, pause_s
        self._trace, self._beside = trace, beside
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._began: dict[str, float] = {}
        self.trouble: dict[str, str] = {}

    def told(self) -> dict[str, str]:
        """Consumers in trouble and why; one whose step does not end is, too."""
        now = time.monotonic()
        long = {name: now - began for name, began in self._began.copy().items() if now > began + _LONG_S}
        return {name: f"its step has not ended for {seconds:.0f} s" for name, seconds in long.items()} | self.trouble

    def drain(self) -> None:
        """Step each consumer of the flow, in its order, until it has nothing left. Raises what a consumer raises."""
        steps = {**self._steps, **{name: step for name, step in self._at_rest.items() if name in self._steps}}
        for step in (step for name, step in steps.items() if name not in self._beside):
            while step():
                pass

    def start(self, only: Sequence[str] = ()) -> None:
        """Start a thread a consumer: all of them, or those named."""
        for name, step in self._steps.items():
            if only and name not in only:
                continue
            thread = threading.Thread(target=self._loop, args=(name, step), name=f"c254-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Let each consumer finish its step, then return."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _loop(self, name: str, step: Step) -> None:
        journal = structlog.get_logger().bind(consumer=name)
        while not self._stop.is_set():
            try:
                began = self._began[name] = time.monotonic()
                carried = step()
                if carried and self._trace:
                    journal.info("step", carried=carried, seconds=round(time.monotonic() - began, 4))
                self.trouble.pop(name, None)
            except Exception as error:
                # A consumer must outlive a bad moment of a store: the trouble is shown by /ready and tried again.
                told, self.trouble[name] = self.trouble.get(name), f"{type(error).__name__}: {error}"
                self._metrics.failures.labels(name).inc()
                if told != self.trouble[name]:
                    _say(journal, error)
                self._stop.wait(_TROUBLE_S)
                continue
            finally:
                self._began.pop(name, None)
            if carried:
                self._stop.wait(self._pause_s.get(name, 0.0))
            else:
                self._log.wait(_IDLE_S)


def _say(journal: Any, error: Exception) -> None:
    """What is away is a line; what nobody foresaw comes with where it happened."""
    if isinstance(error, TransientError):
        journal.warning("step waits; it will be tried again", reason=str(error))
    else:
        journal.error("step failed; it will be tried again", exc_info=error)
