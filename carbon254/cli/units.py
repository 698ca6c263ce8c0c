"""`c254 units`: one conversion, with every assumption it stands on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from .console import AsJson, fail, out, show

if TYPE_CHECKING:
    from carbon254.units import Answer
    from carbon254.units.question import Asked


def units(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="QUANTITY", help="`10 Mcf`, or a whole question: `10 Mcf at 1037 Btu/cf in MWh`."),
    ] = None,
    to: Annotated[str, typer.Option("--to", help="The unit to tell it in.")] = "",
    heat_content: Annotated[str, typer.Option("--heat-content", help="Energy of the fuel, like `1037 Btu/cf`.")] = "",
    basis: Annotated[str, typer.Option("--basis", help="HHV or LHV, of the heat content.")] = "",
    base: Annotated[str, typer.Option("--base", help="Base conditions of the volume, like us_60F_14.73psia.")] = "",
    heat_base: Annotated[str, typer.Option("--heat-base", help="Base conditions of the heat content.")] = "",
    date: Annotated[str, typer.Option("--date", help="Day, month or year the heat content or the rate is of.")] = "",
    length: Annotated[str, typer.Option("--length", help="Length of the interval, like `15 min`.")] = "",
    density: Annotated[str, typer.Option("--density", help="Volume ↔ mass, like `0.845 kg/L`.")] = "",
    fx: Annotated[str, typer.Option("--fx", help="An exchange rate with --date: `1.08 USD/EUR`.")] = "",
    listed: Annotated[bool, typer.Option("--list", help="Show every unit, base and constant.")] = False,
    as_json: AsJson = False,
) -> None:
    """Convert a quantity, and say what the answer stands on.

    Example: `c254 units "10 Mcf at 1037 Btu/cf in MWh"` · `c254 units 25 '$/MWh' --to '$/MMBtu'`
    """
    from carbon254.errors import UnitError
    from carbon254.units.question import answer, read_question

    if listed:
        _list(as_json)
        return
    try:
        asked = read_question(_text(words))
        stated = {
            "target": to, "heat_content": heat_content, "basis": basis, "base": base, "heat_base": heat_base,
            "date": date, "length": length, "density": density, "fx": fx,
        }  # fmt: skip
        _complete(asked, stated)
        _tell(answer(asked), as_json)
    except UnitError as error:
        fail(str(error), code=2)


def _text(words: list[str] | None) -> str:
    """The words as one text. Raises BadParameter for none, and for an option that is none."""
    for word in words or ():
        if word.startswith("--"):
            raise typer.BadParameter(f"there is no option {word}; see c254 units --help")
    text = " ".join(words or ())
    if not text.strip():
        raise typer.BadParameter('there is no quantity; write one, like c254 units "10 Mcf at 1037 Btu/cf in MWh"')
    return text


def _complete(asked: Asked, stated: dict[str, str]) -> None:
    """Add what the options say. Raises BadParameter where the words say otherwise."""
    for name, value in stated.items():
        if not value:
            continue
        said = getattr(asked, name)
        if said and said != value:
            raise typer.BadParameter(f"the words say {said!r} and --{name.replace('_', '-')} says {value!r}")
        setattr(asked, name, value)


def _tell(found: Answer, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found.to_dict(), ensure_ascii=False))
        return
    way = "".join(f" = {value:,.12g} {unit}" for value, unit in found.on_the_way)
    out.print(f"{found.given}{way} = {found.value:,.12g} {found.unit}", highlight=False, markup=False, soft_wrap=True)
    for note in found.assumptions:
        out.print(f"  {note}", highlight=False, markup=False, soft_wrap=True)


def _list(as_json: bool) -> None:
    from carbon254.units import bases, constants, table

    defs = list(table().units.values())
    if as_json:
        entries = [
            {
                "unit": one.symbol,
                "kind": one.kind,
                "factor": str(one.factor),
                "spellings": one.spellings,
                "note": one.note,
            }
            for one in defs
        ]
        typer.echo(json.dumps(entries, ensure_ascii=False))
        return
    rows = [(one.symbol, one.kind, f"{float(one.factor):.12g}", ", ".join(one.spellings), one.note) for one in defs]
    show(("unit", "kind", "base units", "also written", "note"), rows)
    places = [
        (
            one.name,
            *(
                ("", "")
                if one.is_liquid
                else (f"{float(one.temperature_k or 0):.6g} K", f"{float(one.pressure_pa or 0):,.8g} Pa")
            ),
            one.source,
        )
        for one in bases().values()
    ]
    show(("base conditions", "temperature", "pressure", "source"), places)
    figures = [
        (one.name, f"{one.value:,.10g} {one.unit}", one.basis, one.date, one.source) for one in constants().values()
    ]
    show(("constant", "value", "basis", "of", "source"), figures)
