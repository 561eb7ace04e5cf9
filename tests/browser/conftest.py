"""A headless Chromium, and a watch over what it says and asks for.

The browser is Debian's package (``apt-get install chromium``); playwright drives it by the
DevTools protocol. Where either is missing, the tests are skipped and say why.
"""

import shutil
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from sepkit.reproduce.book import BROWSERS

#: No name resolves but those of this machine: what a page asks for elsewhere fails, and is seen.
OPTIONS = (
    "--autoplay-policy=no-user-gesture-required",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


@dataclass
class Watch:
    """What a page has done.

    Attributes
    ----------
    errors : list of str
        Errors in the console, and exceptions that no script caught.
    requests : list of str
        All addresses that were asked for.
    """

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def outside(self):
        """Requests that leave this machine."""
        return [url for url in self.requests if not is_local(url)]


def is_local(url):
    """Whether an address is a file, a part of the page itself, or a server on loopback."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https", "ws", "wss"):
        return parts.hostname in ("127.0.0.1", "localhost", "::1")
    return parts.scheme in ("file", "data", "blob", "about")


@pytest.fixture(scope="session")
def browser():
    """Chromium, started once for all tests of a process."""
    api = pytest.importorskip("playwright.sync_api", reason="no playwright; pip install '.[test]'")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium here; apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(OPTIONS))
        yield browser
        browser.close()


@pytest.fixture
def watch():
    """The `Watch` over `page`; a test may look at its lists, or clear what it expects."""
    return Watch()


@pytest.fixture
def page(browser, watch):
    """A fresh page; at the end of the test it must have logged no error and asked nobody else."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(20_000)
    context.on("request", lambda request: watch.requests.append(request.url))
    context.on("weberror", lambda error: watch.errors.append(str(error.error)))
    context.on(
        "console",
        lambda message: watch.errors.append(message.text) if message.type == "error" else None,
    )
    page = context.new_page()
    yield page
    context.close()
    assert watch.outside == []
    assert watch.errors == []
