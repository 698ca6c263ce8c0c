"""Rules beside the feed: what they may say, and what is said to who writes them wrongly."""

from __future__ import annotations

import pytest
from quality.days import stream_of

from carbon254.feeds import feeds
from carbon254.quality import Finding, RulesError, Targets, Verdict, read_rules, score
from carbon254.quality.identity import Identity
from carbon254.quality.kinds import KINDS
from carbon254.quality.laws import Hub
from carbon254.quality.row_checks import Range

STREAM = stream_of("iso.da.lmp.spp")


@pytest.mark.parametrize("topic", sorted(feeds()))
def test_every_feed_has_rules(topic: str) -> None:
    feed = feeds()[topic]
    rules = read_rules(feed.quality(), feed.stream, feed.package)
    assert rules.checks and len({check.title for check in rules.checks}) == len(rules.checks)
    assert rules.digest == read_rules(feed.quality(), feed.stream).digest


def test_without_a_file_the_card_is_the_rule() -> None:
    rules = read_rules("", STREAM)
    (law,) = [check for check in rules.checks if isinstance(check, Identity)]
    assert (law.step, law.most) == (STREAM.rounding.step, STREAM.rounding.most) == (0.01, 0.01)
    assert rules.targets == Targets(0.99, 0.95, 0.01, 0.05)


def test_entries_replace_add_and_leave_out() -> None:
    text = """
targets: {completeness: 0.9}
all:
  - range: {column: lmp, min: -100, max: 900}
  - hub: {hub: NORTH, members: [A, B]}
  - off: stuck
iso.da.lmp.spp:
  - hub: {hub: SOUTH, members: {C: 1, D: 3}, weight: 2}
iso.rt.lmp.spp:
  - range: {column: lmp, min: 1, max: 2}
"""
    rules = read_rules(text, STREAM)
    checks = {check.title: check for check in rules.checks}
    assert checks["range.lmp"] == Range(column="lmp", min=-100.0, max=900.0)
    assert "stuck" not in checks
    north, south = checks["hub.NORTH"], checks["hub.SOUTH"]
    assert isinstance(north, Hub) and isinstance(south, Hub)
    assert (dict(north.members), dict(south.members)) == ({"A": 1.0, "B": 1.0}, {"C": 1.0, "D": 3.0})
    assert rules.targets.completeness == 0.9 and rules.targets.score == 0.99
    assert rules.digest != read_rules("", STREAM).digest


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "all:\n  - rnge: {column: lmp}",
            r"q.yaml line 2 \(iso.da.lmp.spp, all\): no check 'rnge'; there are: .*ran",
        ),
        ("all:\n  - range: {column: lmp, max: high}", r"line 2 .*range.max is 'high'; it wants a number"),
        ("all:\n  - range: {column: lmp, max: true}", "range.max is True; it wants a number"),
        ("all:\n  - range: {column: 3}", "range.column is 3; it wants a text"),
        ("all:\n  - range: {max: 3}", r"line 2 .*range needs column"),
        ("all:\n  - range:\n      column: lmp\n      most: 3", r"line 4 .*range has no 'most'; it has: .*max"),
        ("all:\n  - range: {column: lmp, blocks: 1}", "range.blocks is 1; it wants true or false"),
        ("all:\n  - matches: {column: location_id, pattern: '['}", "pattern '\\[' is no regular expression"),
        ("all:\n  - off: nothing", r"no check 'nothing' to leave out; there are: .*stale"),
        ("all: [range: {column: lmp}, 7]", "no check '7'"),
        ("all: {range: 3}", "all wants a list of checks"),
        ("all:\n  - {range: {column: lmp}, late: {}}", "one check an entry"),
        ("every:\n  - late", r"line 1 .*'every' is neither `targets`, `all` nor a feed's topic"),
        ("targets: {scor: 1}", r"targets has no 'scor'; it has: completeness, duplicates, late, score"),
        ("targets: {score: 99}", "it is a share between 0 and 1"),
        ("all:\n  - late\nall:\n  - late", r"line 3 .*'all' is here twice"),
        ("all:\n  - [late", r"line \d.*no YAML"),
        ("- late", "write `all:`"),
        ("all:\n  - range: !!python/object/apply:os.system ['true']", r"write `range: \{…\}`"),
    ],
)
def test_a_wrong_entry_is_named_with_what_to_write(text: str, words: str) -> None:
    with pytest.raises(RulesError, match=words):
        read_rules(text, STREAM, "q.yaml")


def test_every_kind_can_be_written() -> None:
    needed = {
        "range": "{column: lmp}", "nulls": "{column: lmp}", "matches": "{column: location_id, pattern: x}",
        "hub": "{hub: A, members: [B]}", "hourly_mean": "{parts: iso.rt.lmp.spp}", "anomaly": "{metric: rows}",
    }  # fmt: skip
    text = "all:\n" + "".join(f"  - {kind}: {needed.get(kind, '')}\n" for kind in KINDS)
    kinds = {check.kind for check in read_rules(text, STREAM).checks}
    assert kinds == set(KINDS)


def said(verdict: Verdict, weight: float) -> Finding:
    return Finding("x", "x", verdict, weight, None, "", "", "")


def test_the_score_is_the_weighted_share_of_what_was_judged() -> None:
    assert score([]) is None
    assert score([said(Verdict.unknown, 9.0)]) is None
    assert score([said(Verdict.passed, 3.0), said(Verdict.failed, 1.0), said(Verdict.unknown, 50.0)]) == 0.75
