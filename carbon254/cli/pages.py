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
from carbon254.model import Provider, Stream
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
    public = {found.stream.provider.id for found in feeds().values() if found.stream.public}
    for provider in sorted(providers.values(), key=lambda found: found.name):
        access = provider.access
        keys = ", ".join(f"`{name}`" for name in access.env)
        lines.append(
            f"| {_linked(provider)} | {_keyless(provider, provider.id in public)} | {keys} "
            f"| {access.where} | {provider.min_interval_s:g} s | {provider.redistribution} | {provider.licence} |"
        )
    lines += [
        "",
        "## Streams",
        "",
        "Times of a label are told in the clock; `repeat` is what separates the repeated autumn hour in the file: a",
        "twin column in UTC, the offset, a mark (its value decides, never the order of rows), or the order of rows.",
        "",
        "| feed | what | dataset | run | interval | clock | label | repeat | published | service level |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    streams = [found.stream for _, found in sorted(feeds().items())]
    lines += [_stream_row(stream) for stream in streams]
    lines += _public_files(streams)
    lines += [
        "",
        "## Other market runs in the same payloads",
        "",
        "A row's interval, bars, publication and withdrawal are those of its market run. What is due of a feed, how",
        "fresh and how complete it is, is told by the feed's own run alone.",
        "",
        "| feed | run | what | interval | published | service level | withdraws | region of unlisted places |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [_run_row(run) for stream in streams for run in stream.runs.values()]
    ordered = ", ".join(f"`{stream.topic}`" for stream in streams if stream.repeat == "row_order")
    filed = ", ".join(f"`{one.topic}`" for one in streams if one.public and one.public.repeat == "row_order")
    lines += [
        "",
        "## Where the order of rows says something",
        "",
        f"In the repeated autumn hour of {ordered}, and in public files of {filed}:",
        "day files of these feeds print no mark, and the second pass opens where a place's stamps step back. Keep",
        "their rows in the file's order: shuffled rows of that hour cannot be told apart, and rows cut from those",
        "before them are read as the first pass and flagged `ambiguous_time`. Reports of the same provider that name",
        "the clock beside the stamp go by that name. Feeds with a mark use order only where two rows carry the same",
        "mark or none, and flag both rows. Everywhere else rows may come in any order, on pages of any size, and give",
        "the same table.",
    ]
    return "\n".join(lines) + "\n"


def _public_files(streams: list[Stream]) -> list[str]:
    return [
        "",
        "## Public files of providers with a key",
        "",
        "Where the key is not set these are asked for instead, and a note says so; `c254 feeds run --public` asks for",
        "them in any case. A site that answers a program with a page of its own is told as such: save the file with a",
        "browser and take it in with `--file`.",
        "",
        "| feed | files | site | repeat |",
        "|---|---|---|---|",
        *(
            f"| `{one.topic}` | {one.public.files} | {one.public.base_url} | {one.public.repeat.replace('_', ' ')} |"
            for one in streams
            if one.public
        ),
    ]


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


def _keyless(provider: Provider, public: bool) -> str:
    if not provider.base_url:
        return "pushed to us"
    return "yes" if provider.access.kind == "none" else "public files" if public else "no"


def _run_row(run: Stream) -> str:
    cells = [
        f"`{run.topic}`", run.market_run, run.title, _span(run.resolution), _published(run), _span(run.slo),
        "yes" if run.complete else "no", run.area or run.market,
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _published(stream: Stream) -> str:
    anchor = stream.publication.anchor.replace("_", " ")
    if stream.publication.delay < timedelta(0):
        return f"{_span(-stream.publication.delay)} before {anchor}"
    return f"{_span(stream.publication.delay)} after {anchor}"


def _stream_row(stream: Stream) -> str:
    cells = [
        f"`{stream.topic}`", stream.title, stream.dataset, stream.market_run, _span(stream.resolution), stream.clock,
        stream.label.replace("_", " "), stream.repeat.replace("_", " "), _published(stream), _span(stream.slo),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
