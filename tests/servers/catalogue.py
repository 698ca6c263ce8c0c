"""The servers that tests can run on, and where their files lie on this machine."""

from __future__ import annotations

import os
import shutil
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
LOCKS = HERE / "locks"


@dataclass(frozen=True, slots=True)
class Entry:
    """One server. `kind` says how it is fetched: from Debian, the Go module proxy or Maven (jars, or one archive);
    `ours` needs no fetching, and what has a `reason` cannot be had."""

    name: str
    kind: str
    title: str
    version: str
    licence: str
    java: int = 0
    artifacts: tuple[str, ...] = ()
    artifact: str = ""
    keep: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    program: str = ""
    module: str = ""
    sum: str = ""
    reason: str = ""

    @property
    def folder(self) -> Path:
        """Where its files are, outside the repository."""
        return cache_folder() / f"{self.name}-{self.version}"

    @property
    def unavailable(self) -> Path:
        """A note of why it could not be had when it was last tried."""
        return cache_folder() / f"{self.name}.unavailable"

    @property
    def lock(self) -> Path:
        """SHA-256 and name of each fetched file, as `sha256sum` writes them."""
        return LOCKS / f"{self.name}.sha256"

    def marked(self) -> str:
        """What `folder/ready` says once everything is there and was verified: it changes with the pins."""
        kept = "".join(f"keep {name}\n" for name in self.keep)
        return self.lock.read_text("utf-8") + kept if self.lock.exists() else f"{self.module} {self.version} {self.sum}"

    @property
    def ready(self) -> bool:
        """Whether the server was fetched and verified as it is pinned now."""
        if self.kind in ("debian", "ours"):
            return self.kind == "ours" or bool(found(self.program))
        mark = self.folder / "ready"
        return mark.exists() and mark.read_text("utf-8") == self.marked()


def cache_folder() -> Path:
    """`C254_SERVERS`, or a folder of its own in the user's cache."""
    return Path(os.environ.get("C254_SERVERS") or Path.home() / ".cache" / "carbon254-servers")


@cache
def catalogue() -> dict[str, Entry]:
    """Every server, by name."""
    read = tomllib.loads((HERE / "catalogue.toml").read_text("utf-8"))
    lists = ("artifacts", "keep", "packages")
    return {
        name: Entry(name=name, **{key: tuple(value) if key in lists else value for key, value in facts.items()})
        for name, facts in read.items()
    }


def missing(name: str) -> str:
    """Why the server cannot run here; empty where it can."""
    entry = catalogue()[name]
    if entry.reason:
        return entry.reason
    if entry.java and not java(entry.java):
        return f"{entry.title} needs Java {entry.java} or newer, and this machine has none"
    if entry.ready:
        return ""
    why = entry.unavailable.read_text("utf-8") if entry.unavailable.exists() else "scripts/test-servers fetches it"
    return f"{entry.title} {entry.version} is not provisioned: {why}"


def found(program: str) -> str | None:
    """The program's path: as named, or on PATH."""
    return shutil.which(program)


@cache
def java(oldest: int) -> str:
    """A Java of at least this version, the oldest that will do; empty where there is none."""
    homes = [Path(os.environ["JAVA_HOME"])] if "JAVA_HOME" in os.environ else []
    homes += sorted(Path("/usr/lib/jvm").glob("*/"))
    fit = sorted((version, str(home / "bin" / "java")) for home in homes if (version := _version(home)) >= oldest)
    return fit[0][1] if fit else ""


def _version(home: Path) -> int:
    release = home / "release"
    if not release.exists() or not (home / "bin" / "java").exists():
        return 0
    stated = [line for line in release.read_text("utf-8").splitlines() if line.startswith("JAVA_VERSION=")]
    return int(stated[0].split('"')[1].split(".")[0]) if stated else 0
