"""What is due, said again interval by interval: clock changes, both anchors of publication, feeds that began late."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from quality.days import stream_of

from carbon254.calendars import market_day_span
from carbon254.quality import context_for

TOPICS = ("iso.rt.lmp.spp", "iso.da.lmp.spp", "iso.rt.lmp.pjm", "iso.rt.lmp.miso", "iso.hasp.lmp.caiso")
DAYS = (date(2025, 3, 9), date(2025, 7, 1), date(2025, 11, 2))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(TOPICS),
    st.sampled_from(DAYS),
    st.integers(-2_000, 5_000),
    st.none() | st.integers(0, 1_500),
)
def test_an_interval_is_due_its_publication_and_service_level_later(
    topic: str, day: date, minutes: int, began: int | None
) -> None:
    stream = stream_of(topic)
    start, end = market_day_span(day, stream.clock)
    at = start + timedelta(minutes=minutes)
    since = None if began is None else start + timedelta(minutes=began)
    due, begin = [], start
    while begin < end:
        anchor = start if stream.publication.anchor == "market_day" else begin + stream.resolution
        if anchor + stream.publication.delay + stream.slo <= at and (since is None or begin >= since):
            due.append(round(begin.timestamp() * 1_000_000))
        begin += stream.resolution
    context = context_for(stream, start, end, at, since=since)
    assert context.due == due
    newest = datetime.fromtimestamp(due[-1] / 1e6, UTC) + stream.resolution if due else None
    assert context.fresh_by == newest
    assert context.over == (len(due) == (end - start) // stream.resolution)


def test_two_days_are_due_as_each_of_them() -> None:
    stream = stream_of("iso.da.lmp.spp")
    (first, middle), (_, last) = (market_day_span(day, stream.clock) for day in (date(2025, 11, 2), date(2025, 11, 3)))
    late = datetime(2027, 1, 1, tzinfo=UTC)
    both = [*(context_for(stream, first, middle, late).due or ()), *(context_for(stream, middle, last, late).due or ())]
    assert context_for(stream, first, last, late).due == both
    assert len(both) == 25 + 24
