"""Every command and every piece of Python in README and the guides runs as written, beside the demo, and answers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from documents import OURS, ROOT, Block, blocks, documents
from shell import environment

from carbon254.cli.main import app
from carbon254.emulator.server import running

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("documents")]
_PATIENCE_S = 240.0
_EMPTY = re.compile(r"^(0 rows|nothing\b|\(no rows\))", re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """The folder in which the demo runs, as a reader's clone."""

    folder: Path
    demo: subprocess.Popen[bytes]

    def run(self, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        env = environment() | {"PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"} | variables
        return subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=env, capture_output=True, text=True, timeout=240, check=False
        )

    def stop(self) -> None:
        if self.demo.poll() is None:
            self.demo.send_signal(signal.SIGTERM)
            self.demo.wait(60)


def clone(folder: Path) -> Path:
    """A folder that looks like a reader's clone."""
    folder.mkdir(parents=True)
    for name in ("carbon254", ".venv"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = clone(tmp_path_factory.mktemp("demo") / "clone")
    log = (folder / "demo.log").open("wb")
    command = [sys.executable, "-m", "carbon254.cli", "demo", "--port", "0"]
    demo = subprocess.Popen(command, cwd=folder, env=environment(), stdout=log, stderr=subprocess.STDOUT)
    found = Place(folder, demo)
    try:
        until_it_serves(found)
        yield found
    finally:
        found.stop()
        log.close()


def until_it_serves(place: Place) -> None:
    end = time.monotonic() + _PATIENCE_S
    while "live page" not in (said := (place.folder / "demo.log").read_text("utf-8", "replace")):
        assert place.demo.poll() is None, said
        assert time.monotonic() < end, said
        time.sleep(0.2)


def shown(path: Path) -> list[Block]:
    return [block for block in blocks(path) if not block.needs.startswith("not run")]


def answers(place: Place, block: Block, **variables: str) -> None:
    """Each command of the block ends well and says something."""
    for command in block.commands:
        done = place.run(command, **variables)
        where = f"{block.document}:{block.line}: {command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert done.returncode == 0, where
        assert not OURS.match(command) or (done.stdout + done.stderr).strip(), f"says nothing: {where}"
        assert not _EMPTY.search(done.stdout + done.stderr), f"answers with nothing: {where}"


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_what_a_document_shows_runs_beside_the_demo(path: Path, place: Place) -> None:
    code = []
    for block in shown(path):
        if block.file:
            (place.folder / block.file).write_text(block.text, "utf-8")
        elif block.commands and not block.needs:
            answers(place, block)
        elif block.kind == "python":
            code.append((block.line, block.text))
    listed = place.folder / f"{path.name}.json"
    listed.write_text(json.dumps(code), "utf-8")
    done = place.run(f"{sys.executable} {Path(__file__).with_name('snippet.py')} {listed}")
    assert done.returncode == 0, f"{path.name}: {done.stderr[-2000:]}"


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_what_a_document_shows_on_data_of_ones_own_runs(path: Path, place: Place, tmp_path: Path) -> None:
    for number, block in enumerate(block for block in shown(path) if block.needs == "own"):
        folder = clone(tmp_path / str(number))
        answers(Place(folder, place.demo), block)


def test_commands_that_go_to_providers_run_on_the_emulator(place: Place, tmp_path: Path) -> None:
    with running(seed=1) as emulator:
        found = [block for path in documents() for block in shown(path) if block.needs == "live"]
        assert found
        for number, block in enumerate(found):
            folder = clone(tmp_path / str(number))
            answers(Place(folder, place.demo), block, C254_EMULATOR_URL=emulator.url)


def test_commands_that_need_the_node_stopped_run_after_it(place: Place) -> None:
    place.stop()
    found = [block for path in documents() for block in shown(path) if block.needs == "stopped"]
    assert found
    for block in found:
        answers(place, block)


SPAN = re.compile(r"`(?:\.venv/bin/)?c254 ([^`\n]+)`")


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_commands_named_in_a_sentence_exist(path: Path) -> None:
    for words in SPAN.findall(path.read_text("utf-8")):
        command: Any = typer.main.get_command(app)
        for word in words.split():
            if (below := getattr(command, "commands", None)) and not word.startswith("-"):
                assert set(word.split("|")) <= set(below), f"{path.name}: c254 {words}"
                command = below[word.split("|")[0]]
            elif word.startswith("--"):
                options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
                assert word.split("=")[0] in options, f"{path.name}: c254 {words} has no {word}"
