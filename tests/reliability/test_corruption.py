"""Harmed files: found when they are read or by the checks of `c254 verify`, and no wrong value is ever served.

Each harm is done to a fresh copy. The judge knows what was stored: a value that differs from it must come with a
complaint before or instead of it.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import apsw
import pytest
from contract.given_rows import benchmark, shaped

from carbon254.engine.lakekeeper import broken_files, keep_seals
from carbon254.errors import Carbon254Error, CorruptPayload
from carbon254.model import dataset
from carbon254.stores.lake import Lake, open_lake
from carbon254.stores.lake.places import path_of
from carbon254.stores.log import Letter, Log, NewRecord, open_log
from carbon254.stores.log.soundness import check_file
from carbon254.stores.raw import Provenance, RawArchive, open_raw

from .harm import WAYS, harm
from .tiers import figure, seed_for, tally

NOW = datetime(2025, 7, 1, tzinfo=UTC)
REFUSALS = (Carbon254Error, apsw.Error, OSError, KeyError, ValueError)


def test_a_harmed_payload_is_never_served(tmp_path: Path) -> None:
    seed = seed_for("corrupt raw")
    chance = random.Random(seed)
    with tally(6, "raw archive", seed) as done:
        for turn in range(figure(120, 2_500)):
            folder = tmp_path / str(turn)
            raw = open_raw(folder)
            stored = {_put(raw, number, chance): number for number in range(4)}
            files = sorted(folder.glob("*/*"))
            target, way = chance.choice(files), WAYS[turn % len(WAYS)]
            others = [path for path in files if path.suffix == target.suffix and path != target]
            changed = harm(target, way, chance, others)
            found, wrong = _read_raw(open_raw(folder), stored)
            assert not wrong, f"{way} of {target.name} was served: {wrong}"
            done.add(harms=1, found=found, harmless=not found)
            # Bits of a compressed frame that mean nothing leave the same bytes; then nothing is wrong.
            assert found or way in ("flip", "zero", "truncate") or not changed, f"{way} of {target.name} was not found"
            shutil.rmtree(folder)


def _put(raw: RawArchive, number: int, chance: random.Random) -> str:
    data = b"%d;" % number + chance.randbytes(5_000)
    return raw.put(data, Provenance("feed", "url", f"{number}.csv", "subject", NOW + timedelta(hours=number))).sha256


def _read_raw(raw: RawArchive, stored: dict[str, int]) -> tuple[bool, list[str]]:
    """(whether something was complained of, what was served and is wrong)."""
    complained, wrong = False, []
    for sha, number in stored.items():
        try:
            if not raw.get(sha).startswith(b"%d;" % number):
                wrong.append(sha)
            told = [(one.name, one.received_at) for one in raw.provenance(sha)]
            # No arrival at all is what a crash may leave; verify compares arrivals with the log's and complains.
            complained |= not told
            if told not in ([], [(f"{number}.csv", NOW + timedelta(hours=number))]):
                wrong.append(f"{sha}: {told}")
        except (KeyError, CorruptPayload):
            complained = True
    return complained, wrong


def test_a_harmed_log_is_found_before_it_is_believed(tmp_path: Path) -> None:
    seed = seed_for("corrupt log")
    chance = random.Random(seed)
    whole = tmp_path / "whole.db"
    log = open_log(whole)
    for number in range(60):
        with log.transaction() as txn:
            txn.append([NewRecord(f"rows.{number % 3}", str(number), {"n": number}, chance.randbytes(700))])
            txn.commit("c", f"raw.{number % 3}", number)
            txn.put_state("latest:feed", str(number), b"%064x" % number)
            txn.add_letter(Letter(None, "dlq.a", f"{number}", 1, "reason", "raw text", "parse", "1", NOW))
    truth = everything(log)
    log.close()
    with tally(6, "log", seed) as done:
        for turn in range(figure(150, 2_000)):
            path = tmp_path / f"{turn}.db"
            shutil.copy(whole, path)
            way = ("flip", "zero", "truncate", "delete")[turn % 4]
            harm(path, way, chance)
            complaint = _complaint(path, truth)
            assert complaint != "wrong", f"{way}: something else than was stored was served, and no check complained"
            done.add(harms=1, found=bool(complaint), harmless=not complaint)
            for left in tmp_path.glob(f"{turn}.db*"):
                left.unlink()


def everything(log: Log) -> list[object]:
    """All that the log can be asked for."""
    records = [(r.offset, r.topic, r.key, r.headers["n"], r.body, r.appended_s) for r in log.scan("")]
    states = [log.get_state("latest:feed", str(number)) for number in range(60)]
    return [records, log.offsets("c"), states, log.letters(limit=1_000)]


def _complaint(path: Path, truth: list[object]) -> str:
    """What a check or a reading says; `wrong` where neither says anything and the content differs."""
    found = check_file(path)
    if found:
        return found[0]
    try:
        log = open_log(path)
        try:
            return next(iter(log.check()), "") or ("" if everything(log) == truth else "wrong")
        finally:
            log.close()
    except REFUSALS as error:
        return f"{type(error).__name__}: {error}"


@pytest.fixture(scope="module")
def lake_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("corrupt") / "ws"
    lake, log = open_lake(folder / "lake"), open_log(folder / "log.db")
    for number in range(4):
        rows = [benchmark("oil", f"B{n}", date(2023 + number % 2, 1, 1), float(n + number)) for n in range(40)]
        lake.append({"energy_prices": shaped("energy_prices", rows)}, {"energy_prices": number + 1})
        keep_seals(log, lake, "energy_prices")
    lake.close()
    log.close()
    yield folder


@pytest.mark.sampled(2)
@pytest.mark.parametrize("part", ["data", "manifest", "metadata"])
def test_a_harmed_file_of_the_lake_is_found(part: str, lake_folder: Path, tmp_path: Path) -> None:
    seed = seed_for(f"corrupt lake {part}")
    chance = random.Random(seed)
    spare = tmp_path / "spare"
    shutil.copytree(lake_folder, spare)
    with tally(6, f"lake {part}", seed) as done:
        log, lake = open_log(lake_folder / "log.db"), open_lake(lake_folder / "lake")
        truth = _rows(lake)
        files = [path for path in _files(lake) if _part(path) == part]
        lake.close()
        for turn in range(figure(12, 170)):
            target = chance.choice(files)
            way = WAYS[turn % len(WAYS)]
            harm(target, way, chance, [path for path in files if path != target])
            told, served = _asked(log, lake_folder, truth)
            assert told, f"{way} of {target.name} was not found"
            done.add(harms=1, found=1, served_before_verify=served)
            shutil.rmtree(lake_folder / "lake")
            shutil.copytree(spare / "lake", lake_folder / "lake")
        log.close()


def _rows(lake: Lake) -> list[str]:
    return sorted(map(repr, lake.scan("energy_prices").to_pylist()))


def _files(lake: Lake) -> list[Path]:
    return [
        Path(path_of(location, table.io.properties) or location)
        for table in [lake._ready(dataset("energy_prices"))]
        for location in lake.seals("energy_prices", lambda _: False)
    ]


def _part(path: Path) -> str:
    return "data" if path.suffix == ".parquet" else "metadata" if path.suffix == ".json" else "manifest"


def _asked(log: Log, folder: Path, truth: list[str]) -> tuple[bool, bool]:
    """(whether verify complains, whether a scan gave other rows without a complaint of its own)."""
    lake = open_lake(folder / "lake")
    try:
        told = bool(broken_files(log, lake, "energy_prices"))
    except Exception:
        told = True
    try:
        served = _rows(lake) != truth
    except Exception:
        served = False
    lake.close()
    return told, served
