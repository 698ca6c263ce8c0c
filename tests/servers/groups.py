"""Groups of servers whose suites run together: a suite is of the group that has all its servers, else of `together`."""

from __future__ import annotations

import sys
from collections.abc import Iterable

GROUPS = {
    "stores": {"redis", "postgres", "pgbouncer", "clickhouse", "front"},
    "log": {"kafka", "registry"},
    "lake": {"minio", "catalog", "trino", "spark"},
}
TOGETHER = "together"


def group_of(servers: Iterable[str]) -> str:
    """The group of a suite that wants these servers."""
    wanted = set(servers)
    return next((name for name, members in GROUPS.items() if wanted <= members), TOGETHER)


def members(group: str) -> list[str]:
    """The servers that a group may need; all of them for `together` and for no group. Raises KeyError."""
    return sorted(GROUPS[group]) if group not in ("", TOGETHER) else []


if __name__ == "__main__":
    sys.stdout.write(" ".join(members(sys.argv[1] if len(sys.argv) > 1 else "")) + "\n")
