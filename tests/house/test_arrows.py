"""Imports only go down. Feeds and stores never meet; the reading side never sees feeds or the pipeline."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "carbon254"

# Each room may import the rooms named after it, and itself.
GROUND = {"errors", "clock", "identity", "telemetry", "faults", "lasting", "walking", "disk", "memory", "nearest"}
VOCABULARY = {"model", "calendars", "units", "wire"}
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "clock": {"errors"},
    "telemetry": {"errors"},
    "faults": set(),
    "identity": set(),
    "lasting": set(),
    "walking": set(),
    "memory": set(),
    "disk": {"errors"},
    "mirror": {"errors", "disk", "walking", "workspace"},
    "nearest": {"errors"},
    "model": GROUND,
    "calendars": GROUND,
    "units": GROUND,
    "quality": GROUND | {"model", "calendars"},
    "wire": GROUND,
    "feeds": GROUND | VOCABULARY,
    "proof": GROUND | VOCABULARY,
    "stores": GROUND | VOCABULARY,
    "stages": GROUND | VOCABULARY,
    "ingest": GROUND | VOCABULARY | {"stores"},
    "engine": GROUND | VOCABULARY | {"stores", "stages", "ingest", "proof", "quality"},
    "emulator": GROUND | VOCABULARY | {"feeds"},
    "pipeline": GROUND | VOCABULARY | {"stores", "stages", "ingest", "engine", "feeds", "proof", "quality"},
    "poller": GROUND | VOCABULARY | {"feeds", "pipeline"},
    "workspace": GROUND | {"identity"},
    "names": GROUND | VOCABULARY | {"stores"},
    "api": GROUND | VOCABULARY | {"stores", "stages", "ingest", "proof", "names"},
    "portal": GROUND | VOCABULARY | {"api"},
    "settings": GROUND,
    "connections": GROUND | VOCABULARY | {"feeds", "stores", "settings", "workspace"},
    "consumers": GROUND | VOCABULARY | {"connections", "stores", "ingest", "engine", "settings", "workspace"},
    "app": GROUND
    | VOCABULARY
    | {
        "api",
        "connections",
        "consumers",
        "stores",
        "stages",
        "ingest",
        "engine",
        "feeds",
        "pipeline",
        "settings",
        "workspace",
        "names",
        "mirror",
    },
    "upgrading": GROUND | VOCABULARY | {"connections", "engine", "settings", "stores", "workspace"},
    "vintages": GROUND | VOCABULARY | {"api", "proof", "names", "stages"},
    "reader": GROUND | VOCABULARY | {"api", "workspace", "app", "settings", "proof", "vintages", "names", "mirror"},
}
# The command line is the top: it may import any room.


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imported_rooms(path: Path) -> set[str]:
    package = ("carbon254", *path.relative_to(PACKAGE).with_suffix("").parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{stem}.{alias.name}" for alias in node.names] if stem == "carbon254" else [stem]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("carbon254.")}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_go_down(path: Path) -> None:
    room = room_of(path)
    if room in ("cli", "__init__"):
        return
    assert room in ROOMS, f"{room} is a new room: write down what it may import"
    upward = imported_rooms(path) - ROOMS[room] - {room}
    assert not upward, f"{path.relative_to(PACKAGE)} imports {sorted(upward)}; hand it in instead"


@pytest.mark.slow
def test_a_drivers_client_is_imported_by_its_own_room_only() -> None:
    homes = {
        "clickhouse_connect": "stores/hot",
        "pyiceberg": ("stores/lake", "model/iceberg.py"),
        "confluent_kafka": "stores/log",
        "apsw": ("stores/log", "feeds/budget.py"),
        "alembic": (
            "stores/migrations",
            "stores/ledger/versions",
            "stores/metrics/versions",
            "stores/reference/versions",
        ),
    }
    for driver, home in homes.items():
        allowed = (home,) if isinstance(home, str) else home
        for path in modules():
            where = str(path.relative_to(PACKAGE))
            if where.startswith(allowed):
                continue
            names = {
                (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
                for node in ast.walk(ast.parse(path.read_text("utf-8")))
                if isinstance(node, ast.Import | ast.ImportFrom)
            }
            assert not any(name.split(".")[0] == driver for name in names), f"{where} imports {driver}"
