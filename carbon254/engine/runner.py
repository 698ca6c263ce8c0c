"""Running the consumers: all of them in this process, each in its own thread, or one pass until nothing is left.

Starting and recovering are the same path: a consumer begins where its offset says.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from carbon254.disk import disk_trouble
from carbon254.errors import DiskTrouble, TransientError
from carbon254.stores.log import Log
from carbon254.telemetry import Metrics

Step = Callable[[], int]
# What goes by the clock (housekeeping, verdicts) looks up so often; what goes by the log is woken by it.
_IDLE_S = 5.0
_TROUBLE_S = 2.0
_VISITED_S = 5.0
_LONG_S = 120.0


class Runner:
    """Keeps consumers stepping while there is something to carry."""

    def __init__(
        self,
        log: Log,
        steps: Mapping[str, Step],
        metrics: Metrics,
        rest_s: Mapping[str, Callable[[], float]],
        trace: bool = False,
        beside: Collection[str] = (),
        at_rest: Mapping[str, Step] | None = None,
        folder: Path = Path(),
    ) -> None:
        """`rest_s` tells how long a consumer rests after it carried something, so that its next step has more to carry
        at once. `beside` names what a node does beside the flow, in its own time: nobody waits for it. `at_rest` are
        the steps of consumers that bide their time while a node runs, and do not when everything is to be carried.
        `folder` is told of where its disk refuses.
        """
        self._log, self._steps, self._metrics, self._rest_s = log, steps, metrics, rest_s
        self._trace, self._beside, self._folder = trace, beside, folder
        self._at_rest = at_rest or {}
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
        self._log.wake()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _loop(self, name: str, step: Step) -> None:
        journal = structlog.get_logger().bind(consumer=name)
        while not self._stop.is_set():
            # Counted before the step looks: what comes after that is news to wake up for.
            news = self._log.news()
            try:
                began = self._began[name] = time.monotonic()
                carried = step()
                if carried and self._trace:
                    journal.info("step", carried=carried, seconds=round(time.monotonic() - began, 4))
                self.trouble.pop(name, None)
            except Exception as error:
                # A consumer must outlive a bad moment of a store: the trouble is shown by /ready and tried again.
                found = disk_trouble(error, self._folder) or error
                told, self.trouble[name] = self.trouble.get(name), f"{type(found).__name__}: {found}"
                self._metrics.failures.labels(name).inc()
                if told != self.trouble[name]:
                    _say(journal, found)
                self._stop.wait(_TROUBLE_S)
                continue
            finally:
                self._began.pop(name, None)
            if carried:
                self._rest(name)
            else:
                self._log.wait(_IDLE_S, news)

    def _rest(self, name: str) -> None:
        """Let more gather before the next step; not for long while somebody beside us waits for what he brought."""
        rest_s = self._rest_s.get(name)
        seconds, began = rest_s() if rest_s else 0.0, time.monotonic()
        while not self._stop.is_set():
            most = min(seconds, _VISITED_S) if self._log.visited() else seconds
            if (left := began + most - time.monotonic()) <= 0:
                return
            self._stop.wait(min(left, 1.0))


def _say(journal: Any, error: Exception) -> None:
    """What is away is a line; what nobody foresaw comes with where it happened."""
    if isinstance(error, TransientError | DiskTrouble):
        journal.warning("step waits; it will be tried again", reason=str(error))
    else:
        journal.error("step failed; it will be tried again", exc_info=error)
