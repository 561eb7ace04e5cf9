"""Transfers: what servers and networks do wrong ends in one line, never in a wrong file."""

import gzip
import http.server
import threading
import time
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request

import pytest

from sepkit.errors import SepkitError
from sepkit.files import transfers
from sepkit.files.transfers import Failure

CONTENT = bytes(range(256)) * 2000  # 512 kB


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the method of `way` does; remembers the ranges that were asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        self.close_connection = True
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        try:
            getattr(
                self, self.server.ways.pop(0) if len(self.server.ways) > 1 else self.server.ways[0]
            )(start)
        except (BrokenPipeError, ConnectionResetError):  # the other side has had enough
            pass

    def head(self, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def good(self, start, content=CONTENT):
        if start >= len(content):
            return self.head(416, Content_Range=f"bytes */{len(content)}", Content_Length="0")
        if start:
            self.head(
                206,
                Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}",
                Content_Length=str(len(content) - start),
            )
        else:
            self.head(Content_Length=str(len(content)))
        self.wfile.write(content[start:])

    def breaks_off(self, start):
        self.head(Content_Length=str(len(CONTENT)))
        self.wfile.write(CONTENT[:100_000])

    def without_length(self, start):
        self.head()
        self.wfile.write(CONTENT)

    def endless(self, start):
        self.head()
        while True:
            self.wfile.write(CONTENT)

    def promises_less(self, start):
        self.head(Content_Length="1000")
        self.wfile.write(CONTENT)

    def promises_more(self, start):
        self.head(Content_Length=str(len(CONTENT) + 7))
        self.wfile.write(CONTENT)

    def promises_nonsense(self, start):
        self.head(Content_Length="-1e9")
        self.wfile.write(CONTENT)

    def promises_the_moon(self, start):
        self.head(Content_Length=str(10**15))
        self.wfile.write(CONTENT)

    def another_part(self, start):
        if not start:
            return self.breaks_off(start)
        self.head(
            206,
            Content_Range=f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}",
            Content_Length=str(len(CONTENT) - 5),
        )
        self.wfile.write(CONTENT[5:])

    def a_part_unasked(self, start):
        self.head(
            206,
            Content_Range=f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}",
            Content_Length=str(len(CONTENT) - 5),
        )
        self.wfile.write(CONTENT[5:])

    def a_web_page(self, start):
        page = b"<html>Too many users have viewed this file recently</html>"
        self.head(Content_Type="text/html; charset=utf-8", Content_Length=str(len(page)))
        self.wfile.write(page)

    def a_short_answer(self, start):
        self.head(Content_Length="9")
        self.wfile.write(b"try later")

    def compressed(self, start):
        small = gzip.compress(CONTENT)
        self.head(Content_Encoding="gzip", Content_Length=str(len(small)))
        self.wfile.write(small)

    def sent_on(self, start):
        self.head(
            302, Location=f"http://127.0.0.1:{self.server.server_port}/there", Content_Length="0"
        )

    def sent_in_circles(self, start):
        self.head(302, Location=self.path, Content_Length="0")

    def sent_to_a_file(self, start):
        self.head(302, Location="file:///etc/passwd", Content_Length="0")

    def drips(self, start):
        self.head(Content_Length=str(len(CONTENT)))
        self.wfile.write(CONTENT[:5000])
        for byte in CONTENT[5000:]:
            time.sleep(0.02)
            self.wfile.write(bytes([byte]))

    def drips_headers(self, start):
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000:
            time.sleep(0.02)
            self.wfile.write(bytes([byte]))

    def drips_chunks(self, start):
        self.head(Transfer_Encoding="chunked")
        for byte in b"5;" + b"x" * 10_000:
            time.sleep(0.02)
            self.wfile.write(bytes([byte]))

    def fails(self, start):
        self.head(503, Content_Length="0")

    def refuses(self, start):
        self.head(404, Content_Length="0")

    def no_http(self, start):
        self.wfile.write(b"\x16\x03\x01 220 ftp ready\r\n\r\n")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads, running.asked = True, []
        threading.Thread(
            target=partial(running.serve_forever, poll_interval=0.01), daemon=True
        ).start()
        yield running
        running.shutdown()


@pytest.fixture
def get(server, tmp_path):
    """Download from a server that behaves in the named ways in turn; the bytes under the name."""

    def fetched(*ways, size=None, most=transfers.MOST, check=lambda part: None):
        server.ways = list(ways)
        path = tmp_path / "weights.pth"
        path.unlink(missing_ok=True)
        try:
            transfers.download(
                [f"http://127.0.0.1:{server.server_port}/weights.pth"], path, check, size, most
            )
        except (Failure, SepkitError):
            assert not path.exists(), "only what is right gets the final name"
            raise
        return path.read_bytes()

    return fetched


def right(part):
    if Path(part).read_bytes() != CONTENT:
        raise SepkitError("these are other bytes")


@pytest.mark.parametrize("size", [None, len(CONTENT)])
@pytest.mark.parametrize(
    "ways, ranges",
    [
        (["good"], [None]),
        (["breaks_off", "good"], [None, "bytes=100000-"]),
        (["without_length"], [None]),
        (["sent_on", "good"], [None, None]),
        (["fails", "good"], [None, None]),
        (["another_part", "another_part", "good"], [None, "bytes=100000-", None]),
        (["breaks_off", "without_length"], [None, "bytes=100000-"]),  # from the start again
        (["promises_nonsense"], [None]),
    ],
)
def test_what_can_be_mended_is(get, server, ways, ranges, size):
    assert get(*ways, size=size, check=right) == CONTENT
    assert server.asked == ranges


@pytest.mark.parametrize(
    "way, size, most, message",
    [
        ("a_web_page", None, 10**9, "sends a web page instead of the file"),
        ("a_short_answer", len(CONTENT), 10**9, f"9 bytes instead of {len(CONTENT)}"),
        ("promises_less", len(CONTENT), 10**9, f"1000 bytes instead of {len(CONTENT)}"),
        (
            "promises_more",
            None,
            10**9,
            f"broke off after {len(CONTENT)} bytes, of {len(CONTENT) + 7}",
        ),
        (
            "promises_more",
            len(CONTENT),
            10**9,
            f"{len(CONTENT) + 7} bytes instead of {len(CONTENT)}",
        ),
        ("promises_the_moon", None, 10**9, r"1e\+06 GB, where at most 1 GB were expected"),
        ("endless", None, 10**6, "sends more than the 1000000 bytes"),
        ("endless", len(CONTENT), 10**9, f"sends more than the {len(CONTENT)} bytes"),
        ("a_part_unasked", None, 10**9, "another part of the file than was asked for"),
        ("compressed", None, 10**9, "sends the file compressed .gzip., which was not asked for"),
        ("sent_in_circles", None, 10**9, "HTTP 302"),
        ("sent_to_a_file", None, 10**9, "HTTP 302"),
        ("refuses", None, 10**9, "HTTP 404"),
        ("fails", None, 10**9, "HTTP 503"),
        ("no_http", None, 10**9, "220 ftp"),
    ],
)
def test_what_cannot_be_mended_ends_in_one_line(get, way, size, most, message):
    with pytest.raises(Failure, match=message) as error:
        get(way, size=size, most=most)
    assert "\n" not in str(error.value) and str(error.value).isprintable()


@pytest.mark.parametrize("way", ["a_short_answer", "promises_less"])
def test_what_is_complete_and_wrong_is_not_kept(get, tmp_path, way):
    with pytest.raises(SepkitError, match="these are other bytes"):
        get(way, check=right)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", ["drips", "drips_headers", "drips_chunks"])
def test_a_transfer_that_comes_too_slowly_ends_and_goes_on_from_there(
    get, server, monkeypatch, way
):
    """A byte now and then, in contents, headers or framing, keeps a time-out from ever ending."""
    monkeypatch.setattr(transfers, "PATIENCE", 0.3)
    with pytest.raises(
        Failure, match="slower than .* kB/s, stopped after .* the next call goes on from there"
    ):
        get(way)
    if way == "drips":
        assert get("good", check=right) == CONTENT
        assert 5000 <= int(server.asked[-1].removeprefix("bytes=").rstrip("-")) < 5100


def test_the_part_of_another_file_is_dropped(get, server, tmp_path):
    (tmp_path / "weights.pth.part").write_bytes(bytes(len(CONTENT) + 100))
    assert get("good", check=right) == CONTENT
    assert server.asked == [f"bytes={len(CONTENT) + 100}-", None]


def test_a_full_disk_is_told_before_and_during(get, server, monkeypatch, tmp_path):
    monkeypatch.setattr(transfers, "free_bytes", lambda path: 100_200_000)
    with pytest.raises(SepkitError, match="100.5 MB needed, 100.2 MB free; free some space"):
        get("good")
    assert list(tmp_path.iterdir()) == []
    free = iter([10**12, 5])
    monkeypatch.setattr(transfers, "free_bytes", lambda path: next(free))
    monkeypatch.setattr(transfers, "LOOK", 100_000)
    with pytest.raises(SepkitError, match="0.0 kB free"):
        get("endless")


def test_local_files_are_bounded_as_well(tmp_path):
    source, path = tmp_path / "a source", tmp_path / "out" / "weights.pth"
    source.write_bytes(CONTENT)
    for address in (str(source), source.as_uri()):
        transfers.download([address], path, right)
        assert path.read_bytes() == CONTENT
        path.unlink()
        with pytest.raises(Failure, match=f"{len(CONTENT)} bytes instead of 7"):
            transfers.download([address], path, right, size=7)
        with pytest.raises(Failure, match="where at most"):
            transfers.download([address], path, right, most=7)
        assert not path.exists()
    with pytest.raises(Failure, match="no such file"):
        transfers.download([str(tmp_path)], path, right)


def test_a_redirect_never_leaves_encryption():
    request = Request("https://example.org/weights.pth")
    follow = partial(transfers._Redirects().redirect_request, request, None, 302, "Found", {})
    assert follow("https://example.org/there").full_url == "https://example.org/there"
    with pytest.raises(URLError, match="sent on without encryption, to http://example.org/there"):
        follow("http://example.org/there")


def test_the_next_source_is_asked(server, tmp_path):
    server.ways = ["refuses", "good"]
    address, path = f"http://127.0.0.1:{server.server_port}/", tmp_path / "weights.pth"
    transfers.download(["http://127.0.0.1:9/x", address, address], path, right)
    assert path.read_bytes() == CONTENT
