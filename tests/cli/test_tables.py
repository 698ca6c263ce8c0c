"""A table of many rows looks as one whose every cell is laid out."""

from __future__ import annotations

from typing import Any

import pytest

from carbon254.cli import console, tables

ROWS: dict[str, list[list[Any]]] = {
    "numbers": [[f"place {at}", at, at / 7, None if at % 3 else at * 1000] for at in range(200)],
    "wide letters": [["日本" * (at % 4), "é", "[bold]x[/bold]", at] for at in range(200)],
    "too wide": [["a" * 90, "b" * 90, "c" * 90, at] for at in range(60)],
    "line breaks": [["a\nb", "c\td", "", at] for at in range(60)],
    "few": [["a", "b", "c", 1.5]],
    "none": [],
}


@pytest.mark.parametrize("title", ["", "A title"])
@pytest.mark.parametrize("name", ROWS)
def test_many_rows_look_as_few_do(
    name: str, title: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for few in (tables._FEW, 1 << 60):
        monkeypatch.setattr(tables, "_FEW", few)
        monkeypatch.setattr(console, "out", console._Late(stderr=False))
        console.show(("name", "one", "two", "a longer name"), ROWS[name], title)
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert len(said[0].splitlines()) > len(ROWS[name])


def test_of_many_rows_one_is_laid_out(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    laid_out: list[int] = []
    add = tables._add
    monkeypatch.setattr(tables, "_add", lambda table, rows: (laid_out.append(len(rows)), add(table, rows)))
    console.show(("name", "one", "two", "a longer name"), ROWS["numbers"])
    assert laid_out == [1] and "place 199" in capsys.readouterr().out
