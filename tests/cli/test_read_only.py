"""Every command on a workspace that may only be read, on a full disk, and on what is no workspace: reading works, and
what cannot be done is one line that names the folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer.main
from reliability.smalldisk import small_disk
from shell import RT, c254, clean, spp_file, typed

import carbon254
from carbon254.cli.main import app
from carbon254.errors import DiskFull, DiskRefused

DAY = "2025-07-01"
TICKS = '{"instrument":"NG","time":"2025-07-01T12:00:00Z","price":3.25,"quantity":2,"source":"desk","sequence":1}\n'
READING: dict[str, list[str]] = {
    "sql": ["SELECT count() FROM interval_prices"],
    "prices": ["SPP", DAY, "2025-07-02"],
    "ladder": ["MISO"],
    "verify": [],
    "doctor": [],
    "status": [],
    "feeds list": [],
    "feeds status": [],
    "feeds watermark": ["--feed", RT],
    "feeds history": ["--feed", RT, "--partition", DAY],
    "feeds lineage": [RT, DAY],
    "dlq list": [],
    "dlq show": ["1"],
    "lake stats": [],
    "lake export": ["PAGE"],
    "lake orphans": [],
    "quality run": [],
    "quality report": ["--out", "PAGE"],
    "quality explain": [RT, DAY],
    "quality held": [],
    "instruments list": [],
    "instruments show": ["POWER_SP15_REAL_TIME"],
    "places list": [],
    "places resolve": ["SPPNORTH_HUB", "--market", "SPP"],
    "places history": ["SPPNORTH_HUB", "--market", "SPP"],
}
WRITING: dict[str, list[str]] = {
    "up": ["--port", "0", "--no-poll"],
    "demo": ["--once", "--days", "1"],
    "bootstrap": [],
    "generate": ["--mode", "malformed", "--count", "2"],
    "feeds run": ["--feed", RT, "--file", "FILE"],
    "feeds replay": ["--feed", RT, "--from", DAY],
    "feeds unlock": ["--feed", RT],
    "instruments import": ["INSTRUMENTS"],
    "dlq reprocess": ["--all"],
    "lake compact": [],
    "rebuild": ["hot"],
    "upgrade": [],
    "lake expire": [],
    "quality release": [RT, DAY, "--reason", "tried"],
    "places load": ["PLACES", "--market", "SPP"],
    "places rename": ["SPPNORTH_HUB", "LOC_X", "--market", "SPP", "--at", DAY],
    "places merge": ["SPPNORTH_HUB", "--into", "SPPSOUTH_HUB", "--market", "SPP", "--at", DAY],
    "places split": ["SPPNORTH_HUB", "--into", "SPPSOUTH_HUB", "--market", "SPP", "--at", DAY],
}
# Without a workspace, or with Kafka; `logs` and `stop` only ask whether there is a node.
OTHERS = {"serve", "stop", "logs", "emulator", "units", "feeds parse", "lake views"}


def commands() -> Iterator[str]:
    def walk(command: typer.main.TyperGroup, path: tuple[str, ...]) -> Iterator[str]:
        for name, found in command.commands.items():
            inner = getattr(found, "commands", None)
            yield from walk(found, (*path, name)) if inner else iter([" ".join((*path, name))])  # type: ignore[arg-type]

    yield from walk(typer.main.get_command(app), ())  # type: ignore[arg-type]


@contextmanager
def mounted_read_only(folder: Path, at: Path) -> Iterator[Path]:
    """The folder at another place, where nothing may be written; the test is skipped, visibly, where none may mount."""
    at.mkdir()
    if subprocess.run(["mount", "--bind", str(folder), str(at)], capture_output=True, check=False).returncode:
        pytest.skip("a folder that may only be read needs the right to mount it (root)")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(at)], capture_output=True, check=True)
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    path = spp_file(folder / "RTBM-LMP-SL-202507010705.csv", bad={3: "n/a"})
    # In a process of its own: one that lives on would close its files while the tests look at them.
    said = c254("feeds", "run", "--feed", RT, "--file", path, "-w", folder / "ws")
    assert said.code == 3, said
    return folder / "ws"


@pytest.fixture(scope="module")
def sealed(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The workspace where it may only be read."""
    with mounted_read_only(made, tmp_path_factory.mktemp("sealed") / "ws") as at:
        yield at


def untouched(folder: Path) -> dict[Path, int]:
    """When each file was written; the budget is this process's own, which closes it late."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("budget.db"))
    return {path: path.stat().st_mtime_ns for path in files}


def test_every_command_is_tried() -> None:
    known = READING.keys() | WRITING.keys() | OTHERS
    assert {name for name in commands() if not name.startswith("calendar ")} == known


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", READING)
def test_a_reading_command_reads_what_may_only_be_read(name: str, sealed: Path, made: Path, tmp_path: Path) -> None:
    before = untouched(made)
    option = [] if name == "ladder" else ["-w", sealed]
    words = (str(tmp_path / "page.html") if word == "PAGE" else word for word in READING[name])
    said = typed(*name.split(), *words, *option)
    assert said.code == (1 if name == "quality run" and said.code == 1 else 0), said
    assert "Traceback" not in said.err and "error:" not in said.err, said
    assert untouched(made) == before


@pytest.mark.sampled(13)
@pytest.mark.parametrize("name", WRITING)
def test_a_writing_command_says_which_folder_may_not_be_written(name: str, sealed: Path, tmp_path: Path) -> None:
    given = {"FILE": str(spp_file(tmp_path / "RTBM-LMP-SL-202507010705.csv")), "PLACES": str(tmp_path / "hubs.csv")}
    given["INSTRUMENTS"] = str(tmp_path / "desk.csv")
    (tmp_path / "desk.csv").write_text("instrument,commodity\nGAS_X,natural_gas\n", "utf-8")
    (tmp_path / "hubs.csv").write_text("location_id,location,location_type\nX,X,hub\n", "utf-8")
    said = typed(*name.split(), *(given.get(word, word) for word in WRITING[name]), "-w", sealed)
    clean(said, 2, str(sealed), "may not be written", "mount it for writing")
    assert said.err.count("\n") == 1, said.err


@pytest.mark.slow
def test_what_is_read_is_what_was_stored(sealed: Path) -> None:
    answer = typed("sql", "SELECT count(), max(lmp) FROM interval_prices", "--format", "csv", "-w", sealed)
    assert answer.out.splitlines()[1] == "9,29.5"
    with carbon254.open(sealed) as reader:
        assert reader.sql("SELECT count() AS n FROM ohlc_bars").to_polars()["n"][0] > 0
        assert reader.prices("SPP", DAY, "2025-07-02").to_polars().height == 9


@pytest.mark.slow
def test_what_a_killed_node_left_in_its_journal_is_read_too(made: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from carbon254.app import open_node; "
        "from carbon254.settings import Settings; from carbon254.stores.log import NewRecord; "
        "node = open_node(Settings(workspace=Path(sys.argv[1])), {}); "
        "node.log.append([NewRecord('note.test', None, {'rows': 0}, b'')]); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "ws")], check=False)
    assert done.returncode == 9 and (tmp_path / "ws" / "log.db-wal").stat().st_size
    with mounted_read_only(tmp_path / "ws", tmp_path / "at") as at:
        from carbon254.mirror import readable
        from carbon254.stores.log import open_log

        log = open_log(readable(at) / "log.db")
        assert [info.topic for info in log.topics()] == ["note.test"]
        log.close()


@pytest.mark.slow
def test_a_full_disk_is_said(tmp_path: Path) -> None:
    path = spp_file(tmp_path / "RTBM-LMP-SL-202507010705.csv")
    with small_disk(tmp_path / "disk", 64) as disk:
        folder = tmp_path / "disk" / "ws"
        assert typed("feeds", "run", "--feed", RT, "--file", path, "-w", folder).code == 0
        disk.fill()
        newer = spp_file(tmp_path / "RTBM-LMP-SL-202507010710.csv", bad={1: "77"})
        for command in (
            ["feeds", "run", "--feed", RT, "--file", newer],
            ["demo", "--once", "--days", "1"],
            ["feeds", "replay", "--feed", RT, "--from", DAY],
        ):
            clean(typed(*command, "-w", folder), 2, str(folder), "no space left", "free some of its disk")
        clean(typed("up", "--no-poll", "--port", "0", "-w", tmp_path / "disk" / "new"), 2, "no space left")
        disk.free()
        assert typed("sql", "SELECT 1", "-w", folder).code == 0


def test_a_workspace_of_another_user_is_said(made: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs to become another user (root)")
    typed("status", "-w", made)
    before = made.stat().st_mode
    made.chmod(0o700)
    read_end, write_end = os.pipe()
    if (child := os.fork()) == 0:
        # The tests' own interpreter may be out of another user's reach: what is needed is loaded already.
        os.setgid(65534)
        os.setuid(65534)
        for command in (["status"], ["dlq", "list"], ["verify"]):
            said = typed(*command, "-w", made)
            os.write(write_end, f"{said.code} {said.err}".encode())
        os._exit(0)
    os.close(write_end)
    os.waitpid(child, 0)
    made.chmod(before)
    lines = os.fdopen(read_end).read().splitlines()
    assert len(lines) == 3, lines
    assert all(line.startswith("2 error: ") and str(made) in line for line in lines), lines


@pytest.mark.parametrize(
    "command", [["sql", "SELECT 1"], ["status"], ["dlq", "list"], ["verify"], ["quality", "report"]]
)
def test_a_file_in_the_place_of_a_workspace_is_said(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", "utf-8")
    clean(typed(*command, "-w", tmp_path / "file"), 2, "is a file", "--workspace")
    clean(typed(*command, "-w", tmp_path / "file" / "below"), 2, "is a file", "--workspace")


def test_python_gets_the_same_errors(sealed: Path, tmp_path: Path) -> None:
    from carbon254.app import open_node
    from carbon254.settings import Settings

    with pytest.raises(DiskRefused, match="may not be written"):
        open_node(Settings(workspace=sealed), {})
    with small_disk(tmp_path / "disk", 8) as disk:
        disk.fill()
        with pytest.raises(DiskFull, match="no space left"):
            open_node(Settings(workspace=tmp_path / "disk" / "ws"), {})


@pytest.mark.slow
def test_a_node_on_a_full_disk_answers_so_over_http(tmp_path: Path) -> None:
    import httpx2 as httpx

    from carbon254.app import open_node
    from carbon254.cli.ports import listener
    from carbon254.cli.serving import Served
    from carbon254.settings import Settings

    tick = {
        "instrument": "NG",
        "time": "2025-07-01T12:00:00Z",
        "price": 3.25,
        "quantity": 2,
        "source": "d",
        "sequence": 1,
    }
    with small_disk(tmp_path / "disk", 64) as disk, open_node(Settings(workspace=tmp_path / "disk" / "ws"), {}) as node:
        served = Served(node, listener("127.0.0.1", 0, explicit=True))
        served.start()
        disk.fill()
        with httpx.Client(base_url=served.url, trust_env=False, timeout=60) as client:
            refused = client.post("/v1/ingest/market.ticks", json=[tick])
            assert refused.status_code == 507, refused.text
            assert "no space left" in refused.json()["detail"].lower()
            disk.free()
            assert client.post("/v1/ingest/market.ticks", json=[tick]).status_code == 202
        served.stop()
