"""A workspace's own files: torn ones are one line, and all of them are their owner's alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from shell import RT, c254, clean, samples, typed

from carbon254.workspace import Workspace

TORN = {
    "empty": b"", "cut off": b'{"format": ', "not JSON": b"format 1", "not UTF-8": b"\xff\xfe{", "a list": b"[1]",
    "a number": b"1", "no format": b"{}", "null": b"null",
}  # fmt: skip


@pytest.mark.sampled(7)
@pytest.mark.parametrize("name", [*TORN, "a folder"])
def test_a_torn_marker_is_one_line_that_says_what_to_do(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "ws"
    folder.mkdir()
    if name == "a folder":
        (folder / "workspace.json").mkdir()
    else:
        (folder / "workspace.json").write_bytes(TORN[name])
    for command in (["sql", "SELECT 1"], ["feeds", "run", "--feed", RT, "--file", str(samples("spp")[0])]):
        said = typed(*command, "-w", folder)
        clean(said, 2, "workspace.json cannot be read", "restore it from a backup")
        assert len(said.err.strip().splitlines()) == 1


@pytest.mark.parametrize("text", ["", '{"pid": ', "[]", "{}"])
def test_a_torn_note_of_a_node_is_no_node(tmp_path: Path, text: str) -> None:
    owner = Workspace(tmp_path / "ws")
    owner.claim()
    try:
        (tmp_path / "ws" / "node.json").write_text(text, "utf-8")
        assert Workspace(tmp_path / "ws").running() is None
    finally:
        owner.release()


@pytest.mark.slow
def test_every_file_of_a_workspace_is_its_owners_alone(tmp_path: Path) -> None:
    file = next(path for path in samples("spp") if path.name.startswith("DA-LMP") and path.suffix == ".csv")
    before = os.umask(0o022)
    try:
        said = c254("feeds", "run", "--feed", "iso.da.lmp.spp", "--file", file, "-w", tmp_path / "ws")
        assert said.code == 0, said.err
        assert c254("sql", "SELECT count() FROM interval_prices", "-w", tmp_path / "ws").code == 0
    finally:
        os.umask(before)
    found = [tmp_path / "ws", *(tmp_path / "ws").rglob("*")]
    assert len(found) > 50
    open_to_others = {
        str(path.relative_to(tmp_path)): oct(stat.S_IMODE(path.stat().st_mode))
        for path in found
        if stat.S_IMODE(path.stat().st_mode) & 0o077
    }
    assert open_to_others == {}
