"""Whether the rooms behind a node answer now, asked with patience: one that says nothing must not hold up who asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

Ask = Callable[[], object]
_PATIENCE_S = 3.0


class Doors:
    """Calls that raise where a room does not answer, by the room's name. Safe to use from many threads."""

    def __init__(self, asks: Mapping[str, Ask]) -> None:
        self._asks = asks
        self._lock = threading.Lock()
        self._asking: dict[str, _Asking] = {}

    def trouble(self) -> dict[str, str]:
        """Why rooms do not answer, by name. One that was asked and has not answered yet is not asked again."""
        with self._lock:
            for name, ask in self._asks.items():
                if name not in self._asking or self._asking[name].told:
                    self._asking[name] = _Asking(name, ask)
            asking = dict(self._asking)
        end = time.monotonic() + _PATIENCE_S
        said = {name: one.said(max(0.0, end - time.monotonic())) for name, one in asking.items()}
        return {name: text for name, text in said.items() if text}


class _Asking:
    """One question, in a thread of its own: it may never be answered."""

    def __init__(self, name: str, ask: Ask) -> None:
        self._ask, self._began, self._trouble = ask, time.monotonic(), ""
        self._done = threading.Event()
        self.told = False
        threading.Thread(target=self._run, name=f"c254-ask-{name}", daemon=True).start()

    def said(self, patience_s: float) -> str:
        """What is wrong; empty where nothing is."""
        if not self._done.wait(patience_s):
            return f"it has not answered for {time.monotonic() - self._began:.0f} s"
        self.told = True
        return self._trouble

    def _run(self) -> None:
        try:
            self._ask()
        except Exception as error:
            # Whatever a client of a store raises: it is what the room says.
            self._trouble = f"it does not answer: {error}"
        self._done.set()
