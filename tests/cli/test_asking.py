"""What a node is asked with the standard library alone is told as by the longer way; and without loading it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell import RT, clean, environment, spp_file, typed

from carbon254.app import open_node
from carbon254.cli.asking import ask, node_of, query
from carbon254.cli.ports import listener
from carbon254.cli.serving import Served
from carbon254.errors import NoWorkspace, QueryRefused, TransientError
from carbon254.settings import Settings

HEAVY = ("polars", "pyarrow", "chdb", "clickhouse_connect", "sqlalchemy", "pyiceberg", "fastapi", "httpx2", "numpy")
STATEMENTS = [
    "SELECT 1",
    "SELECT number, toString(number) AS text, number = 1 AS is_one FROM numbers(3)",
    "SELECT market, location, interval_start, lmp, flags FROM interval_prices ORDER BY location",
    "SELECT toDate32('2026-03-01') AS day, toDateTime64('2026-03-01 01:02:03.5', 6, 'UTC') AS at, NULL AS nothing",
    "SELECT 'a,b' AS comma, 'say \"x\"' AS quote, '' AS empty, 'é' AS accent, '=1+1' AS formula",
    "SELECT 1e16 AS large, 1e-7 AS small, 0.1 AS tenth, 3.0 AS whole, -0.0 AS minus, 18446744073709551615 AS most",
    "SELECT nan AS n, inf AS i",
    "SELECT [1, 2] AS list, (1, 'x') AS pair, map('a', 1) AS known, toDecimal64(1.5, 2) AS exact",
    "SELECT * FROM numbers(20000)",
    "SELECT market FROM interval_prices WHERE 0",
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace with a node that answers, in this process."""
    folder = tmp_path_factory.mktemp("asked")
    path = spp_file(folder / "RTBM-LMP-SL-202507010705.csv", bad={3: "n/a"})
    assert typed("feeds", "run", "--feed", RT, "--file", path, "-w", folder / "ws").code == 3
    with open_node(Settings(workspace=folder / "ws"), {}) as node:
        served = Served(node, listener("127.0.0.1", 0, explicit=True))
        served.start()
        node.workspace.announce(served.url)
        yield folder / "ws"
        served.stop()


@pytest.mark.sampled(2)
@pytest.mark.parametrize("form", ["csv", "json", "table"])
@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_short_way_says_what_the_long_way_says(
    statement: str, form: str, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("sql", statement, "-w", workspace, "--format", form, "--tz", "America/Chicago")
    short = typed(*words)
    monkeypatch.setattr("carbon254.cli.asking.query", lambda *_: None)
    assert short == typed(*words)
    assert short.code == 0


def test_reading_commands_say_the_same_beside_the_node_and_without_it(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = [typed(*words, "-w", workspace) for words in (["status"], ["dlq", "list"])]
    monkeypatch.setattr("carbon254.cli.node._told_by", lambda _: False)
    monkeypatch.setattr("carbon254.cli.asking.node_of", lambda _: None)
    alone = [typed(*words, "-w", workspace) for words in (["status"], ["dlq", "list"])]
    # The size of a workspace moves while its node runs.
    assert [one.out.split("\n", 1)[1] for one in beside] == [one.out.split("\n", 1)[1] for one in alone]
    assert "records to carry: normalise 0" in beside[0].out


@pytest.mark.parametrize("words", [["sql", "SELECT 1"], ["status"], ["dlq", "list"]], ids=" ".join)
def test_nothing_heavy_is_loaded_to_ask_a_node(words: list[str], workspace: Path) -> None:
    code = (
        "import sys; from carbon254.cli.main import app\n"
        "try: app(sys.argv[1:], prog_name='c254')\n"
        f"finally: print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *words, "-w", str(workspace)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and done.stderr.splitlines()[-1] == "[]", done.stderr


def test_what_a_node_refuses_or_does_not_answer_is_one_line(workspace: Path, tmp_path: Path) -> None:
    url = node_of(workspace)
    assert url
    with pytest.raises(QueryRefused, match="nothing"):
        query(url, "SELECT nothing FROM interval_prices")
    with pytest.raises(TransientError, match="does not answer"):
        ask("http://127.0.0.1:9", "/health")
    with pytest.raises(NoWorkspace):
        node_of(tmp_path / "none")
    clean(typed("sql", "DROP TABLE interval_prices", "-w", workspace), 1, "not a reading statement")
