"""XML read into columns: what elements would say, and as safe."""

from __future__ import annotations

import pytest

from carbon254.errors import PayloadRefused
from carbon254.wire.xml import columns, elements, local

KEPT = ("A", "A@x", "B")
DOCUMENT = b"""<?xml version="1.0"?><s xmlns="http://x" xmlns:n="http://y">lost<r><A x='1'> one </A>
<B><![CDATA[<&]]>&amp;&#233;</B><C>not kept</C></r><!-- between --><r/>
<n:r><n:A n:x="2">a<D>deep<E>er</E></D>b</n:A><B/></n:r>
<r><A>first</A><A>last</A></r></s>"""


def through_elements(data: bytes) -> dict[str, list[str | None]]:
    found: dict[str, list[str | None]] = {name: [] for name in KEPT}
    for element in elements(data, {"r"}):
        cells: dict[str, str] = {}
        for part in element.parts:
            cells[part.name] = part.text
            cells |= {f"{part.name}@{local(name)}": value for name, value in part.attributes.items()}
        for name in KEPT:
            found[name].append(cells.get(name))
    return found


def test_columns_say_what_elements_say() -> None:
    wanted = {"A": ["one", None, "ab", "last"], "A@x": ["1", None, "2", None], "B": ["<&&é", None, "", None]}
    assert columns(DOCUMENT, "r", KEPT) == wanted == through_elements(DOCUMENT)
    assert columns(DOCUMENT.decode().encode("utf-16"), "r", KEPT) == wanted


@pytest.mark.parametrize("cut", range(60, len(DOCUMENT), 7))
def test_a_document_that_was_cut_is_refused(cut: int) -> None:
    with pytest.raises(PayloadRefused, match="broken"):
        columns(DOCUMENT[:cut], "r", KEPT)


@pytest.mark.parametrize("size", [1, 7, 64, 1_000])
def test_where_a_piece_ends_says_nothing(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = columns(DOCUMENT, "r", KEPT)
    monkeypatch.setattr("carbon254.wire.xml._PIECE", size)
    assert columns(DOCUMENT, "r", KEPT) == whole


MIB = 1 << 20
UNSAFE = {
    "entities": (b"<!DOCTYPE s [<!ENTITY a 'aaaa'>]><s><r><A>&a;</A></r></s>", "document type"),
    "a file": (b"<!DOCTYPE s [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><s><r><A>&a;</A></r></s>", "document type"),
    "levels": (b"<s><r>" + b"<a>" * (2 * MIB), "levels"),
    "levels outside": (b"<a>" * (2 * MIB), "levels"),
    "a long cell": (b"<s><r><A>" + b"x " * (4 * MIB) + b"</A></r></s>", "holds too much"),
    "a long text deeper": (b"<s><r><A>" + b"x" * (3 * MIB) + b"<D>" + b"x" * (3 * MIB), "holds too much"),
    "a long tag": (b"<s><r><A x='" + b"x" * MIB + b"'/></r></s>", "a tag or comment"),
    "many records": (b"<s>" + b"<r/>" * (2 * MIB) + b"</s>", "too many for its size"),
    "encoding": (b"<?xml version='1.0' encoding='utf-7'?><s/>", "foreign encoding"),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_what_is_unsafe_is_refused(name: str) -> None:
    data, reason = UNSAFE[name]
    with pytest.raises(PayloadRefused, match=reason):
        columns(data, "r", KEPT)


def test_a_long_text_outside_of_records_is_not_kept() -> None:
    assert columns(b"<s>" + b"x\n" * (6 * MIB) + b"<r><A>1</A></r></s>", "r", KEPT)["A"] == ["1"]
