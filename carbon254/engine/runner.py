"""Running the consumers: all of them in this process, each in its own thread, or one pass until nothing is left.

Starting and recovering are the same path: a consumer begins where its offset says.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from carbon254.stores.log import Log
from carbon254.telemetry import Metrics

Step = Callable[[], int]
_IDLE_S = 0.25
_TROUBLE_S = 2.0


class Runner:
    """Keeps consumers stepping while there is something to carry."""

    def __init__(
        self, log: Log, steps: Mapping[str, Step], metrics: Metrics, pause_s: Mapping[str, float], trace: bool = False
    ) -> None:
        self._log, self._steps, self._metrics, self._pause_s = log, steps, metrics, pause_s
        self._trace = trace
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.trouble: dict[str, str] = {}

    def drain(self) -> None:
        """Step each consumer until it has nothing left, in the order of the flow. Raises what a consumer raises."""
        for step in self._steps.values():
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
                began = time.perf_counter()
                carried = step()
                if carried and self._trace:
                    journal.info("step", carried=carried, seconds=round(time.perf_counter() - began, 4))
                self.trouble.pop(name, None)
            except Exception as error:
                # A consumer must outlive a bad moment of a store: the trouble is shown by /ready and tried again.
                told, self.trouble[name] = self.trouble.get(name), f"{type(error).__name__}: {error}"
                self._metrics.failures.labels(name).inc()
                if told != self.trouble[name]:
                    journal.error("step failed; it will be tried again", exc_info=error)
                self._stop.wait(_TROUBLE_S)
                continue
            if carried:
                self._stop.wait(self._pause_s.get(name, 0.0))
            else:
                self._log.wait(_IDLE_S)
