"""The page of what ran where: `python -m servers.report RAN.json PAGE.md`, from what a run noted (`C254_ENGINES`)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from servers.catalogue import catalogue, found

_HEAD = """# Engines

The suites that ran on real servers, by `make test-servers`, which writes this page. Each server is fetched from a
package registry in a pinned version, held to its checksums, started on loopback for the run and stopped after it. The
same contract suites run on the embedded engines in `make test`.

| suite | server | passed | failed | skipped |
|---|---|---|---|---|
"""


def page(told: dict[str, Any]) -> str:
    """The page."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for ran in told["ran"]:
        where = " + ".join(_name(name, told["versions"]) for name in ran["on"])
        where += f" ({ran['as']})" if ran["as"] and ran["as"] != ran["on"][0] else ""
        counts[ran["suite"], where][ran["outcome"]] += 1
        if ran["outcome"] == "skipped":
            reasons[where][ran["reason"]] += 1
    rows = [
        f"| {suite.removesuffix('.py').removeprefix('test_').replace('_', ' ')} | {where} | {told_of['passed']} "
        f"| {told_of['failed']} | {told_of['skipped']} |\n"
        for (suite, where), told_of in sorted(counts.items())
    ]
    skipped = [
        f"- {where}: {reason} ({count})\n" for where, why in sorted(reasons.items()) for reason, count in why.items()
    ]
    licences = "".join(
        f"| {entry.title} | {_name(name, told['versions']).removeprefix(entry.title).strip()} | {entry.licence} |\n"
        for name, entry in catalogue().items()
    )
    return (
        _HEAD
        + "".join(rows)
        + ("\n## Skipped, and why\n\n" + "".join(skipped) if skipped else "")
        + "\n## Servers\n\n| server | version | licence |\n|---|---|---|\n"
        + licences
    )


def _name(name: str, versions: dict[str, str]) -> str:
    entry = catalogue()[name]
    if entry.kind == "debian" and name not in versions and (program := found(entry.program)):
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
        versions[name] = next(iter(re.findall(r"\d+(?:\.\d+)+", said)), entry.version)
    return f"{entry.title} {versions.get(name) or entry.version}".strip()


def main(arguments: list[str]) -> int:
    """Write the page."""
    source, target = map(Path, arguments)
    target.write_text(page(json.loads(source.read_text("utf-8"))), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
