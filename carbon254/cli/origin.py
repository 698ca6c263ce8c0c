"""Real and emulated data kept apart: a workspace holds one or the other, and what would bring both is refused."""

from __future__ import annotations

from itertools import islice
from urllib.parse import urlsplit

from carbon254.errors import EmulatedData
from carbon254.settings import Settings
from carbon254.stores.log import Log
from carbon254.stores.raw import RawArchive
from carbon254.workspace import DEFAULT, DEMO, Workspace

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Where the mark is missing, so many payloads tell.
_LOOKED_AT = 50


def keep_apart(folder: Workspace, log: Log, raw: RawArchive, settings: Settings) -> None:
    """Mark a workspace by what is about to be brought in: emulated where the settings name an emulator.

    Raises EmulatedData where it holds the other kind. One from before there was a mark is judged by its payloads.
    """
    wanted, held = bool(settings.emulator_url), folder.emulated()
    if held is None:
        held = _held(log, raw, settings)
    if held is not None and held != wanted:
        raise EmulatedData(_belongs(folder, held))
    folder.mark(wanted)


def _belongs(folder: Workspace, held: bool) -> str:
    if held:
        return (
            f"{folder.root} holds emulated data; real data belong in another workspace: name one with "
            f"--workspace {DEFAULT}, or fetch from the emulator with --emulator-url"
        )
    return (
        f"{folder.root} holds real data; emulated data belong in a workspace of their own: name one with "
        f"--workspace {DEMO}"
    )


def _held(log: Log, raw: RawArchive, settings: Settings) -> bool | None:
    """Whether payloads came from an emulator on this machine; None where there are none at all."""
    stand_ins = {urlsplit(url).netloc for url in settings.base_urls.values()}
    found = None
    for record in islice(log.scan("raw."), _LOOKED_AT):
        for arrival in raw.provenance(record.headers["sha256"]):
            where = urlsplit(arrival.url)
            found = found or (where.hostname in _LOOPBACK and where.netloc not in stand_ins)
    return found
