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
    "no text": ("SELECT repeat(unhex('ff'), 1000000) AS x FROM numbers(120)", "csv"),
    "long text": ("SELECT repeat('x', 1000000) AS x FROM numbers(10000)", "json"),
    "groups": ("SELECT number AS k, count() AS n FROM numbers(200000000) GROUP BY k ORDER BY n LIMIT 5", "json"),
    "group arrays": ("SELECT number % 7 AS k, groupArray(number) AS x FROM numbers(200000000) GROUP BY k", "json"),
    "sorted": ("SELECT number, toString(number) AS s FROM numbers(50000000) ORDER BY s LIMIT 900000", "arrow"),
    "joined": ("SELECT count() FROM numbers(30000000) a JOIN numbers(30000000) b ON a.number = b.number", "json"),
    "wide json": (f"SELECT {WIDE} FROM numbers(9000)", "json"),
    "wide csv": (f"SELECT {WIDE} FROM numbers(400000)", "csv"),
    "wide arrow": (f"SELECT {WIDE} FROM numbers(400000)", "arrow"),
    "text csv": ("SELECT number, repeat('abc', 300) AS s FROM numbers(900000)", "csv"),
    "wide receipt": (f"SELECT {WIDE} FROM numbers(140000) WHERE (SELECT count() FROM interval_prices) = 0", "arrow"),
    "totals": ("SELECT number AS k, repeat('x', 300) AS s FROM numbers(900000) GROUP BY k, s WITH TOTALS", "arrow"),
}


def peak_mb(pid: int) -> float:
    """The highest resident memory since it was last forgotten."""
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def forget_peak(pid: int) -> None:
    """Let the highest resident memory be counted from now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def asked(url: str, sql: str, form: str, readers: int, more: dict[str, object]) -> tuple[Counter[int], Counter[str]]:
    """(answers by status, what was said of refusals)."""
    told: list[int] = []
    reasons: Counter[str] = Counter()

    def ask() -> None:
        body = {"sql": sql, "format": form, **more}
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
    for thread in threads:
        thread.join()
    return Counter(told), reasons


# In a process of its own: beside so many readers a thread would measure them, and not the node.
PROBE = """
import sys, time, threading, httpx2
done, worst = threading.Event(), 0.0
threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
with httpx2.Client(timeout=120) as client:
    while not done.wait(0.02):
        began = time.perf_counter()
        client.get(sys.argv[1] + "/health").raise_for_status()
        worst = max(worst, time.perf_counter() - began)
print(worst)
"""


def probed(url: str) -> subprocess.Popen[str]:
    """Asks for /health until its input ends, and prints the longest it took in seconds."""
    return subprocess.Popen(
        [sys.executable, "-c", PROBE, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def main(counts: list[int], kinds: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "workspace"
        words = [*_C254, "up", "--no-poll", "--port", "0", "-w", str(folder)]
        child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            ready(child, folder)
            found = Workspace(folder).running()
            assert found is not None
            asked(found.url, "SELECT 1 AS x", "json", 1, {})
            time.sleep(2)
            idle = standing(child.pid)["memory_mb"]
            print(json.dumps({"bench": "readers", "idle_mb": idle}), flush=True)
            for kind in kinds:
                sql, form = STATEMENTS[kind]
                for readers in counts:
                    before = standing(child.pid)["memory_mb"]
                    forget_peak(child.pid)
                    began = time.perf_counter()
                    probe = probed(found.url)
                    told, reasons = asked(found.url, sql, form, readers, {"receipt": True} if "receipt" in kind else {})
                    health, _ = probe.communicate()
                    line = {
                        "bench": "readers",
                        "statement": kind,
                        "readers": readers,
                        "growth_mb": round(peak_mb(child.pid) - idle),
                        "before_mb": before - idle,
                        "answers": {str(status): number for status, number in sorted(told.items())},
                        "health_ms": round(float(health) * 1_000),
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
