"""Others agree, and the page says so with the counts of this run."""

from __future__ import annotations

import pytest
from judges import PAGE, findings, in_page, table


@pytest.mark.slow
def test_no_judge_differs_and_the_page_shows_it() -> None:
    assert [one for one in findings() if one[3] or not one[2]] == []
    assert in_page(PAGE.read_text("utf-8")) == table(), "run scripts/docs"
