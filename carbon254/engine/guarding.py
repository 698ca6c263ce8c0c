"""Bounds on what carrying one payload may take: processor time, wall time, and memory of the process.

A parser that never ends, or that eats all memory, must not keep other feeds waiting. One thread looks at what is under
way and raises `Overrun` in the thread that has taken too much, again and again until it lets go.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from carbon254.memory import resident

_LOOK_S = 0.25
_LINGER_S = 5.0
_MB = 1 << 20


class Overrun(BaseException):
    """A payload took more than it may. No ordinary error, so that no parser takes it for bad input."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one payload may take: processor seconds by its size, as many times that by the wall, and memory."""

    seconds: float = 60.0
    seconds_a_mb: float = 5.0
    by_the_wall: float = 10.0
    memory_bytes: int = 4096 * _MB

    def cpu_s(self, size: int) -> float:
        """Processor seconds for a payload of so many bytes."""
        return self.seconds + self.seconds_a_mb * size / _MB


@dataclass
class _Work:
    """What one thread has under way."""

    bounds: Bounds
    size: int
    thread: int
    clock: int
    cpu_s: float
    wall_s: float
    memory: int
    why: str = ""

    def over(self) -> str:
        """What it took too much of, in words; empty while it is within its bounds."""
        most, wall = self.bounds.cpu_s(self.size), self.bounds.cpu_s(self.size) * self.bounds.by_the_wall
        if time.clock_gettime(self.clock) - self.cpu_s > most:
            return f"reading it took more than {most:.0f} s of a processor"
        if time.monotonic() - self.wall_s > wall:
            return f"reading it took more than {wall:.0f} s"
        if resident() - self.memory > self.bounds.memory_bytes:
            return f"reading it took more than {self.bounds.memory_bytes // _MB:,} MB of memory"
        return ""


class Guard:
    """Watches payloads of this process. Safe to use from many threads, one payload a thread."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._lock, self._under_way = threading.Condition(), dict[int, _Work]()
        self._watcher: threading.Thread | None = None

    @contextmanager
    def within(self, size: int) -> Iterator[Callable[[], str]]:
        """Within the block this thread may take what a payload of `size` bytes may. Raises Overrun in it; the function
        says why afterwards."""
        thread = threading.get_ident()
        clock = time.pthread_getcpuclockid(thread)
        work = _Work(self._bounds, size, thread, clock, time.clock_gettime(clock), time.monotonic(), resident())
        with self._lock:
            self._under_way[thread] = work
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="c254-guard", daemon=True)
                self._watcher.start()
        try:
            yield lambda: work.why
        finally:
            self._let_go(thread)

    def _let_go(self, thread: int) -> None:
        while True:
            try:
                with self._lock:
                    self._under_way.pop(thread, None)
                    # One that was raised and has not come yet must not come later, in somebody else's work.
                    _raise_in(thread, None)
                return
            except Overrun:
                continue

    def _watch(self) -> None:
        quiet_s = 0.0
        while True:
            time.sleep(_LOOK_S)
            with self._lock:
                quiet_s = 0.0 if self._under_way else quiet_s + _LOOK_S
                if quiet_s > _LINGER_S:
                    self._watcher = None
                    return
                for work in self._under_way.values():
                    work.why = work.why or work.over()
                    if work.why:
                        _raise_in(work.thread, Overrun)


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    found = ctypes.py_object(kind) if kind is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), found)
