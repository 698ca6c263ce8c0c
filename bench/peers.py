"""An environment of its own for the packages that a benchmark compares with and the product does not need."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_INSTALLED = Path(__file__).parents[1] / ".venv" / "bootstrap" / "bin" / "uv"


def interpreter(folder: Path, packages: Sequence[str]) -> tuple[str, str]:
    """(the interpreter of a new environment below `folder` with `packages`, why there is none)."""
    uv = shutil.which("uv") or (str(_INSTALLED) if _INSTALLED.exists() else "")
    if not uv:
        return "", "there is no uv to make an environment with; install it, or run scripts/install"
    python = folder / "peers" / "bin" / "python"
    for command in (
        (uv, "venv", "--quiet", str(folder / "peers"), "--python", sys.executable),
        (uv, "pip", "install", "--quiet", "--python", str(python), *packages),
    ):
        done = subprocess.run(command, capture_output=True, check=False, timeout=600)
        if done.returncode:
            return "", f"{', '.join(packages)} cannot be had: {done.stderr.decode().strip()[:200]}"
    return str(python), ""
