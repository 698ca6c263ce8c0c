"""`c254 upgrade`: a workspace that an older version made, brought to the format that this one reads."""

from __future__ import annotations

from typing import Annotated

import typer

from .console import DEFAULT_WORKSPACE, Workspace, existing, progress, say, settings_of


def upgrade(
    check: Annotated[bool, typer.Option("--check", help="Say what would be done, and change nothing.")] = False,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Bring a workspace of an older version to the format that this one reads.

    Raw payloads are not touched, answers and receipts stay as they are. An upgrade that is cut off goes on where it
    stopped; meanwhile no version opens the workspace. With --check exit 1 where something is to be done.
    Example: `c254 upgrade --check`, then `c254 upgrade`
    """
    from carbon254.clock import SystemClock
    from carbon254.upgrading import Upgrade
    from carbon254.workspace import FORMAT
    from carbon254.workspace import Workspace as Folder

    folder = Folder(existing(workspace))
    work = Upgrade(settings_of(folder.root), folder, SystemClock())
    if check:
        found, left = folder.format(), work.left()
        if not left:
            say(f"{folder.root} has format {found}: nothing is to be done")
            return
        say(f"{folder.root} has format {found}, and this version reads format {FORMAT}; to be done:")
        for step in left:
            say(f"  {step}")
        raise typer.Exit(1)
    folder.claim(older=True)
    try:
        with progress("upgrading") as advance:
            done = work.run(advance)
    finally:
        folder.release()
    if not done.steps:
        say(f"{folder.root} has format {done.before}: nothing was to be done")
        return
    say(f"{folder.root} has format {FORMAT} now; done:")
    for step in done.steps:
        say(f"  {step}")
