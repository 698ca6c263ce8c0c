"""Opening a workspace: rooms open side by side, and where one cannot the others are given up again."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import carbon254.app
from carbon254.app import open_node
from carbon254.settings import Settings
from carbon254.stores.hot import HotStore, open_hot


def test_the_engine_opens_beside_the_other_rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither waits for the other: the engine begins before the places are listed, and they end without it."""
    began, listed, seed = threading.Event(), threading.Event(), carbon254.app.seed_reference

    def opening(*given: object, **more: object) -> HotStore:
        began.set()
        assert listed.wait(60), "the places wait for the engine"
        return open_hot(*given, **more)  # type: ignore[arg-type]

    def listing(*given: object) -> None:
        assert began.wait(60), "the engine waits for the places"
        seed(*given)  # type: ignore[arg-type]
        listed.set()

    monkeypatch.setattr(carbon254.app, "open_hot", opening)
    monkeypatch.setattr(carbon254.app, "seed_reference", listing)
    with open_node(Settings(workspace=tmp_path / "ws"), {}) as node:
        assert node.hot.fetch("SELECT 1 AS one")["one"].to_pylist() == [1]
        assert node.reference.places("all").height


@pytest.mark.parametrize("broken", ["open_reference", "lake_of", "seed_reference"])
def test_where_a_room_does_not_open_the_others_are_given_up(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("it does not open")

    with monkeypatch.context() as patch:
        patch.setattr(carbon254.app, broken, refuse)
        with pytest.raises(ValueError, match="does not open"):
            open_node(Settings(workspace=tmp_path / "ws"), {})
    # Neither the workspace nor the engine's folder is held any more.
    with open_node(Settings(workspace=tmp_path / "ws"), {}) as node:
        assert node.reference.places("all").height


def test_where_the_tables_cannot_be_made_the_store_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(HotStore, "ensure", lambda *_: (_ for _ in ()).throw(ValueError("no tables")))
        with pytest.raises(ValueError, match="no tables"):
            open_node(Settings(workspace=tmp_path / "ws"), {})
    with open_node(Settings(workspace=tmp_path / "ws"), {}) as node:
        assert node.hot.fetch("SELECT count() AS n FROM interval_prices")["n"].to_pylist() == [0]
