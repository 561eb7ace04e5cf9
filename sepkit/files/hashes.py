"""Hashes of files and values: what something holds, wherever it lies.

Hashes of files are kept on disk, in `memory_file`: a second look at a file reads nothing. What is
kept there is never needed: where it cannot be read or written, or is damaged, hashes are computed
again.
"""

import errno
import hashlib
import json
import os
import stat
import time
from contextlib import closing
from pathlib import Path

from ..errors import SepkitError
from ..runtime.threads import in_threads

#: Files that are remembered, in some 60 MB; beyond that the oldest entry goes first.
LIMIT = 300_000
#: A file that changed less than this ago (in ns) could change again under the same time stamps:
#: FAT counts in steps of 2 s, others in those of the kernel's clock.
SETTLED = 2_000_000_000
_COLUMNS = "path BLOB PRIMARY KEY, state TEXT, sha256 TEXT, seal TEXT"

_here: dict[str, tuple[str, str]] = {}  # of this process: {path: (state, sha256)}
_given_up: set[Path] = set()


def sha256(path: str | Path) -> str:
    """The hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def digest(*parts: object) -> str:
    """A short SHA-256 of text, numbers, and lists and dicts of them."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def identity(path: str | Path, suffixes: tuple[str, ...] | None = None) -> str:
    """Hash of what a file or a folder holds: whatever is kept for later is kept under it.

    It is equal where every byte is, wherever the file lies and whenever it was written. Bytes are
    read once: the hash is remembered until the file changes.

    Parameters
    ----------
    path : str or Path
    suffixes : tuple of str, optional
        Of a folder: only files that end so (in small letters).

    Returns
    -------
    str
        A file's SHA-256. For a folder a `digest` of the names, seen from the folder, and
        identities of all files in it, hidden ones and those in hidden folders left out.

    Raises
    ------
    SepkitError
        If a file cannot be read, or there is none.
    """
    path = Path(path)
    if path.is_dir():
        names = list(_files_below(path, suffixes or ("",)))
        return digest(*zip(names, in_threads(lambda name: identity(path / name), names)))
    try:
        where = os.path.abspath(path)
        state, settled = _state_of(where)
        known = _recall(where, state)
        if known is None:
            known = sha256(where)
            if settled and _state_of(where)[0] == state:  # else somebody is writing it
                _keep(where, state, known)
        return known
    except OSError as error:
        raise SepkitError(f"{path}: cannot be read ({error.strerror}); mend or remove it") from None


def _files_below(folder, suffixes, above=()):
    """The names of the visible files in a folder and its folders, sorted, seen from the folder."""
    here = folder.resolve()
    if here in above:  # a link to where it lies
        return
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            inside = _files_below(path, suffixes, (*above, here))
            yield from (f"{path.name}/{name}" for name in inside)
        elif path.is_file() and path.name.lower().endswith(suffixes):
            yield path.name


def memory_file() -> Path:
    """The file that remembers: in ``$SEPKIT_CACHE``, else in ``~/.cache/sepkit``."""
    folder = Path(os.environ.get("SEPKIT_CACHE") or "~/.cache/sepkit").expanduser()
    return folder / "hashes.sqlite"


def _state_of(path):
    """State of a file, which changes when its content does, and whether it is at rest.

    Size, time of modification and inode; and where the system has it (POSIX) the time at which
    any of these last changed, since the time of modification can be set back.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device might never end
        raise OSError(errno.EINVAL, "not a regular file")
    changed = status.st_ctime_ns if os.name == "posix" else 0  # elsewhere: when it was created
    now = time.time_ns()
    settled = now - changed > SETTLED and abs(now - status.st_mtime_ns) > SETTLED
    return f"{status.st_size} {status.st_mtime_ns} {changed} {status.st_ino}", settled


def _recall(path, state):
    """The SHA-256 of a file that was in this state when it was read, or None."""
    known = _here.get(path)
    if known is None or known[0] != state:
        key = os.fsencode(path)
        row = _query("SELECT state, sha256, seal FROM files WHERE path = ?", key)
        if row is None or row[0] != state or row[2] != _seal(key, *row[:2]):
            return None
        known = _here[path] = row[:2]
    return known[1]


def _keep(path, state, found):
    """Remember the SHA-256 of a file in this state."""
    _here[path] = state, found
    key = os.fsencode(path)
    row = key, state, found, _seal(key, state, found)
    _query("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", *row)
    _query("DELETE FROM files WHERE rowid <= (SELECT max(rowid) FROM files) - ?", LIMIT)


def _seal(key, state, found):
    """Checksum of an entry: a flipped bit in the database must not pass for a changed file."""
    return hashlib.sha256(key + f"\0{state}\0{found}".encode()).hexdigest()[:16]


def _query(statement, *values):
    """First row of a query's answer, or None.

    Every query opens the database itself, so that threads and forks need no care.
    """
    try:
        import sqlite3  # some builds of Python lack it

        file = memory_file()
        if file in _given_up:
            return None
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file, timeout=5, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute(f"CREATE TABLE IF NOT EXISTS files ({_COLUMNS})")
            return database.execute(statement, values).fetchone()
    except (ImportError, RuntimeError):  # no home
        return None
    except OSError:
        _given_up.add(file)
    except sqlite3.Error as error:
        _given_up.add(file)  # one wait or message of the kind is enough
        if not isinstance(
            error, sqlite3.OperationalError
        ):  # it is damaged, not locked or read-only
            _remove(file)
    return None


def _remove(file):
    try:
        file.unlink()
    except OSError:
        pass
