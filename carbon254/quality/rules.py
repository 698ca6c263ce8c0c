"""Rules: which checks a stream's rows must pass, read from `quality.yaml` beside the feed over the card's defaults.

```yaml
targets: {score: 0.99, completeness: 0.95, duplicates: 0.01, late: 0.05}   # any of them may be left out
all:                                  # every stream of the folder
  - range: {column: lmp, min: -2000, max: 5000}
  - off: stuck                        # leave a default out
iso.rt.lmp.caiso:                     # one stream
  - range: {name: usual_price, column: lmp, min: -150, max: 1000, at_least: 0.98, weight: 0.5}
```

An entry with the name of an earlier one takes its place. Names default to the kind, or the kind and its column.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import yaml

from carbon254.errors import SettingsError
from carbon254.model import Stream

from .check import Check

# Raise it when a check observes rows differently than before: states kept by older code are then made anew.
OBSERVATION = 1
_SCALARS = {"float": (int, float), "int": (int,), "str": (str,), "bool": (bool,)}
_SHAPES = {
    "float": "a number",
    "int": "a whole number",
    "str": "a text",
    "bool": "true or false",
    "tuple[str, ...]": "a list of texts",
    "tuple[float, ...]": "a list of numbers",
    "Mapping[str, float]": "names with numbers",
    "Mapping[str, int]": "names with whole numbers",
}


class RulesError(SettingsError):
    """A rule that cannot be read; the message names the file, the line, the feed and what to write."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What a feed promises. Shares; the score is over checks, the others over rows."""

    score: float = 0.99
    completeness: float = 0.95
    duplicates: float = 0.01
    late: float = 0.05


@dataclass(frozen=True, slots=True)
class Rules:
    """The checks of one stream. `profiled` columns get moments, `sketched` ones quantiles and distinct values too.

    `resolution` is that of the stream's own market run; `runs` has those of the other runs of its payloads.
    """

    feed: str
    dataset: str
    resolution: timedelta | None
    checks: tuple[Check, ...]
    targets: Targets = Targets()
    profiled: tuple[str, ...] = ()
    sketched: tuple[str, ...] = ()
    runs: Mapping[str, timedelta] = field(default_factory=dict)

    def of_run(self, run: str) -> Rules:
        """The rules for rows of one market run alone."""
        return replace(self, resolution=self.runs.get(run, self.resolution), runs={})

    @property
    def digest(self) -> str:
        """Changes when a state made by these rules would: states of other rules are made anew."""
        runs = sorted(self.runs.items())
        facts = [OBSERVATION, self.dataset, self.resolution, *self.checks, self.profiled, self.sketched, *runs]
        return hashlib.sha256("\n".join(map(repr, facts)).encode()).hexdigest()[:16]


def read_rules(text: str, stream: Stream, source: str = "quality.yaml") -> Rules:
    """The rules of a stream: its card's defaults, then the entries of `text` (may be empty). Raises RulesError."""
    from .defaults import default_rules

    rules = default_rules(stream)
    if not text.strip():
        return rules
    told = _Told(source, stream.topic)
    checks = {check.title: check for check in rules.checks}
    targets = rules.targets
    for name, line, node in _entries(text, told):
        if name == "targets":
            targets = _targets(node, targets, told)
        elif name == "all" or name == stream.topic:
            for entry in _sequence(node, told, name):
                _apply(entry, checks, told.of(name))
        elif "." not in name:
            raise told.error(line, f"{name!r} is neither `targets`, `all` nor a feed's topic")
    return replace(rules, checks=tuple(check.on(stream) for check in checks.values()), targets=targets)


@dataclass(frozen=True, slots=True)
class _Told:
    """Where we are, for messages."""

    source: str
    feed: str
    part: str = ""

    def of(self, part: str) -> _Told:
        return replace(self, part=part)

    def error(self, line: int, words: str) -> RulesError:
        where = f", {self.part}" if self.part else ""
        return RulesError(f"{self.source} line {line} ({self.feed}{where}): {words}")


def _entries(text: str, told: _Told) -> Iterator[tuple[str, int, yaml.Node]]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise told.error(mark.line + 1 if mark else 1, f"this is no YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise told.error(1, f"this is no YAML: {error}") from error
    if root is None:
        return
    yield from _pairs(root, told, "write `all:` or a feed's topic, and a list of checks below it")


def _pairs(node: yaml.Node, told: _Told, hint: str) -> Iterator[tuple[str, int, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise told.error(node.start_mark.line + 1, hint)
    seen: set[str] = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise told.error(line, "a name must be a plain word")
        if key.value in seen:
            raise told.error(line, f"{key.value!r} is here twice; keep one")
        seen.add(key.value)
        yield key.value, line, value


def _sequence(node: yaml.Node, told: _Told, name: str) -> Sequence[yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        raise told.error(node.start_mark.line + 1, f"{name} wants a list of checks, each line beginning with `- `")
    return node.value


def _apply(node: yaml.Node, checks: dict[str, Check], told: _Told) -> None:
    """One list entry: `kind: {…}`, a bare `kind`, or `off: name`."""
    from .kinds import KINDS

    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        kind, given, here = node.value, None, line
    else:
        pairs = list(_pairs(node, told, "write a check like `range: {column: lmp, min: -150, max: 1000}`"))
        if len(pairs) != 1:
            raise told.error(line, "one check an entry: put each on its own line beginning with `- `")
        kind, here, given = pairs[0]
    if kind == "off":
        _leave_out(given, checks, told, here)
        return
    if kind not in KINDS:
        raise told.error(here, f"no check {kind!r}; there are: {', '.join(sorted(KINDS))}")
    check = _built(KINDS[kind], given, told, here)
    checks[check.title] = check


def _leave_out(node: yaml.Node | None, checks: dict[str, Check], told: _Told, line: int) -> None:
    name = node.value if isinstance(node, yaml.ScalarNode) else ""
    if name not in checks:
        raise told.error(line, f"off: no check {name!r} to leave out; there are: {', '.join(sorted(checks))}")
    del checks[name]


def _built(kind: type[Check], node: yaml.Node | None, told: _Told, line: int) -> Check:
    known = {item.name: item for item in fields(kind)}
    given: dict[str, Any] = {}
    empty = node is None or (isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null"))
    for name, here, value in () if empty or node is None else _pairs(node, told, f"write `{kind.kind}: {{…}}`"):
        if name not in known:
            raise told.error(here, f"{kind.kind} has no {name!r}; it has: {', '.join(known)}")
        given[name] = _value(value, str(known[name].type), told, here, f"{kind.kind}.{name}")
    lacking = [
        item.name
        for item in known.values()
        if item.default is MISSING and item.default_factory is MISSING and item.name not in given
    ]
    if lacking:
        raise told.error(line, f"{kind.kind} needs {', '.join(lacking)}")
    try:
        return kind(**given)
    except ValueError as error:
        raise told.error(line, f"{kind.kind}: {error}") from error


def _value(node: yaml.Node, wanted: str, told: _Told, line: int, name: str) -> Any:
    """The node's value as the parameter's type."""
    plain = yaml.SafeLoader("").construct_object(node, deep=True)
    made = _as(plain, wanted)
    if made is None:
        raise told.error(line, f"{name} is {plain!r}; it wants {_SHAPES.get(wanted, wanted)}")
    return made


def _as(plain: Any, wanted: str) -> Any:
    if wanted in _SCALARS:
        fits = isinstance(plain, _SCALARS[wanted]) and isinstance(plain, bool) == (wanted == "bool")
        return (float(plain) if wanted == "float" else plain) if fits else None
    inner = "float" if "float" in wanted else "int" if "int" in wanted else "str"
    if wanted.startswith("tuple") and isinstance(plain, list):
        parts = [_as(part, inner) for part in plain]
        return None if None in parts else tuple(parts)
    if wanted.startswith("Mapping") and isinstance(plain, list) and inner == "float":
        plain = dict.fromkeys(plain, 1.0)
    if wanted.startswith("Mapping") and isinstance(plain, dict):
        made = {str(key): _as(value, inner) for key, value in plain.items()}
        return None if None in made.values() else MappingProxyType(made)
    return None


def _targets(node: yaml.Node, targets: Targets, told: _Told) -> Targets:
    known = {item.name for item in fields(Targets)}
    given: dict[str, float] = {}
    for name, line, value in _pairs(node, told, "write `targets: {score: 0.99}`"):
        if name not in known:
            raise told.error(line, f"targets has no {name!r}; it has: {', '.join(sorted(known))}")
        share = _value(value, "float", told, line, f"targets.{name}")
        if not 0 <= share <= 1:
            raise told.error(line, f"targets.{name} is {share:g}; it is a share between 0 and 1")
        given[name] = share
    return replace(targets, **given)


__all__ = ["Rules", "RulesError", "Targets", "read_rules"]
