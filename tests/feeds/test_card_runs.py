"""Market runs on a feed's card: what they take from the stream, and what is said of a typo."""

from __future__ import annotations

from datetime import timedelta

import pytest

from carbon254.errors import SettingsError
from carbon254.feeds import feeds, load_card
from carbon254.model import by_run

CARD = """
[provider]
id = "x"
name = "X"
market = "X"
time_zone = "UTC"
base_url = ""
homepage = ""
licence = ""
redistribution = "unclear"
min_interval_s = 1.0

[[stream]]
topic = "iso.rt.lmp.x"
title = "Five minutes"
dataset = "interval_prices"
market_run = "RT"
resolution = "PT5M"
clock = "UTC"
label = "interval_end"
repeat = "utc"
publication = {anchor = "interval_end", delay = "PT5M"}
slo = "PT60S"
span = "PT5M"
complete = true
"""


def test_a_run_takes_from_the_stream_what_its_table_does_not_say() -> None:
    _, (stream,) = load_card(CARD + '[stream.runs.HOURLY]\nresolution = "PT1H"\ncomplete = false\n')
    run = stream.of_run("HOURLY")
    assert (run.market_run, run.resolution, run.complete) == ("HOURLY", timedelta(hours=1), False)
    assert (run.topic, run.slo, run.publication, run.clock) == (stream.topic, stream.slo, stream.publication, "UTC")
    assert stream.of_run("RT") is stream and run.of_run("HOURLY") is run
    assert [one.market_run for one in stream.every_run] == ["RT", "HOURLY"]
    assert by_run([stream]).keys() == {("X", "RT"), ("X", "HOURLY")}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[stream.runs.H]\nresoluton = "PT1H"\n', ["runs.H", "'resoluton'", "did you mean resolution"]),
        ('[stream.runs.H]\nclock = "UTC"\n', ["unknown key 'clock'", "horizon"]),
        ('[stream.runs.RT]\nslo = "PT1H"\n', ["the stream's own run"]),
        ("[stream.runs]\nH = 3\n", ["[stream.runs.H]"]),
        ('[stream.runs.H]\nresolution = "1 hour"\n', ["'1 hour' is not a duration"]),
    ],
)
def test_a_typo_in_a_runs_table_names_the_file_and_the_key(table: str, said: list[str]) -> None:
    with pytest.raises(SettingsError) as found:
        load_card(CARD + table, "desk/x/feed.toml")
    assert str(found.value).startswith("desk/x/feed.toml: ")
    assert all(words in str(found.value) for words in said), found.value


def test_a_feeds_own_run_comes_before_another_feeds_side_run() -> None:
    known = by_run(found.stream for found in feeds().values())
    assert known["CAISO", "HASP"].topic == "iso.hasp.lmp.caiso"
    assert known["ISONE", "RT_HOURLY"].resolution == timedelta(hours=1)
