"""What many readers at once cost a node: memory beyond what it holds idle, who was turned away, how soon it is healthy.

python bench/readers.py [READERS …]

Each kind of statement is asked by so many readers at once, over HTTP, of a node of an empty workspace. `growth_mb` is
the highest resident memory meanwhile, as the system counts it, less that of the node before any statement came.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx2 as httpx
from idle import _C254, _PATIENCE_S, ready, standing

from carbon254.workspace import Workspace

WIDE = ", ".join(f"number + {n} AS c{n}" for n in range(200))
# What fills memory, each in its own place: the engine's values, groups, sorted rows, or our answers.
STATEMENTS: dict[str, tuple[str, str]] = {
    "one huge list": ("SELECT range(100000000) AS x", "json"),
    "one large list": ("SELECT range(25000000) AS x", "arrow"),
    "many lists": ("SELECT range(100000) AS x FROM numbers(20000)", "arrow"),
    "long text": ("SELECT repeat('x', 1000000) AS x FROM numbers(10000)", "json"),
    "groups": ("SELECT number AS k, count() AS n FROM numbers(200000000) GROUP BY k ORDER BY n LIMIT 5", "json"),
    "group arrays": ("SELECT number % 7 AS k, groupArray(number) AS x FROM numbers(200000000) GROUP BY k", "json"),
    "sorted": ("SELECT number, toString(number) AS s FROM numbers(50000000) ORDER BY s LIMIT 900000", "arrow"),
    "joined": ("SELECT count() FROM numbers(30000000) a JOIN numbers(30000000) b ON a.number = b.number", "json"),
    "wide json": (f"SELECT {WIDE} FROM numbers(9000)", "json"),
    "wide csv": (f"SELECT {WIDE} FROM numbers(400000)", "csv"),
    "wide arrow": (f"SELECT {WIDE} FROM numbers(400000)", "arrow"),
    "text csv": ("SELECT number, repeat('abc', 300) AS s FROM numbers(900000)", "csv"),
    "totals": ("SELECT number AS k, repeat('x', 300) AS s FROM numbers(900000) GROUP BY k, s WITH TOTALS", "arrow"),
}


def peak_mb(pid: int) -> float:
    """The highest resident memory since it was last forgotten."""
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def forget_peak(pid: int) -> None:
    """Let the highest resident memory be counted from now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def asked(url: str, sql: str, form: str, readers: int) -> tuple[Counter[int], list[float], Counter[str]]:
    """(answers by status, seconds that /health took meanwhile, what was said of refusals)."""
    told: list[int] = []
    reasons: Counter[str] = Counter()

    def ask() -> None:
        body = {"sql": sql, "format": form}
        try:
            with httpx.stream("POST", f"{url}/v1/sql", json=body, timeout=120) as answer:
                size = 0
                said = b""
                for piece in answer.iter_bytes():
                    size += len(piece)
                    said = said or piece[:90]
                told.append(answer.status_code)
                if answer.status_code != 200:
                    reasons[said.decode("utf-8", "replace")] += 1
        except httpx.HTTPError as error:
            told.append(0)
            reasons[repr(error)] += 1

    threads = [threading.Thread(target=ask) for _ in range(readers)]
    for thread in threads:
        thread.start()
    health: list[float] = []
    while any(thread.is_alive() for thread in threads):
        began = time.perf_counter()
        httpx.get(f"{url}/health", timeout=120).raise_for_status()
        health.append(time.perf_counter() - began)
        time.sleep(0.05)
    return Counter(told), health, reasons


def main(counts: list[int], kinds: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "workspace"
        words = [*_C254, "up", "--no-poll", "--port", "0", "-w", str(folder)]
        child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            ready(child, folder)
            found = Workspace(folder).running()
            assert found is not None
            asked(found.url, "SELECT 1 AS x", "json", 1)
            time.sleep(2)
            idle = standing(child.pid)["memory_mb"]
            print(json.dumps({"bench": "readers", "idle_mb": idle}), flush=True)
            for kind in kinds:
                sql, form = STATEMENTS[kind]
                for readers in counts:
                    before = standing(child.pid)["memory_mb"]
                    forget_peak(child.pid)
                    began = time.perf_counter()
                    told, health, reasons = asked(found.url, sql, form, readers)
                    line = {
                        "bench": "readers",
                        "statement": kind,
                        "readers": readers,
                        "growth_mb": round(peak_mb(child.pid) - idle),
                        "before_mb": before - idle,
                        "answers": {str(status): number for status, number in sorted(told.items())},
                        "health_ms": round(max(health or [0]) * 1_000),
                        "seconds": round(time.perf_counter() - began, 1),
                        "said": reasons.most_common(2) if "-v" in sys.argv else None,
                    }
                    print(json.dumps(line), flush=True)
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()] or [1, 8, 32, 60]
    names = [word for word in sys.argv[1:] if word in STATEMENTS] or list(STATEMENTS)
    main(numbers, names)
