"""The embedded engine, loaded once for a process and with a desk's share of the machine.

The engine's pools are made by the first connection of a process and keep their sizes for ever. Its package (chdb 4.4)
opens that connection while it is imported, with a server's sizes: 128 threads that clear old parts away, of which none
ever goes. So a connection with our sizes is made on the extension module before the package is imported.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from urllib.parse import urlencode

_PACKAGE, _EXTENSION = "chdb", "chdb._chdb"
_LIBRARY = "_chdb.abi3.so"
# Symbols of the library are looked up in itself first, as the package loads it.
_DEEPBIND = 0x00008
# Few threads wait for work, caches are small, and what looks after memory looks less often.
SETTINGS = {
    "max_thread_pool_free_size": 4,
    "max_io_thread_pool_size": 4,
    "prefetch_threadpool_pool_size": 2,
    "load_marks_threadpool_pool_size": 2,
    "threadpool_local_fs_reader_pool_size": 4,
    "threadpool_writer_pool_size": 2,
    "max_active_parts_loading_thread_pool_size": 2,
    "max_outdated_parts_loading_thread_pool_size": 1,
    "max_unexpected_parts_loading_thread_pool_size": 1,
    "max_parts_cleaning_thread_pool_size": 1,
    "max_prefixes_deserialization_thread_pool_size": 2,
    "max_format_parsing_thread_pool_size": 4,
    "async_insert_threads": 1,
    "background_pool_size": 2,
    "background_schedule_pool_size": 2,
    "jemalloc_max_background_threads_num": 1,
    "memory_worker_period_ms": 2_000,
    "mark_cache_size": 64 << 20,
    "index_mark_cache_size": 16 << 20,
    "primary_index_cache_size": 64 << 20,
    "query_condition_cache_size": 8 << 20,
    "compiled_expression_cache_size": 16 << 20,
    "uncompressed_cache_size": 0,
    "mmap_cache_size": 100,
}


def load() -> ModuleType:
    """The engine's package, its pools made with SETTINGS where this process has not loaded it before."""
    if _PACKAGE not in sys.modules:
        _size_pools()
    return importlib.import_module(_PACKAGE)


def _size_pools() -> None:
    """Make the pools. Where the library is not where we look for it the package makes them, larger ones."""
    found = importlib.util.find_spec(_PACKAGE)
    places = [Path(place) / _LIBRARY for place in (found and found.submodule_search_locations) or ()]
    library = next((place for place in places if place.exists()), None)
    spec = library and importlib.util.spec_from_file_location(_EXTENSION, library)
    if not (library and spec and spec.loader):
        return
    if sys.platform == "linux":
        ctypes.CDLL(str(library), mode=sys.getdlopenflags() | _DEEPBIND)
    extension = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(extension)
    # The package takes the extension that is loaded already.
    sys.modules[_EXTENSION] = extension
    extension.connect(f":memory:?{urlencode(SETTINGS)}").close()
