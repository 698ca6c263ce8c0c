"""Giving memory back that nothing needs any more.

A burst of work leaves an idle process with freed memory that its allocators keep, and with pages of library code that
were used once. On Linux both can be handed back; what is needed again comes again from the page cache. Elsewhere
nothing happens.
"""

from __future__ import annotations

import ctypes
import gc
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MAPS = Path("/proc/self/smaps")
_HEAD = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\d+) +(\S.*)?")
_DONTNEED = 4
# Arrow's own pool keeps what each thread freed for that thread; the system's is one for all, and is trimmed.
_ARROW = ("ARROW_DEFAULT_MEMORY_POOL", "system")
# Polars' allocator, one arena a processor times four, gives an arena's pages back only when that arena is used again.
_POLARS = ("_RJEM_MALLOC_CONF", "narenas:2,background_thread:true")
_ARENA_MAX, _ARENAS = -8, 2


@contextmanager
def loading() -> Iterator[None]:
    """Load a node's modules: with allocators that give back what a burst of work took, and without looking for cycles.

    Of cycles there are few while thousands of modules load, and looking costs a tenth of the time. What the environment
    says of an allocator stands. Allocators of libraries that are loaded already stay as they are.
    """
    os.environ.setdefault(*_ARROW)
    name, value = _POLARS
    # What is said later goes before.
    os.environ[name] = ",".join(filter(None, (value, os.environ.get(name))))
    with suppress(OSError, AttributeError):
        # An arena a thread is many half empty ones: a node has fifty threads, and few that work at a time.
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _ARENAS)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def settled() -> None:
    """What is there now stays: cycles are looked for in what comes from here on."""
    gc.collect()
    gc.freeze()


def resident() -> int:
    """Bytes of memory that this process has resident; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def give_back() -> None:
    """Hand back freed memory, and code that was loaded and is not in use. Takes some hundred milliseconds."""
    import pyarrow as pa

    gc.collect()
    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.malloc_trim(0)
        libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        for begin, end in _clean_code():
            libc.madvise(begin, end - begin, _DONTNEED)


def _clean_code() -> Iterator[tuple[int, int]]:
    """Mappings of library files that cannot be written and of which no page was ever changed."""
    if not _MAPS.exists():
        return
    found: tuple[int, int] | None = None
    for line in _MAPS.read_text("utf-8", "replace").splitlines():
        if head := _HEAD.match(line):
            begin, end, rights, inode, name = head.groups()
            library = int(inode) > 0 and ".so" in (name or "")
            found = (int(begin, 16), int(end, 16)) if library and rights[1] == "-" and rights[3] == "p" else None
        elif found and line.startswith("Anonymous:"):
            # Relocated pages are ours alone: dropped, they would come back without their relocations.
            if int(line.split()[1]) == 0:
                yield found
            found = None
