"""The reference pages, derived from the code: settings, commands, datasets, feeds. `scripts/docs` writes them.

A test holds the pages in `docs/reference/` to what this module makes, so that they cannot drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import AliasChoices

from carbon254.errors import PayloadRefused
from carbon254.feeds import feeds
from carbon254.model import Access, Provider, Stream
from carbon254.model.reference import reference_page
from carbon254.settings import Settings

from .pages_time import conventions_page, trading_page


def pages() -> Mapping[str, str]:
    """Every derived page by its file name in `docs/reference/`."""
    return {
        "settings.md": settings_page(),
        "commands.md": commands_page(),
        "datasets.md": reference_page(),
        "feeds.md": feeds_page(),
        "golden.md": golden_page(),
        "calendars/conventions.md": conventions_page(),
        "calendars/trading.md": trading_page(),
    }


def write(folder: Path) -> None:
    """Write the pages."""
    for name, text in pages().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


def settings_page() -> str:
    """One row a setting."""
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable; the command line overrides it. Credentials are named by the feeds",
        "that need them: see [feeds](feeds.md).",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        names = (
            [str(choice) for choice in alias.choices if str(choice) != name] if isinstance(alias, AliasChoices) else []
        )
        shown = " or ".join(f"`{choice}`" for choice in names or [f"C254_{name.upper()}"])
        default = field.get_default(call_default_factory=True)
        lines.append(f"| {shown} | `{default}` | {field.description} |".replace("``", "empty"))
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """Every command with its help, as `c254 COMMAND --help` prints it."""
    import typer

    from carbon254.cli.main import app

    root = typer.main.get_command(app)
    lines = ["# Commands", "", "`c254 COMMAND --help` prints the same.", ""]
    for path, command in _walk(root, ("c254",)):
        lines += [f"## {' '.join(path)}", "", (command.help or "").replace("\b", "").strip(), ""]
        options = [parameter for parameter in command.params if parameter.name != "help"]
        if options:
            lines += ["| option | default | meaning |", "|---|---|---|"]
            lines += [_option(parameter) for parameter in options]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _walk(command: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", {})
    if not children:
        return [(path, command)]
    return [found for name in children for found in _walk(children[name], (*path, name))]


def _option(parameter: Any) -> str:
    name = (
        ", ".join(f"`{text}`" for text in parameter.opts)
        if parameter.opts[0].startswith("-")
        else f"`{parameter.name.upper()}`"
    )
    default = parameter.default
    shown = "" if default is None or callable(default) or default in ((), []) else f"`{default}`"
    return f"| {name} | {shown} | {(getattr(parameter, 'help', '') or '').replace('|', '/')} |"


def feeds_page() -> str:
    """What each feed needs, what it promises, and what its provider allows."""
    lines = [
        "# Feeds",
        "",
        "## Live use and terms",
        "",
        "Against the emulator no feed needs a key. On the internet:",
        "",
        "| provider | without a key | key | where to get it | one call per | redistribution | terms |",
        "|---|---|---|---|---|---|---|",
    ]
    providers = {found.stream.provider.id: found.stream.provider for found in feeds().values()}
    for provider in sorted(providers.values(), key=lambda found: found.name):
        access = provider.access
        keys = ", ".join(f"`{name}`" for name in access.env)
        lines.append(
            f"| {_linked(provider)} | {_keyless(access, provider.base_url)} | {keys} "
            f"| {access.where} | {provider.min_interval_s:g} s | {provider.redistribution} | {provider.licence} |"
        )
    lines += [
        "",
        "## Streams",
        "",
        "Times of a label are told in the clock; `repeat` is what separates the repeated autumn hour in the file.",
        "",
        "| feed | what | dataset | run | interval | clock | label | repeat | published | service level |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_stream_row(found.stream) for _, found in sorted(feeds().items())]
    return "\n".join(lines) + "\n"


def _linked(provider: Provider) -> str:
    return f"[{provider.name}]({provider.homepage})" if provider.homepage else provider.name


def golden_page() -> str:
    """The first line that `c254 feeds parse` prints for every sample of every market, under the file it comes from."""
    from .printing import PRICE_COLUMNS, as_text, batches, choose

    lines = [
        "# Golden lines",
        "",
        "What `c254 feeds parse` prints first for a small file of each market: one header for all, times in UTC, signs",
        "turned so that `lmp = energy + congestion + loss + ghg`, empty where nothing was published. The files are in",
        "each feed's `samples/` folder.",
        "",
        "```",
        ",".join(PRICE_COLUMNS),
        "```",
        "",
    ]
    folders = sorted({found.package.rsplit(".", 1)[-1] for found in feeds().values()})
    for folder in folders:
        samples = files("carbon254.feeds").joinpath(folder, "samples")
        for name in sorted(entry.name for entry in samples.iterdir() if not entry.name.endswith(".expected.csv")):
            data = samples.joinpath(name).read_bytes()
            try:
                feed = choose(name, data, None)
                first = next(batches(feed, name, data))[0].head(1)
            except PayloadRefused:
                continue
            if feed.stream.dataset == "interval_prices":
                lines += [
                    f"`{feed.topic}` from `{name}`",
                    "",
                    "```",
                    as_text(first).write_csv(include_header=False).strip(),
                ]
                lines += ["```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _keyless(access: Access, base_url: str) -> str:
    if not base_url:
        return "pushed to us"
    return "yes" if access.kind == "none" else "no"


def _stream_row(stream: Stream) -> str:
    anchor = stream.publication.anchor.replace("_", " ")
    published = f"{_span(stream.publication.delay)} after {anchor}"
    if stream.publication.delay < timedelta(0):
        published = f"{_span(-stream.publication.delay)} before {anchor}"
    cells = [
        f"`{stream.topic}`", stream.title, stream.dataset, stream.market_run, _span(stream.resolution), stream.clock,
        stream.label.replace("_", " "), stream.repeat.replace("_", " "), published, _span(stream.slo),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
