"""Raw payloads that a rebuild needs and has not: which, of which days, and how to ask for them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from carbon254.errors import PermanentError

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Wanting:
    """A payload of a feed that is `missing` from the archive or `harmed` in it, and the market days it held."""

    feed: str
    days: tuple[str, ...]
    sha256: str
    name: str
    why: str

    def __str__(self) -> str:
        where = f"{self.days[0]} … {self.days[-1]}" if len(self.days) > 1 else "".join(self.days) or "no day"
        return f"{self.feed} {where}: {self.name} ({self.sha256[:12]}…) is {self.why}"


class MissingRaw(PermanentError):
    """Raw payloads that a rebuild needs are missing or harmed; nothing was changed."""

    def __init__(self, feed: str, wanting: Sequence[Wanting]) -> None:
        self.wanting = sorted(wanting, key=lambda one: (one.days, one.sha256))
        shown = "; ".join(map(str, self.wanting[:_SHOWN]))
        more = f"; and {len(self.wanting) - _SHOWN} more" if len(self.wanting) > _SHOWN else ""
        super().__init__(
            f"{len(self.wanting)} raw payloads that {feed} was made from are not sound, and nothing was changed: "
            f"{shown}{more}. Restore them from a backup, or ask the provider again: {refetch(feed, self.wanting)}"
        )


class FewerPayloads(PermanentError):
    """The log does not know arrivals that the standing rows were made from; nothing was changed."""

    def __init__(self, feed: str, unknown: Sequence[str]) -> None:
        shown = ", ".join(unknown[:_SHOWN])
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        super().__init__(
            f"{feed} has rows of payloads that the log does not know ({shown}{more}), and nothing was changed: a "
            "rebuild would lose them. The log is younger than the stores: take in again what the raw archive knows: "
            f"c254 rebuild log; or ask the provider again: c254 feeds run --feed {feed} --from … --afresh"
        )


def refetch(feed: str, wanting: Sequence[Wanting]) -> str:
    """The commands that take harmed payloads away and ask for the days again."""
    days = sorted({day for one in wanting for day in one.days})
    away = " && ".join(
        f"rm WORKSPACE/raw/{one.sha256[:2]}/{one.sha256}.zst" for one in wanting[:_SHOWN] if one.why == "harmed"
    )
    if not days:
        return f"c254 feeds run --feed {feed} --from … --afresh"
    after = date.fromisoformat(days[-1]) + timedelta(days=1)
    return f"{away + ' && ' if away else ''}c254 feeds run --feed {feed} --from {days[0]} --to {after} --afresh"
