"""The driver of the browser tests sees what it is there to see."""

import pytest

pytestmark = pytest.mark.slow


def test_errors_and_requests_of_a_page_are_seen(page, watch, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(
        "<title>bad</title><img src='https://example.invalid/a.png'>"
        "<script>console.error('logged'); setTimeout(() => { throw Error('thrown'); });</script>"
    )
    page.goto(path.as_uri())
    page.wait_for_function("document.title === 'bad'")
    page.wait_for_timeout(200)
    assert watch.outside == ["https://example.invalid/a.png"]
    assert any("logged" in text for text in watch.errors)
    assert any("thrown" in text for text in watch.errors)
    watch.requests.clear()
    watch.errors.clear()


def test_a_page_of_its_own_is_no_request_to_the_outside(page, watch, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("<title>good</title><img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>")
    page.goto(path.as_uri())
    assert page.title() == "good" and watch.requests[0] == path.as_uri()
