"""A browser for the tests of the page."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.waiting import WAIT


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright; tests that need it are skipped without it."""
    sync = pytest.importorskip("playwright.sync_api")
    from benchmarks.page.browser import FLAGS

    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: apt-get install chromium fonts-dejavu-core")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        sync.expect.set_options(timeout=WAIT * 1000)
        yield browser
        browser.close()
