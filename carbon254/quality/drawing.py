"""Pictures as SVG text: a heat map, bars with a target, a line with ringed points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from html import escape

_LABEL = 190
_CELL = 20
_HIGH = 22
_WIDE = 620


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from 0 to 1; None is drawn as unknown."""

    name: str
    value: float | None
    target: float
    told: str


def heat(rows: Sequence[str], columns: Sequence[str], cells: Mapping[tuple[str, str], tuple[float | None, str]]) -> str:
    """Squares of scores by row and column; grey where nothing could be judged, nothing where there is no cell."""
    width, top = _LABEL + _CELL * len(columns) + 60, 66
    parts = [_label(4, top + _CELL * number + 15, name) for number, name in enumerate(rows)]
    every = max(1, len(columns) // 24)
    for number, name in enumerate(columns):
        if number % every == 0:
            x = _LABEL + _CELL * number + 14
            parts.append(f'<text class="soft" transform="translate({x},{top - 6}) rotate(-55)">{escape(name)}</text>')
    for (row, column), (value, told) in cells.items():
        x, y = _LABEL + _CELL * columns.index(column), top + _CELL * rows.index(row)
        shown = "unknown" if value is None else f"{value:.2%}"
        title = escape(f"{row} {column}: {shown}; {told}")
        parts.append(
            f'<rect x="{x}" y="{y}" width="{_CELL - 2}" height="{_CELL - 2}" rx="3" fill="{shade(value)}">'
            f"<title>{title}</title></rect>"
        )
    return _svg(width, top + _CELL * len(rows) + 6, parts)


def bars(found: Sequence[Bar]) -> str:
    """One bar a row, green where it reaches its target."""
    parts = []
    for number, bar in enumerate(found):
        y = _HIGH * number + 4
        parts.append(_label(4, y + 13, bar.name))
        value = 0.0 if bar.value is None else max(0.0, min(1.0, bar.value))
        colour = "#9aa7b4" if bar.value is None else "#1a7f5a" if bar.value > bar.target else "#c0392b"
        mark = _LABEL + _WIDE * bar.target
        told = "unknown" if bar.value is None else f"{bar.value:.2%}"
        parts.append(
            f'<rect x="{_LABEL}" y="{y}" width="{_WIDE}" height="15" rx="3" fill="#9aa7b4" opacity=".18"/>'
            f'<rect x="{_LABEL}" y="{y}" width="{_WIDE * value:.1f}" height="15" rx="3" fill="{colour}">'
            f"<title>{escape(bar.told)}</title></rect>"
            f'<line x1="{mark}" x2="{mark}" y1="{y - 2}" y2="{y + 17}" stroke="#5c6b7a"/>'
            f'<text x="{_LABEL + _WIDE + 8}" y="{y + 12}">{told}</text>'
        )
    return _svg(_LABEL + _WIDE + 80, _HIGH * len(found) + 8, parts)


def line(name: str, points: Sequence[tuple[str, float]], odd: Set[str]) -> str:
    """A line through dated values, with the points of `odd` ringed."""
    high, values = 60, [value for _, value in points]
    low, top = min(values), max(values)
    span = (top - low) or 1.0
    at = [
        (_LABEL + _WIDE * number / (len(points) - 1), 8 + high * (1 - (value - low) / span))
        for number, (_, value) in enumerate(points)
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    parts = [_label(4, 42, name), f'<polyline points="{path}" fill="none" stroke="#2f6fb2" stroke-width="1.5"/>']
    for (day, value), (x, y) in zip(points, at, strict=True):
        ring = ' stroke="#c0392b" stroke-width="2.5" fill="none" r="6"' if day in odd else ' fill="#2f6fb2" r="2.5"'
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}"{ring}><title>{escape(day)}: {value:.2f}</title></circle>')
    parts.append(f'<text class="soft" x="{_LABEL + _WIDE + 8}" y="14">{top:.1f}</text>')
    parts.append(f'<text class="soft" x="{_LABEL + _WIDE + 8}" y="{high + 8}">{low:.1f}</text>')
    return _svg(_LABEL + _WIDE + 80, high + 18, parts)


def shade(value: float | None) -> str:
    """Green at 1, through yellow at 0.95, to red at 0.8 and below; grey for unknown."""
    if value is None:
        return "#9aa7b4"
    green, yellow, red = (26, 127, 90), (217, 164, 6), (192, 57, 43)
    if value >= 0.95:
        return _mixed(yellow, green, (value - 0.95) / 0.05)
    return _mixed(red, yellow, max(0.0, (value - 0.8) / 0.15))


def _mixed(first: Sequence[int], second: Sequence[int], share: float) -> str:
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(first, second, strict=True))


def _label(x: int, y: int, text: str) -> str:
    return f'<text x="{x}" y="{y}">{escape(text)}</text>'


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    box = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return f'<div class="scroll"><svg xmlns="http://www.w3.org/2000/svg" role="img" {box}>{"".join(parts)}</svg></div>'
