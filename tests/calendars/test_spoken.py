"""One label as a person writes it, and the error that says what to write instead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from carbon254.calendars import conventions, markets
from carbon254.calendars.spoken import interval_of, labels_of
from carbon254.errors import BadLabel


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("market", "day", "label", "start"),
    [
        ("ERCOT", "2025-11-02", "HE25", "2025-11-03T05:00"),
        ("CAISO", "2025-11-02", "HE25", "2025-11-02T09:00"),
        ("ERCOT", "2025-11-02", "HE02*", "2025-11-02T07:00"),
        ("iso-ne", "11/02/2025", "02X", "2025-11-02T06:00"),
        ("SPP", "20251102", "02d", "2025-11-02T07:00"),
        ("MISO", "2025-11-02", "HE2", "2025-11-02T06:00"),
        ("MISO", "2026-03-08", "HE3", "2026-03-08T07:00"),
        ("PJM", "2026-03-08", "HE4", "2026-03-08T07:00"),
        ("PJM", "2025-07-01", "HB00", "2025-07-01T04:00"),
        ("PJM", "2025-07-01", "HE24", "2025-07-02T03:00"),
        ("NYISO", "2025-11-02", "01:05 EST", "2025-11-02T06:05"),
        ("NYISO", "2025-11-02", "01:05 edt", "2025-11-02T05:05"),
        ("ISONE", "2025-11-02", "01:00-05:00", "2025-11-02T06:00"),
        ("AEMO", "2025-07-01", "13:35", "2025-07-01T03:35"),
        ("IESO", "2025-11-02", "HE24", "2025-11-03T04:00"),
        ("AESO", "2027-11-07", "HE2", "2027-11-07T07:00"),
        ("PJM", "2025-11-02", "05:00Z", "2025-11-02T05:00"),
    ],
)
def test_one_label(market: str, day: str, label: str, start: str) -> None:
    found = interval_of(market, day, label)
    assert (found.start, found.end) == (at(start), at(start) + timedelta(hours=1))


@pytest.mark.parametrize(
    ("market", "day", "label", "said"),
    [
        ("ERCOT", "2026-03-08", "HE3", r"ERCOT: HE3 on 2026-03-08 does not exist.*02:00 to 03:00.*write HE2.*HE4"),
        ("ERCOT", "2025-11-02", "HE2", r"comes twice: from 06:00Z \(CDT\) and from 07:00Z \(CST\); write 01:00 CDT"),
        ("NYISO", "2025-11-02", "01:05", r"from 05:05Z \(EDT\) and from 06:05Z \(EST\); write 01:05 EDT"),
        ("NYISO", "2026-03-08", "02:30", r"NYISO: 02:30 on 2026-03-08 does not exist"),
        ("NYISO", "2025-07-01", "01:05 EST", r"told as EDT"),
        ("ERCOT", "2025-07-01", "HE25", r"24 hours.*write HE1 to HE24, or"),
        ("MISO", "2025-11-02", "HE25", r"MISO: HE25 on 2025-11-02.*24 hours"),
        ("AESO", "2027-11-07", "02*", r"24 hours on the clock America/Edmonton"),
        ("PJM", "2025-07-01", "HE0", r"write HE1 to HE24"),
        ("PJM", "2025-07-01", "24:00", r"HE24"),
        ("PJM", "2025-07-01", "HE02:30", r"hour with minutes"),
        ("PJM", "2025-07-01", "noon", r"not a label; write an hour"),
        ("PJM", "1st July", "HE1", r"YYYY-MM-DD"),
        ("PJN", "2025-07-01", "HE1", r"did you mean PJM"),
    ],
)
def test_what_cannot_be_says_the_market_the_label_and_the_fix(market: str, day: str, label: str, said: str) -> None:
    with pytest.raises(BadLabel, match=said):
        interval_of(market, day, label)


def test_every_convention_prints_one_label() -> None:
    for market in markets():
        printed = labels_of(market, at("2025-11-02T06:00"))
        assert {how.id for how, _ in printed} == {how.id for how in conventions().values() if how.market == market}
        assert all(text.startswith("2025-11-0") for _, text in printed)
    told = {how.id: text for how, text in labels_of("ERCOT", at("2025-11-02T07:00"))}
    assert told["ercot.asterisk"] == "2025-11-02 HE02*" and told["ercot.he25"] == "2025-11-02 HE03"
    assert told["ercot.api"] == "2025-11-02 HE02 flag true" and told["ercot.sced"] == "2025-11-02 01:00 flag true"
    with pytest.raises(BadLabel, match="no time zone"):
        labels_of("ERCOT", datetime(2025, 7, 1))
