"""What the reference store promises, on SQLite and on a real Postgres."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbon254.errors import AmbiguousPlace, ReferenceRefused, SettingsError, UnknownName, UnknownPlace
from carbon254.stores.postgres import address
from carbon254.stores.reference import Link, Reference, open_reference
from carbon254.stores.reference.database import MIGRATIONS
from carbon254.stores.reference.tables import METADATA

T0 = datetime(2025, 1, 1, tzinfo=UTC)
NOW = datetime(2025, 7, 1, tzinfo=UTC)


def day(number: int) -> datetime:
    return T0 + timedelta(days=number)


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("database", marks=pytest.mark.servers("postgres"), id="postgres"),
        pytest.param("pooled", marks=pytest.mark.servers("postgres", "pgbouncer"), id="pgbouncer"),
    ]
)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'reference.db'}"
    return request.getfixturevalue(request.param)()


@pytest.fixture
def store(url: str) -> Iterator[Reference]:
    with open_reference(url, lambda: NOW) as opened:
        yield opened


def listed(**places: str) -> list[dict[str, str]]:
    """A list: location_id=name."""
    return [{"location_id": place, "name": name} for place, name in places.items()]


def spans(store: Reference, place: str, market: str = "PJM") -> list[tuple[str, datetime | None, datetime | None]]:
    return store.history(market, place).select("name", "valid_from", "valid_to").rows()


def dump(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    engine = sa.create_engine(address(url, "C254_REFERENCE_URL"))
    with engine.connect() as db:
        found = {name: [tuple(row) for row in db.execute(sa.select(t))] for name, t in METADATA.tables.items()}
    engine.dispose()
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


# lists


def test_the_same_list_twice_changes_nothing_at_all(store: Reference, url: str) -> None:
    places = [{"location_id": "A", "name": "Alpha", "voltage": 138.0, "zone": "W"}, {"location_id": "B"}]
    assert store.load("nodes", "pjm", places, T0, "list").counts == (2, 0, 0)
    before = dump(url)
    for again in (places, places[::-1], [{**row, "zone": row.get("zone")} for row in places]):
        assert store.load("nodes", "PJM", again, T0, "list").counts == (0, 0, 0)
    assert dump(url) == before


@pytest.mark.parametrize("effective", [T0, None])
def test_a_complete_or_undated_list_twice_changes_nothing(
    store: Reference, url: str, effective: datetime | None
) -> None:
    for complete in (True, False):
        store.load("hubs", "PJM", listed(A="Alpha", B="Beta"), effective, "list", complete)
        before = dump(url)
        assert store.load("hubs", "PJM", listed(B="Beta", A="Alpha"), effective, "list", complete).counts == (0, 0, 0)
        assert dump(url) == before


def test_a_changed_attribute_closes_one_row_and_opens_one(store: Reference) -> None:
    old = [{"location_id": "A", "voltage": 138}, {"location_id": "B", "voltage": 345}]
    store.load("nodes", "PJM", old, T0, "list")
    loaded = store.load("nodes", "PJM", [{"location_id": "A", "voltage": 230}, old[1]], day(10), "list")
    assert (loaded.counts, loaded.unchanged) == ((1, 1, 0), 1)
    rows = store.history("PJM", "A").select("attributes", "valid_from", "valid_to", "known_from", "source").rows()
    assert rows == [
        ('{"voltage":138}', T0, day(10), NOW, "list"),
        ('{"voltage":230}', day(10), None, NOW, "list"),
    ]
    assert store.history("PJM", "B").height == 1


def test_missing_from_a_complete_list_retires_and_missing_from_another_does_not(store: Reference) -> None:
    store.load("nodes", "PJM", listed(A="Alpha", B="Beta"), T0, "list")
    store.load("zones", "PJM", listed(Z="Zone"), T0, "list")
    assert store.load("nodes", "PJM", listed(A="Alpha"), day(5), "list").counts == (0, 0, 0)
    assert store.load("nodes", "PJM", listed(A="Alpha"), day(6), "list", complete=True).counts == (0, 1, 0)
    assert spans(store, "B") == [("Beta", T0, day(6))]
    assert spans(store, "Z") == [("Zone", T0, None)]
    assert store.load("nodes", "PJM", listed(A="Alpha", B="Beta"), day(9), "list").counts == (1, 0, 0)
    assert spans(store, "B") == [("Beta", T0, day(6)), ("Beta", day(9), None)]


def test_a_back_dated_list_splits_history_up_to_the_next_word(store: Reference) -> None:
    store.load("nodes", "PJM", listed(A="one"), T0, "list")
    store.load("nodes", "PJM", listed(A="one"), day(20), "confirms")  # leaves no row, and is remembered
    store.load("nodes", "PJM", listed(A="two"), day(10), "back-dated")
    assert spans(store, "A") == [("one", T0, day(10)), ("two", day(10), day(20)), ("one", day(20), None)]


def test_a_complete_list_is_remembered_too(store: Reference) -> None:
    store.load("nodes", "PJM", listed(A="one", B="b"), day(20), "all", complete=True)
    store.load("nodes", "PJM", listed(A="two", C="c"), day(10), "back-dated")
    assert spans(store, "A") == [("two", day(10), day(20)), ("one", day(20), None)]
    assert spans(store, "C") == [("c", day(10), day(20))]


def test_a_correction_for_the_same_moment_replaces_what_was_said(store: Reference) -> None:
    store.load("nodes", "PJM", listed(A="one", B="b"), T0, "list", complete=True)
    assert store.load("nodes", "PJM", listed(A="two"), T0, "list", complete=True).counts == (0, 1, 1)
    assert spans(store, "A") == [("two", T0, None)]
    assert store.places(market="PJM")["location_id"].to_list() == ["A"]
    assert store.resolve("PJM", "b").location_id == "B"  # taken back, and still found


def test_an_undated_list_is_since_ever_for_new_places_and_from_now_for_others(store: Reference) -> None:
    store.load("nodes", "PJM", listed(A="one"), None, "list", learned_at=day(1))
    assert store.load("nodes", "PJM", listed(A="two", B="b"), None, "list", learned_at=day(9)).counts == (2, 1, 0)
    assert spans(store, "A") == [("one", None, day(9)), ("two", day(9), None)]
    assert spans(store, "B") == [("b", None, None)]
    assert store.places("nodes", "PJM", datetime(1999, 1, 1, tzinfo=UTC))["name"].to_list() == ["one", "b"]


def test_a_list_may_date_its_own_rows(store: Reference) -> None:
    rows = pl.DataFrame(
        {
            "location_id": ["A", "A", "B", "C"],
            "name": ["one", "two", "b", "c"],
            "valid_from": ["2025-01-01T00:00:00Z", "2025-01-11T00:00:00+00:00", "2025-01-01T00:00:00Z", "2025-01-01"],
            "valid_to": ["2025-01-11T00:00:00Z", None, "2025-01-06T00:00:00Z", None],
        }
    )
    loaded = store.load("nodes", "PJM", rows, None, "directory")
    assert loaded.opened == 3
    assert spans(store, "A") == [("one", T0, day(10)), ("two", day(10), None)]
    assert spans(store, "B") == [("b", T0, day(5))]
    assert "no instant with an offset" in loaded.rejects["reason"][0]


def test_malformed_and_repeated_rows_are_rejected_and_the_rest_is_loaded(store: Reference) -> None:
    rows = [
        {"location_id": "A", "name": "Alpha"},
        {"location_id": "  ", "name": "nobody"},
        {"location_id": None, "name": "nobody"},
        {"location_id": "B\x00", "name": "nul"},
        {"location_id": "A", "name": "Alpha"},
        {"location_id": "A", "name": "other"},
        {"location_id": "x" * 300, "name": "long"},
        {"location_id": "C", "name": "Gamma"},
    ]
    loaded = store.load("nodes", "PJM", rows, T0, "list")
    assert loaded.opened == 2
    assert loaded.rejects["line"].to_list() == [2, 3, 4, 5, 6, 7]
    reasons = loaded.rejects["reason"].to_list()
    assert "no location_id" in reasons[0] and "control characters" in reasons[2] and "longer" in reasons[5]
    assert "again: line 1 stands" in reasons[3] and "otherwise: line 1 stands" in reasons[4]
    assert '"name":"other"' in loaded.rejects["raw"][4]


def test_a_rejected_row_does_not_retire_its_place(store: Reference) -> None:
    store.load("nodes", "PJM", listed(A="Alpha", B="Beta"), T0, "list")
    store.load("nodes", "PJM", [{"location_id": "A"}, {"location_id": "B", "name": "\x07"}], day(1), "all", True)
    assert spans(store, "B") == [("Beta", T0, None)]


def test_lists_that_cannot_be_meant_are_refused(store: Reference) -> None:
    store.load("nodes", "PJM", listed(A="Alpha"), T0, "list")
    with pytest.raises(ReferenceRefused, match="no sound row, and would retire every one"):
        store.load("nodes", "PJM", pl.DataFrame(schema={"location_id": pl.String}), day(1), "list", complete=True)
    with pytest.raises(ReferenceRefused, match=r"needs a column location_id; it has: id"):
        store.load("nodes", "PJM", [{"id": "A"}], T0, "list")
    with pytest.raises(UnknownName, match="no kind of place 'node'; nearest: nodes"):
        store.load("node", "PJM", listed(A="a"), T0, "list")
    with pytest.raises(ReferenceRefused, match="has no time zone"):
        store.load("nodes", "PJM", listed(A="a"), datetime(2025, 1, 1), "list")
    with pytest.raises(ReferenceRefused, match="is not a market"):
        store.load("nodes", "PJM;", listed(A="a"), T0, "list")
    assert spans(store, "A") == [("Alpha", T0, None)]


def test_a_list_that_fails_half_way_leaves_nothing(store: Reference, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store.load("nodes", "PJM", listed(A="Alpha"), T0, "list")
    before = dump(url)
    monkeypatch.setattr("carbon254.stores.reference.loading.remember_stated", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.load("nodes", "PJM", listed(A="other", B="b"), day(1), "list")
    assert dump(url) == before


# histories against a slow, obvious model

_MARKETS = itertools.count()
_IDS = ("A", "B", "C")
_SAID = st.dictionaries(st.sampled_from(_IDS), st.sampled_from(["x", "y"]), max_size=3)
_LOADS = st.lists(
    st.tuples(st.integers(0, 9), _SAID.filter(bool), st.booleans()), min_size=1, max_size=6, unique_by=lambda x: x[0]
)


def model(loads: list[tuple[int, dict[str, str], bool]]) -> dict[str, list[tuple[str, int, int | None]]]:
    """What each place was on each day, by asking every list in the order of its date."""
    found: dict[str, list[tuple[str, int, int | None]]] = {}
    for place in _IDS:
        runs: list[tuple[str | None, int]] = [(None, -1)]
        for at, said, complete in sorted(loads, key=lambda load: load[0]):
            state = said.get(place, None if complete else runs[-1][0])
            if state != runs[-1][0]:
                runs.append((state, at))
        ends = [at for _, at in runs[1:]] + [None]
        found[place] = [(name, at, end) for (name, at), end in zip(runs, ends, strict=True) if name]
    return found


@pytest.fixture(scope="module")
def memory() -> Iterator[Reference]:
    with open_reference("sqlite://", lambda: NOW) as opened:
        yield opened


@pytest.mark.slow
@settings(max_examples=35, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(loads=_LOADS, order=st.randoms(use_true_random=False))
def test_lists_in_any_order_give_the_history_the_model_gives(
    memory: Reference, loads: list[tuple[int, dict[str, str], bool]], order: random.Random
) -> None:
    market = f"M{next(_MARKETS)}"
    for at, said, complete in order.sample(loads, len(loads)):
        memory.load("nodes", market, listed(**said), day(at), f"list {at}", complete)
    for at, said, complete in loads:
        assert memory.load("nodes", market, listed(**said), day(at), f"list {at}", complete).counts == (0, 0, 0)
    wanted = {
        (place, name, day(at), None if end is None else day(end))
        for place, runs in model(loads).items()
        for name, at, end in runs
    }
    found = memory.snapshot(market).select("location_id", "location", "valid_from", "valid_to").rows()
    assert set(found) == wanted and len(found) == len(wanted)


# names


def test_every_name_finds_the_place_and_says_how(store: Reference) -> None:
    store.load("nodes", "PJM", listed(N1="Old Town"), T0, "list")
    store.load("nodes", "PJM", listed(N1="New Town"), day(10), "list")
    for label, matched in (("N1", "location_id"), ("new town", "name"), ("Old Town", "former name")):
        found = store.resolve("pjm", label)
        assert (found.location_id, found.name, found.matched, found.via) == ("N1", "New Town", matched, ())
    assert store.resolve("PJM", "New Town", day(3)).name == "Old Town"
    assert store.resolve("P-jm", "N1").market == "PJM"  # as ISO-NE is ISONE
    assert store.names("PJM", "N1") == ["N1", "New Town", "Old Town"]


def test_retired_names_resolve_through_renames_and_merges(store: Reference) -> None:
    store.load("nodes", "PJM", listed(A="Alpha", B="Beta", C="Gamma"), T0, "list")
    store.rename("PJM", "A", "A2", day(10))
    store.merge("PJM", ["A2", "B"], "C", day(20))
    found = store.resolve("PJM", "Alpha")
    assert (found.location_id, found.retired) == ("C", False)
    assert found.via == (Link("rename", "A", "A2", day(10)), Link("merge", "A2", "C", day(20)))
    assert store.resolve("PJM", "A", day(5)).location_id == "A"
    assert store.resolve("PJM", "A", day(15)).location_id == "A2"
    assert store.resolve("PJM", "A2", day(5)).location_id == "A"  # the same place, before it was called so
    assert spans(store, "A") == [("Alpha", T0, day(10))]
    assert spans(store, "A2") == [("Alpha", day(10), day(20))]
    assert [link.kind for link in store.links("PJM", "A2")] == ["rename", "merge"]


def test_a_link_twice_changes_nothing(store: Reference, url: str) -> None:
    store.load("nodes", "PJM", listed(A="Alpha", C="Gamma"), T0, "list")
    store.rename("PJM", "A", "A2", day(10))
    store.merge("PJM", ["A2"], "C", day(20))
    before = dump(url)
    store.rename("PJM", "A", "A2", day(10))
    store.merge("PJM", ["A2"], "C", day(20))
    assert dump(url) == before


def test_a_retired_place_without_a_link_and_a_split_one_resolve_to_themselves(store: Reference) -> None:
    store.load("nodes", "PJM", listed(A="Alpha", B="Beta", C="Gamma"), T0, "list")
    store.split("PJM", "A", ["B", "C"], day(5))
    store.load("nodes", "PJM", listed(C="Gamma"), day(6), "list", complete=True)
    found = store.resolve("PJM", "alpha")
    assert (found.location_id, found.retired, found.successors, found.valid_to) == ("A", True, ("B", "C"), day(5))
    assert store.resolve("PJM", "Beta").retired


def test_an_id_that_came_back_is_itself_again(store: Reference) -> None:
    store.load("nodes", "PJM", listed(A="Alpha"), T0, "list")
    store.rename("PJM", "A", "B", day(10))
    store.load("nodes", "PJM", listed(A="Another"), day(20), "list")
    assert store.resolve("PJM", "A", day(15)).location_id == "B"
    assert store.resolve("PJM", "A").name == "Another"
    store.rename("PJM", "A", "B", day(30), name=None)  # B is there already: a link, and no new version
    assert spans(store, "B") == [("Alpha", day(10), None)]


def test_a_rename_there_and_back_ends(store: Reference) -> None:
    store.load("nodes", "PJM", listed(A="Alpha"), T0, "list")
    store.rename("PJM", "A", "B", day(1))
    store.rename("PJM", "B", "A", day(2))
    store.load("nodes", "PJM", listed(X="x"), day(3), "all", complete=True)
    assert store.resolve("PJM", "B").location_id == "A"
    assert store.resolve("PJM", "A").retired


def test_a_name_of_several_places_lists_them(store: Reference) -> None:
    store.load("nodes", "PJM", [{"location_id": x, "name": "Main St", "type": "load"} for x in "AB"], T0, "list")
    with pytest.raises(AmbiguousPlace, match=r"PJM: 'Main St' names 2 places: A \(Main St, load\); B .*by location_id"):
        store.resolve("PJM", "Main St")
    store.load("nodes", "PJM", listed(B="High St"), day(5), "list")
    assert store.resolve("PJM", "Main St").location_id == "A"  # only A still has the name


def test_an_unknown_name_says_the_nearest_and_what_to_do(store: Reference) -> None:
    with pytest.raises(UnknownPlace, match="PJM: no place is listed, so 'X' is none; markets with places: none"):
        store.resolve("PJM", "X")
    store.load("hubs", "PJM", listed(H1="WESTERN HUB"), T0, "list")
    with pytest.raises(UnknownPlace, match=r"PJM: no place is or was called 'westrn hub'; nearest: WESTERN HUB"):
        store.resolve("PJM", "westrn hub")
    with pytest.raises(UnknownPlace, match="markets with places: PJM"):
        store.resolve("MISO", "H1")
    with pytest.raises(UnknownPlace, match="was not there yet; it is listed from 2025-01-01"):
        store.resolve("PJM", "H1", T0 - timedelta(days=1))
    with pytest.raises(UnknownPlace, match="nearest"):
        store.history("PJM", "H2")


def test_links_that_cannot_be_meant_are_refused(store: Reference) -> None:
    store.load("nodes", "PJM", listed(A="Alpha"), T0, "list")
    for links in (
        lambda: store.rename("PJM", "A", "A", day(1)),
        lambda: store.merge("PJM", ["A"], "nowhere", day(1)),
        lambda: store.rename("PJM", "Alpha", "B", day(1)),
        lambda: store.rename("PJM", "A", "B", T0 - timedelta(days=1)),
    ):
        with pytest.raises(ReferenceRefused):
            links()
    with pytest.raises(UnknownPlace, match="nearest: Alpha"):
        store.rename("PJM", "Alphq", "B", day(1))
    assert spans(store, "A") == [("Alpha", T0, None)]


# lists that come with the code


def test_a_seed_changes_only_what_it_itself_changed(store: Reference, url: str) -> None:
    store.seed("hubs", "PJM", listed(A="one", B="b", C="c"), "places.csv", day(1))
    before = dump(url)
    store.seed("hubs", "PJM", listed(C="c", A="one", B="b"), "places.csv", day(2))
    assert dump(url) == before
    store.load("hubs", "PJM", listed(A="better"), day(3), "directory")
    store.seed("hubs", "PJM", listed(A="one", B="b2", D="d"), "places.csv", day(4))
    assert spans(store, "A") == [("one", None, day(3)), ("better", day(3), None)]
    assert spans(store, "B") == [("b", None, day(4)), ("b2", day(4), None)]
    assert spans(store, "C") == [("c", None, day(4))]
    assert spans(store, "D") == [("d", None, None)]
    assert store.seed("hubs", "PJM", listed(A="one", B="b2", D="d"), "places.csv", day(5)).counts == (0, 0, 0)


# snapshots


def test_an_id_of_two_kinds_is_one_place_at_a_time(store: Reference) -> None:
    store.load("nodes", "PJM", listed(A="node"), T0, "list")
    store.load("hubs", "PJM", listed(A="hub"), day(10), "list")
    store.load("hubs", "PJM", listed(Z="z"), day(20), "list", complete=True)
    store.load("constraints", "PJM", listed(A="constraint"), T0, "list")
    rows = (
        store.snapshot("PJM").filter(pl.col("location_id") == "A").select("location", "valid_from", "valid_to").rows()
    )
    assert rows == [("node", T0, day(10)), ("hub", day(10), day(20)), ("node", day(20), None)]


def test_the_version_rises_with_a_load_and_not_without(store: Reference) -> None:
    seen = [store.version("PJM")]
    store.load("nodes", "PJM", listed(A="a"), T0, "list")
    seen.append(store.version("PJM"))
    store.load("nodes", "PJM", listed(A="a"), T0, "list")
    store.load("nodes", "MISO", listed(A="a"), T0, "list")
    seen.append(store.version("PJM"))
    assert seen[0] < seen[1] == seen[2] < store.version()


# instruments, taxonomy, metadata


def test_instruments_taxonomy_and_metadata_are_put_once_and_looked_up(store: Reference) -> None:
    rows = [{"instrument": "PJM/H1", "name": "Western", "commodity": "power", "market": "PJM", "location_id": "H1"}]
    assert [store.put_instruments(rows, "card") for _ in range(2)] == [1, 0]
    assert store.put_instruments([{**rows[0], "unit": "USD/MWh"}], "card") == 1
    assert store.instrument("PJM/H1")["unit"] == "USD/MWh"
    assert store.instruments("pjm", "power").height == 1 and store.instruments("MISO").height == 0
    paths = [("power", "PJM", "real_time"), ("power", "MISO", "day_ahead"), ("natural_gas",)]
    assert [store.put_taxonomy(paths, "card") for _ in range(2)] == [6, 0]
    assert store.taxonomy("power/PJM")["path"].to_list() == ["power/PJM", "power/PJM/real_time"]
    assert store.taxonomy(tier="commodity")["name"].to_list() == ["natural_gas", "power"]
    assert [store.put_metadata("feed", "x", {"licence": "open", "homepage": "h"}, "card") for _ in range(2)] == [2, 0]
    assert store.metadata("feed", "x")["key"].to_list() == ["homepage", "licence"]
    with pytest.raises(UnknownPlace, match="no instrument is called"):
        store.instrument("nothing")
    with pytest.raises(ReferenceRefused, match="every row needs commodity"):
        store.put_instruments([{"instrument": "a", "name": "b", "market": "PJM"}], "card")
    with pytest.raises(ReferenceRefused, match="is not a path"):
        store.put_taxonomy([("power", "a/b")], "card")


# the schema


def test_migrations_make_the_tables_the_code_knows(store: Reference, url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    store.close()
    engine = sa.create_engine(address(url, "C254_REFERENCE_URL"))
    with engine.begin() as db:
        METADATA.drop_all(db)
        db.exec_driver_sql(f"DROP TABLE {MIGRATIONS.table}")
        MIGRATIONS.upgrade(db)
    with engine.connect() as db:
        context = MigrationContext.configure(db, opts={"version_table": MIGRATIONS.table, "compare_type": True})
        assert context.get_current_revision() == MIGRATIONS.head
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_a_store_opened_again_says_the_same(store: Reference, url: str) -> None:
    store.load("nodes", "PJM", listed(A="Alpha"), T0, "list")
    store.close()
    with open_reference(url) as again:
        assert spans(again, "A") == [("Alpha", T0, None)]


def test_a_newer_database_is_refused_and_left_alone(store: Reference, url: str) -> None:
    store.close()
    engine = sa.create_engine(address(url, "C254_REFERENCE_URL"))
    with engine.begin() as db:
        db.exec_driver_sql(f"UPDATE {MIGRATIONS.table} SET version_num = '9999'")
    before = dump(url)
    with pytest.raises(
        ReferenceRefused, match=f"has schema 9999, and this version of carbon254 knows {MIGRATIONS.head}: a newer"
    ):
        open_reference(url)
    assert dump(url) == before
    engine.dispose()


_OPEN = """
import sys
from carbon254.stores.reference import open_reference
sys.stdin.readline()
with open_reference(sys.argv[1]) as store:
    store.load("nodes", "PJM", [{"location_id": "A"}], None, "both")
"""


def test_processes_that_open_at_once_do_not_both_migrate(url: str) -> None:
    command = [sys.executable, "-c", _OPEN, url]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate("go\n", timeout=60)[1] for one in running]
    assert [one.returncode for one in running] == [0, 0], said
    with open_reference(url) as store:
        assert spans(store, "A") == [("A", None, None)]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("nonsense", "C254_REFERENCE_URL is no URL; write postgresql://"),
        ("mysql://x/y", "SQLite or Postgres, not mysql"),
        (
            "postgresql://nobody:secret@127.0.0.1:1/none",
            "C254_REFERENCE_URL: the database at 127.0.0.1:1/none does not answer",
        ),
    ],
)
def test_a_store_that_does_not_open_says_why_without_its_password(wrong: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as refused:
        open_reference(wrong)
    assert "secret" not in str(refused.value)
