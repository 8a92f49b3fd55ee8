"""One browser, and one daemon with its view, for all tests of a file in a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge.client import Control
from tests.support.browser import LIVE, Page, browser
from tests.support.viewing import CONFIGURATION, Viewed, until, viewed


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture(scope="module")
def viewing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewed]:
    with viewed(tmp_path_factory.mktemp("view")) as viewing:
        yield viewing


@pytest.fixture
def opened(page: Page, viewing: Viewed) -> Iterator[Page]:
    """The page, with the initial configuration."""
    if viewing.file.read_text() != CONFIGURATION:  # of an earlier test
        viewing.file.write_text(CONFIGURATION)
        until(lambda: viewing.ask("GET", "/api/frame")[0] == 200)
        with Control(f"{viewing.endpoint}-control") as control:
            control.reload()
    page.size(1280, 1000)
    page.errors.clear()
    page.open(f"http://127.0.0.1:{viewing.port}/")
    page.until(LIVE)
    yield page
    page.open("about:blank")  # so that nothing of this page reaches the next test
