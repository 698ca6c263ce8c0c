"""Fetch the servers of the catalogue from the package registries, by their ordinary clients, and verify them.

    python -m servers.provision [NAME…] [--relock]

Everything goes to one folder outside the repository. What is there and verified is not fetched again; what was cut off
goes on where the clients' own caches left it. A file that is not as it was pinned stops that server, and only that
one. `--relock` writes the pins anew, for whoever changes a version.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from servers.catalogue import HERE, Entry, cache_folder, catalogue, found, java

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
_LIMIT_S = 1200


class Unavailable(Exception):
    """Why a server cannot be had here."""


def provision(names: Sequence[str], tell: Callable[[str], None], relock: bool = False) -> dict[str, str]:
    """Fetch what is missing of these servers; name → why it cannot be had, empty where it is ready."""
    return {name: _one(catalogue()[name], tell, relock) for name in names}


def _one(entry: Entry, tell: Callable[[str], None], relock: bool) -> str:
    label, start = f"{entry.title} {entry.version}", time.monotonic()
    if entry.reason:
        tell(f"{label}: {entry.reason}")
        return ""
    if entry.ready and not relock:
        tell(f"{label}: ready")
        return ""
    tell(f"{label}: fetching …")
    try:
        _KINDS[entry.kind](entry, relock)
    except Unavailable as reason:
        tell(f"{label}: not to be had: {reason}")
        cache_folder().mkdir(parents=True, exist_ok=True)
        entry.unavailable.write_text(str(reason), "utf-8")
        return str(reason)
    entry.unavailable.unlink(missing_ok=True)
    tell(f"{label}: fetched and verified in {time.monotonic() - start:.0f} s")
    return ""


def _debian(entry: Entry, relock: bool) -> None:
    if not found(entry.program):
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise Unavailable(f"{entry.program} is absent; as root: apt-get install {' '.join(entry.packages)}")
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        _run(["apt-get", "update", "-qq"], env=quiet)
        _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *entry.packages], env=quiet)
    if not found(entry.program):
        raise Unavailable(f"{' '.join(entry.packages)} has no {entry.program}")


def _go(entry: Entry, relock: bool) -> None:
    if not shutil.which("go"):
        raise Unavailable("go is not on PATH")
    entry.folder.mkdir(parents=True, exist_ok=True)
    env = os.environ | {"CGO_ENABLED": "0", "GOBIN": str(entry.folder)}
    _run(["go", "install", "-ldflags=-s -w", f"{entry.module}@{entry.version}"], env=env)
    built = _run(["go", "version", "-m", str(entry.folder / entry.program)])
    sums = re.search(rf"^\s*mod\s+{re.escape(entry.module)}\s+{re.escape(entry.version)}\s+(\S+)", built, re.MULTILINE)
    if relock:
        print(f'  sum = "{sums and sums[1]}"')
    elif not sums or sums[1] != entry.sum:
        raise Unavailable(f"{entry.module} {entry.version} has the sum {sums and sums[1]}, not the pinned {entry.sum}")
    (entry.folder / "ready").write_text(entry.marked(), "utf-8")


def _maven(entry: Entry, relock: bool) -> None:
    """The artifacts and all they need, each file held to its pin; then our own Java is compiled against them."""
    _needs(entry)
    libs = entry.folder / "libs"
    shutil.rmtree(libs, ignore_errors=True)
    pom = entry.folder / "pom.xml"
    pom.parent.mkdir(parents=True, exist_ok=True)
    pom.write_text(_pom(entry), "utf-8")
    _mvn("-f", str(pom), f"{_PLUGIN}:copy-dependencies", f"-DoutputDirectory={libs}", "-DincludeScope=runtime")
    _verify(entry, sorted(libs.iterdir()), relock)
    _compile(entry, libs)
    (entry.folder / "ready").write_text(entry.marked(), "utf-8")


def _archive(entry: Entry, relock: bool) -> None:
    """One archive, held to its pin and unpacked."""
    _needs(entry)
    fetched = entry.folder / "fetched"
    fetched.mkdir(parents=True, exist_ok=True)
    _mvn(f"{_PLUGIN}:copy", f"-Dartifact={entry.artifact}", f"-DoutputDirectory={fetched}")
    (file,) = fetched.iterdir()
    _verify(entry, [file], relock)
    home = entry.folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    with tarfile.open(file) as packed:
        # Whole: later members are hard links to earlier ones, also to those that are not kept.
        packed.extractall(home, filter="data")
    _prune(entry, home)
    shutil.rmtree(fetched)
    shutil.rmtree(_repository().joinpath(*entry.artifact.split(":")[0].split("."), entry.artifact.split(":")[1]))
    (entry.folder / "ready").write_text(entry.marked(), "utf-8")


def _prune(entry: Entry, home: Path) -> None:
    """Plugins that no test uses go: they cost seconds at every start."""
    if entry.keep:
        (top,) = home.iterdir()
        for plugin in (top / "plugin").iterdir():
            if f"plugin/{plugin.name}" not in entry.keep:
                shutil.rmtree(plugin)


def _verify(entry: Entry, files: list[Path], relock: bool) -> None:
    sums = "".join(f"{_digest(file)}  {file.name}\n" for file in files)
    if relock:
        entry.lock.write_text(sums, "utf-8")
    pinned = entry.lock.read_text("utf-8") if entry.lock.exists() else ""
    changed = sorted(set(sums.splitlines()) ^ set(pinned.splitlines()))
    if changed:
        raise Unavailable(f"{len(changed)} files are not those pinned in {entry.lock.name}: {changed[0]}")


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _compile(entry: Entry, libs: Path) -> None:
    sources = sorted((HERE / "java" / entry.name).glob("*.java"))
    if sources:
        javac = java(entry.java).removesuffix("java") + "javac"
        _run([javac, "-cp", f"{libs}/*", "-d", str(entry.folder / "classes"), *map(str, sources)])


def _needs(entry: Entry) -> None:
    if not shutil.which("mvn"):
        raise Unavailable("mvn is not on PATH")
    if entry.java and not java(entry.java):
        raise Unavailable(f"it needs Java {entry.java} or newer, and this machine has none")


def _pom(entry: Entry) -> str:
    needed = "".join(f"<dependency>{_dependency(artifact)}</dependency>" for artifact in entry.artifacts)
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>c254</groupId>"
        f"<artifactId>{entry.name}</artifactId><version>1</version><packaging>pom</packaging>"
        f"<dependencies>{needed}</dependencies></project>"
    )


def _dependency(artifact: str) -> str:
    group, name, version, *rest = artifact.split(":")
    classifier = f"<classifier>{rest[0]}</classifier>" if rest else ""
    return f"<groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version>{classifier}"


def _repository() -> Path:
    return cache_folder() / "maven"


def _mvn(*arguments: str) -> None:
    _run(["mvn", "-q", "-B", f"-Dmaven.repo.local={_repository()}", *arguments])


def _run(command: list[str], env: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            command, env=env, capture_output=True, stdin=subprocess.DEVNULL, text=True, timeout=_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} took more than {_LIMIT_S} s") from None
    if done.returncode:
        said = (done.stderr + done.stdout).strip().splitlines() or ["no word"]
        raise Unavailable(f"{command[0]} failed: {' / '.join(said[:3])[:400]}")
    return done.stdout


_KINDS = {"debian": _debian, "go": _go, "maven": _maven, "archive": _archive}


def main(arguments: list[str]) -> int:
    """Provision the named servers, or all; 1 where one cannot be had."""
    names = [name for name in arguments if not name.startswith("-")] or list(catalogue())
    unknown = [name for name in names if name not in catalogue()]
    if unknown:
        print(f"no server is called {', '.join(unknown)}; there are {', '.join(catalogue())}", file=sys.stderr)
        return 2
    reasons = provision(names, lambda line: print(line, flush=True), "--relock" in arguments)
    return 1 if any(reasons.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
