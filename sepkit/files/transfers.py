"""Downloads: bounded in size and time, resumed, and renamed once they have been checked.

pooch, which librosa brings, was looked at (1.9): it neither resumes what broke off, nor bounds the
size, nor ends a transfer that hardly moves, nor refuses a redirect that leaves encryption.
"""

import errno
import os
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from ..console import progress_bar
from ..errors import SepkitError
from .places import free_bytes, size_text

ATTEMPTS = 3
#: Seconds without an answer.
TIMEOUT = 20
#: Slowest transfer, headers included: at least this many bytes in each of these periods (s).
LEAST, PATIENCE = 30_000, 30
#: Bytes of a file whose size nobody knows beforehand: three times the largest published network.
MOST = 2_000_000_000
#: Free bytes that a transfer leaves on the disk, and how often it looks.
RESERVE, LOOK = 100_000_000, 50_000_000
_BLOCK = 1 << 18


class Failure(Exception):
    """A source gave nothing, or broke off; `again`: whether another try may help."""

    def __init__(self, reason: str, again: bool = False):
        super().__init__(reason)
        self.again = again


def download(
    sources: Sequence[str],
    path: str | Path,
    check: Callable[[Path], object],
    size: int | None = None,
    most: int = MOST,
    label: str = "",
) -> None:
    """Fetch a file from the first of several sources that has it.

    What has arrived lies in ``<name>.part``, from which this call or the next resumes.

    Parameters
    ----------
    sources : sequence of str
        ``http(s)://`` or ``file://`` addresses, or paths.
    path : Path
        Gets the file once `check` has looked at it. Its folder is made when missing.
    check : callable
        ``check(part)`` raises a `SepkitError` for a file that is not the right one; nothing
        is kept of it.
    size : int, optional
        Bytes of the file, if they are known.
    most : int
        Bytes that it may have otherwise.
    label : str
        Beside the progress bar, on a terminal.

    Raises
    ------
    Failure
        With the reason of the last source, if none has the file.
    SepkitError
        If the disk is full or cannot be written, and what `check` raises.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    source = _from_any(sources, part, size, most, label)
    try:
        if size is not None and part.stat().st_size != size:
            raise SepkitError(
                f"{source}: {part.stat().st_size} bytes instead of {size}; nothing was kept. Try "
                "again, or another source"
            )
        check(part)
    except SepkitError:
        part.unlink()
        raise
    os.replace(part, path)


def _from_any(sources, part, size, most, label):
    """The source that completed `part`."""
    failure = Failure("no source is known")
    for source in sources:
        for _ in range(ATTEMPTS):
            try:
                _complete(source, part, size, most, label)
                return source
            except Failure as error:
                failure = Failure(f"{source}: {error}")
                if not error.again:
                    break
    raise failure


def _complete(source, part, size, most, label):
    """Complete `part` from `source`; a `Failure` when that breaks off, keeping what has come."""
    address = urlsplit(source)
    if address.scheme in ("http", "https"):
        _fetch(source, part, size, most, label)
        return
    local = Path(unquote(address.path) if address.scheme == "file" else source)
    if not local.is_file():
        raise Failure("no such file")
    _bound(local.stat().st_size, size, most)
    _room(part, local.stat().st_size)
    with _opened(part, "wb") as file, open(local, "rb") as given:
        while block := given.read(_BLOCK):
            _append(file, block)


def _fetch(source, part, size, most, label):
    have = part.stat().st_size if part.exists() else 0
    headers = {
        "Accept-Encoding": "identity",
        "User-Agent": "sepkit",
        **({"Range": f"bytes={have}-"} if have else {}),
    }
    total = None
    with _watched() as (opener, watch):
        try:
            with opener.open(Request(source, headers=headers), timeout=TIMEOUT) as answer:
                start, total = _place(answer, part, have)
                _bound(total, size, most)
                _room(part, (total or 0) - start)
                with _opened(part, "ab" if start else "wb") as file:
                    _copy(answer, file, total, size or most, watch, label)
        except SepkitError:
            raise
        except HTTPError as error:
            if error.code == 416 and have:
                _refused_range(error, part, have)
                return
            raise Failure(f"HTTP {error.code}", again=error.code >= 500) from None
        except (OSError, HTTPException, ValueError) as error:
            _broken_off(part, watch, have, error)
    if watch.slow or total is not None and part.stat().st_size < total:
        _broken_off(part, watch, have, f"of {total}")


def _broken_off(part, watch, have, why):
    """Raise the `Failure` of a transfer that had `have` bytes when it began."""
    had = part.stat().st_size if part.exists() else 0
    if watch.slow:
        least = f"{LEAST / PATIENCE / 1000:g} kB/s"
        raise Failure(
            f"slower than {least}, stopped after {had} bytes; the next call goes on from there"
        ) from None
    if isinstance(why, URLError) or had <= have and isinstance(why, ValueError):
        raise Failure(_line(getattr(why, "reason", why))) from None
    raise Failure(f"broke off after {had} bytes, {_line(why)}", again=True) from None


def _place(answer, part, have):
    """First byte of an answer, and the bytes of the file, if the answer states them."""
    coding = (answer.headers.get("Content-Encoding") or "identity").lower()
    if coding != "identity":
        raise Failure(f"sends the file compressed ({_line(coding)}), which was not asked for")
    kind = answer.headers.get_content_type()
    if kind in ("text/html", "application/xhtml+xml"):
        raise Failure("sends a web page instead of the file")
    length = answer.headers.get("Content-Length")
    length = int(length) if length and length.isdecimal() and len(length) < 20 else None
    if answer.status != 206:  # the server sends the file from its start
        return 0, length
    first, _, total = (
        (answer.headers.get("Content-Range") or "").removeprefix("bytes ").partition("/")
    )
    if not have or first.partition("-")[0].strip() != str(have):
        part.unlink(missing_ok=True)
        raise Failure("answers with another part of the file than was asked for", again=True)
    return have, int(total) if total.isdecimal() and len(total) < 20 else length and have + length


def _refused_range(error, part, have):
    """Nothing is left to send: the part is whole, unless the server tells another length."""
    total = (error.headers.get("Content-Range") or "").rpartition("/")[2]
    if total.isdecimal() and int(total) != have:
        part.unlink()
        raise Failure("the part that was here is not of this file", again=True)


def _bound(total, size, most):
    if total is None:
        return
    if size is not None and total != size:
        raise Failure(f"{total} bytes instead of {size}")
    if total > most:
        raise Failure(f"{total / 1e9:.3g} GB, where at most {most / 1e9:.3g} GB were expected")


def _room(part, need):
    if (free := free_bytes(part.parent)) < need + RESERVE:
        raise SepkitError(
            f"{part.parent}: {size_text(need + RESERVE)} needed, {size_text(free)} free; "
            "free some space or choose another folder"
        )


def _opened(part, mode):
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        return open(part, mode, buffering=0)
    except OSError as error:
        raise SepkitError(
            f"{part}: cannot be written ({error.strerror}); choose another folder"
        ) from None


def _append(file, block):
    """Write a block; errors of the disk become a `SepkitError`, unlike those of the network."""
    try:
        rest = memoryview(block)
        while len(rest):
            rest = rest[file.write(rest) :]
    except OSError as error:
        remedy = "free some space" if error.errno == errno.ENOSPC else "choose another folder"
        raise SepkitError(f"{file.name}: cannot be written ({error.strerror}); {remedy}") from None


def _copy(answer, file, total, most, watch, label):
    looked = file.tell()
    with progress_bar(label, keep=True) as update:
        update(looked, total)
        while block := answer.read1(_BLOCK):
            if file.tell() + len(block) > most:
                raise Failure(f"sends more than the {most} bytes that were expected")
            _append(file, block)
            watch.received += len(block)
            update(file.tell(), total)
            if file.tell() - looked > LOOK:
                looked = file.tell()
                _room(Path(file.name), 0)


class _Watch:
    """Ends a connection that is too slow, be it with headers or with contents."""

    def __init__(self):
        self.received, self.slow, self.socket = 0, False, None
        self.over = threading.Event()

    def run(self):
        before = 0
        while not self.over.wait(PATIENCE):
            if self.received - before < LEAST:
                self.slow = True
                with suppress(OSError, TypeError):  # no connection yet, or none any more
                    # The plain socket's: TLS would wait for an answer.
                    socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
                return
            before = self.received


@contextmanager
def _watched():
    """An opener of addresses, and the watch over its connection."""
    watch = _Watch()

    def kind(base):
        class Connection(base):
            def connect(self):
                super().connect()
                watch.socket = self.sock

        return Connection

    class Plain(HTTPHandler):
        def http_open(self, request):
            return self.do_open(kind(HTTPConnection), request)

    class Secure(HTTPSHandler):
        def https_open(self, request):
            return self.do_open(kind(HTTPSConnection), request, context=self._context)

    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    try:
        yield build_opener(Plain, Secure, _Redirects), watch
    finally:
        watch.over.set()
        thread.join()


class _Redirects(HTTPRedirectHandler):
    """Never from an encrypted page to a plain one; `urllib` refuses other schemes itself."""

    def redirect_request(self, request, answer, code, message, headers, address):
        if (urlsplit(request.full_url).scheme, urlsplit(address).scheme) == ("https", "http"):
            raise URLError(f"is sent on without encryption, to {_line(address)}")
        return super().redirect_request(request, answer, code, message, headers, address)


def _line(error):
    text = (str(error).splitlines() or [""])[0][:120]
    return text if text.isprintable() and text else ascii(text)[1:-1] or type(error).__name__
