"""Values that need no reading are taken as the command line's library reads them; whatever else it reads itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from shell import typed

from carbon254.cli.console import group
from carbon254.cli.parameters import Reading, read_late

took: dict[str, Any] = {}


def command(
    text: str,
    more: Annotated[list[str] | None, typer.Argument()] = None,
    number: Annotated[int, typer.Option(min=1, max=9)] = 3,
    share: float = 0.5,
    flag: bool = False,
    maybe: int | None = None,
    folder: Annotated[Path, typer.Option("-w")] = Path("workspace"),
    file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False)] = None,
) -> None:
    took.clear()
    took.update(locals())


WORDS = [
    ["x"],
    [""],
    ["a", "b", ""],
    ["x", "--number", "7", "--share", "2"],
    ["x", "--number", "0"],
    ["x", "--number", "ten"],
    ["x", "--share", "much"],
    ["x", "--flag"],
    ["x", "--no-flag", "--maybe", "4"],
    ["x", "-w", "elsewhere"],
    ["x", "-w", "."],
    ["x", "-w", ""],
    ["x", "--file", "nowhere"],
    ["x", "--file", __file__],
    ["x", "--file", str(Path(__file__).parent)],
    [],
]


def run(words: list[str], late: bool, capsys: pytest.CaptureFixture[str]) -> tuple[Any, dict[str, Any], str]:
    holder = group("")
    holder.command("it")(command)
    made = typer.main.get_group(holder).commands["it"]
    if late:
        read_late(made.params)
        assert all(isinstance(one._runtime_param, Reading) for one in made.params)  # type: ignore[attr-defined]
    took.clear()
    try:
        code: Any = made.main(words, "it", standalone_mode=True)
    except SystemExit as ended:
        code = ended.code
    return code, dict(took), capsys.readouterr().err


@pytest.mark.parametrize("words", WORDS, ids=str)
def test_a_value_is_what_the_library_would_make_of_it(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words, True, capsys) == run(words, False, capsys)


def test_a_folder_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whoever runs the tests may be allowed to read everything.
    monkeypatch.setattr("os.access", lambda path, mode, **_: mode == 0)
    said = typed("logs", "-w", tmp_path)
    assert said.code == 2 and "not readable" in " ".join(said.err.split())
