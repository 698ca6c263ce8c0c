"""Values of the command line that need no reading: a text for a text, a default as it stands.

The command line's library reads every value with pydantic, which takes longer to load than a node takes to answer. What
is of the asked type already, or is the path of something that is there or not, is taken as it is; whatever else comes,
and whatever has a condition, is read by the library, errors and all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_NUMBERS = (int, float)
_CONDITIONS = ("parser", "click_type", "exists", "resolve_path", "path_type", "clamp", "writable", "allow_dash")


class Reading:
    """What reads the values of one parameter; the library's own is made when it is needed."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value as its command takes it. Raises BadParameter."""
        taken, found = _taken(value, param)
        if taken:
            return found
        param._runtime_param = None
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)


def read_late(parameters: Iterable[Any]) -> None:
    """Let these parameters of a command load pydantic only for values that need it."""
    for parameter in parameters:
        # The library makes what reads a parameter at its first value, and keeps it under this name.
        if getattr(parameter, "_runtime_param", parameter) is None:
            parameter._runtime_param = Reading()


def _taken(value: Any, param: Any) -> tuple[bool, Any]:
    """(whether the value needs no reading, the value)."""
    several = param.multiple or param.nargs == -1
    if value is None:
        return True, () if several else None
    kind, info = param.type_descriptor.annotation, param.type_descriptor.parameter_info
    if any(getattr(info, name, None) for name in _CONDITIONS):
        return False, value
    if several:
        plain = kind == list[str] and isinstance(value, list | tuple) and all(type(one) is str for one in value)
        return plain, list(value) if plain else value
    if kind is str or kind is bool:
        return type(value) is kind, value
    if kind in _NUMBERS:
        low, high = info.min, info.max
        return type(value) is kind and (low is None or value >= low) and (high is None or value <= high), value
    if kind is Path and info.file_okay and info.dir_okay and isinstance(value, str | Path):
        path = Path(value)
        return not os.access(path, os.F_OK) or os.access(path, os.R_OK), path
    return False, value
