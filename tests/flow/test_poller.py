"""The poller outlives a bad moment of whatever is below it: the feed is asked again, and nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from carbon254.app import open_node
from carbon254.clock import ManualClock
from carbon254.emulator.server import running
from carbon254.errors import TransientError
from carbon254.feeds import feeds
from carbon254.poller import Poller, cadence
from carbon254.settings import Settings

NOW = datetime(2025, 7, 1, 12, 10, 30, tzinfo=UTC)
FEED = "iso.rt.lmp.spp"


class Refusing:
    """An archive that takes nothing now."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def put(self, *_: object) -> None:
        raise self._error


@pytest.mark.slow
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), TransientError("s3://desk does not answer")])
def test_a_payload_that_the_archive_refused_is_fetched_again(tmp_path: Path, error: Exception) -> None:
    with running(seed=254, now=NOW) as emulator:
        settings = Settings(workspace=tmp_path / "ws", emulator_url=emulator.url)
        with open_node(settings, {}, ManualClock(NOW)) as node:
            inbox, poller = node.pipeline.inbox, Poller(node.pipeline, node.clock, [FEED])
            archive, inbox._raw = inbox._raw, Refusing(error)  # type: ignore[assignment]
            assert poller.turn() == 0.0
            with pytest.raises(type(error), match=str(error).split("] ")[-1]):
                inbox.answer()
            assert list(node.log.scan("raw.")) == []
            assert 0.0 < poller.turn() <= cadence(feeds()[FEED].stream).total_seconds()
            inbox._raw = archive
            poller.poll(FEED)
            node.runner.drain()
            (count,) = node.hot.query("SELECT count() AS n FROM interval_prices").column("n").to_pylist()
            assert count > 0
