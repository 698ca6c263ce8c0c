"""The quality page: one HTML file with its pictures inside, readable with no internet and no script."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from .check import Finding, Verdict
from .drawing import Bar, bars, heat, line
from .judge import Judgement, Service, score

_HEAT_DAYS = 42
Days = Sequence[tuple[str, Judgement]]
Feeds = Sequence[tuple[str, Days, Sequence[Service]]]

_STYLE = """
:root{--ink:#1c2430;--soft:#5c6b7a;--line:#dde3ea;--paper:#fff;--good:#1a7f5a;--bad:#c0392b;--mid:#d9a406}
@media(prefers-color-scheme:dark){:root{--ink:#e6ebf1;--soft:#93a1b1;--line:#2c3744;--paper:#12181f}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;max-width:72rem;
padding:0 1rem}h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2.2rem 0 .4rem}
p{color:var(--soft);margin:.2rem 0 .8rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}td,th{text-align:left;padding:.3rem .6rem;
border-bottom:1px solid var(--line);vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.bad{color:var(--bad);font-weight:600}.good{color:var(--good)}.soft{color:var(--soft)}code{font-size:.85em}
.cards{display:flex;gap:1rem;flex-wrap:wrap;margin:1.2rem 0}.card{border:1px solid var(--line);border-radius:.6rem;
padding:.7rem 1.1rem;min-width:9rem}.card b{font-size:1.5rem;display:block}.scroll{overflow-x:auto}
svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .soft{fill:var(--soft)}details{margin:.2rem 0}
"""


def page(at: datetime, feeds: Feeds) -> str:
    """The page for judgements by feed and day, judged at `at` (UTC)."""
    parts = [
        f"<h1>Data quality</h1><p>Judged at {at:%Y-%m-%d %H:%M} UTC. A score is the weighted share of passed checks; "
        "checks that could not be judged count neither way.</p>",
        _cards(feeds),
        f"<h2>Score by day</h2><p>One square a market day, the last {_HEAT_DAYS}; hover for what failed.</p>",
        _heat(feeds),
        "<h2>Service levels</h2>",
        _services(feeds),
        "<h2>Completeness</h2><p>Rows that came of the rows due; the mark is the target.</p>",
        bars([_bar(name, services) for name, _, services in feeds]),
        "<h2>Null rates</h2><p>Share of rows without a value, by column, over all days. A column a market does not "
        "publish is empty throughout.</p>",
        _nulls(feeds),
        "<h2>Median price by day</h2><p>Ringed days are unlike the days before them.</p>",
        _lines(feeds),
        "<h2>Anomalies</h2>",
        _findings(feeds, anomalies=True),
        "<h2>Failed checks</h2>",
        _findings(feeds, anomalies=False),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Data quality</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _cards(feeds: Feeds) -> str:
    findings = [finding for _, days, _ in feeds for _, judged in days for finding in judged.findings]
    whole = score(findings)
    missed = sum(service.met is False for _, _, services in feeds for service in services)
    told = "–" if whole is None else f"{whole:.2%}"
    counts = {verdict: sum(one.verdict is verdict for one in findings) for verdict in Verdict}
    cards = [
        (told, "overall score (target > 99 %)"),
        (f"{sum(len(days) for _, days, _ in feeds):,}", f"partitions of {len(feeds)} feeds"),
        (f"{counts[Verdict.passed]:,}", "checks passed"),
        (f"{counts[Verdict.failed]:,}", "checks failed"),
        (f"{counts[Verdict.unknown]:,}", "could not be judged"),
        (f"{missed:,}", "targets missed"),
    ]
    told_cards = "".join(f'<div class="card"><b>{value}</b>{escape(name)}</div>' for value, name in cards)
    return f'<div class="cards">{told_cards}</div>'


def _heat(feeds: Feeds) -> str:
    days = sorted({day for _, found, _ in feeds for day, _ in found})[-_HEAT_DAYS:]
    cells = {
        (name, day): (judged.score, ", ".join(one.check for one in judged.failed) or "nothing failed")
        for name, found, _ in feeds
        for day, judged in found
        if day in days
    }
    return heat([name for name, _, _ in feeds], days, cells)


def _services(feeds: Feeds) -> str:
    names = [service.name for service in feeds[0][2]] if feeds else []
    head = "".join(f'<th class="n">{escape(name)}</th>' for name in names)
    rows = []
    for name, days, services in feeds:
        cells = "".join(
            f'<td class="n {"bad" if one.met is False else "good" if one.met else "soft"}">{_percent(one.value)}</td>'
            for one in services
        )
        rows.append(f'<tr><td>{escape(name)}</td><td class="n">{len(days)}</td>{cells}</tr>')
    return f'<table><tr><th>feed</th><th class="n">days</th>{head}</tr>{"".join(rows)}</table>'


def _bar(name: str, services: Sequence[Service]) -> Bar:
    found = next((one for one in services if one.name == "completeness"), None)
    if found is None or found.value is None:
        return Bar(name, None, 0.95, "nothing is due, or nobody says what")
    return Bar(name, found.value, found.target, f"{found.value:.2%} of what was due")


def _nulls(feeds: Feeds) -> str:
    columns = sorted({key for _, days, _ in feeds for _, judged in days for key in judged.metrics if "nulls." in key})
    columns = [name for name in columns if name.startswith("nulls.")]
    head = "".join(f'<th class="n">{escape(name.removeprefix("nulls."))}</th>' for name in columns)
    rows = []
    for name, days, _ in feeds:
        cells = "".join(_null_cell(days, column) for column in columns)
        rows.append(f"<tr><td>{escape(name)}</td>{cells}</tr>")
    return f'<div class="scroll"><table><tr><th>feed</th>{head}</tr>{"".join(rows)}</table></div>'


def _null_cell(days: Days, column: str) -> str:
    found = [(judged.metrics[column], judged.metrics["rows"]) for _, judged in days if column in judged.metrics]
    rows = sum(count for _, count in found)
    if not rows:
        return '<td class="n soft">–</td>'
    rate = sum(share * count for share, count in found) / rows
    tone = "soft" if rate in (0.0, 1.0) else "bad" if rate > 0.05 else ""
    return f'<td class="n {tone}">{rate:.2%}</td>'


def _lines(feeds: Feeds) -> str:
    drawn = []
    for name, days, _ in feeds:
        points = [(day, judged.metrics.get("median.lmp")) for day, judged in days]
        odd = {day for day, judged in days if any(one.kind == "anomaly" for one in judged.failed)}
        known = [(day, value) for day, value in points if value is not None]
        if len(known) > 1:
            drawn.append(line(name, known, odd))
    return "".join(drawn) or "<p>Two days of prices make a line; there are fewer.</p>"


def _findings(feeds: Feeds, anomalies: bool) -> str:
    rows = [
        _finding(name, day, finding)
        for name, days, _ in feeds
        for day, judged in days
        for finding in judged.failed
        if (finding.kind == "anomaly") == anomalies
    ]
    if not rows:
        return "<p>None.</p>"
    return f"<table><tr><th>feed</th><th>day</th><th>check</th><th>numbers</th></tr>{''.join(rows)}</table>"


def _finding(name: str, day: str, finding: Finding) -> str:
    rows = "".join(f"<div><code>{escape(row)}</code></div>" for row in finding.rows)
    more = f"<details><summary>first rows</summary>{rows}</details>" if rows else ""
    return (
        f"<tr><td>{escape(name)}</td><td>{escape(day)}</td><td class=bad>{escape(finding.check)}</td>"
        f"<td>{escape(finding.why)}<div class=soft>→ {escape(finding.todo)}</div>{more}</td></tr>"
    )


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2%}"
