"""The runner of the benchmarks: one that fails costs no other its result."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

RUNNER = Path(__file__).parents[2] / "bench" / "run.py"


def script(folder: Path, name: str, text: str) -> tuple[str]:
    path = folder / name
    path.write_text(text, "utf-8")
    return (str(path),)


def test_results_survive_a_benchmark_that_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runner = runpy.run_path(str(RUNNER))
    listed = [
        script(tmp_path, "first.py", 'print(\'{"bench": "first", "rows": 3}\')'),
        script(tmp_path, "broken.py", "import a_module_that_nobody_has"),
        script(tmp_path, "silent.py", ""),
        script(tmp_path, "last.py", 'print(\'{"bench": "last", "rows": 5}\')'),
    ]
    runner["FULL"][:] = listed

    assert runner["main"](False, tmp_path / "out") == 2

    results = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    assert [result.get("rows") for result in results] == [3, None, None, 5]
    assert "a_module_that_nobody_has" in results[1]["failed"]
    assert "exit 0, no output" in results[2]["failed"]
    assert "failed:" in capsys.readouterr().out
