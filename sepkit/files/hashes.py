"""Hashes of files that were read before, kept on disk: a second look at a file reads nothing.

`sepkit.files.identity` is the only user. What is kept here is never needed: where the file
cannot be read or written, or is damaged, hashes are computed again.
"""

import errno
import hashlib
import os
import stat
import time
from contextlib import closing
from pathlib import Path

#: So many files are remembered, in some 60 MB; then the first that came is the first to go.
LIMIT = 300_000
#: A file that changed less than this ago (in ns) could change again under the same time stamps:
#: FAT counts in steps of 2 s, others in those of the kernel's clock.
SETTLED = 2_000_000_000
_COLUMNS = "path BLOB PRIMARY KEY, state TEXT, sha256 TEXT, seal TEXT"

_here = {}  # of this process: {path: (state, sha256)}
_given_up = set()


def place():
    """The file that remembers: in ``$SEPKIT_CACHE``, else in ``~/.cache/sepkit``."""
    folder = Path(os.environ.get("SEPKIT_CACHE") or "~/.cache/sepkit").expanduser()
    return folder / "hashes.sqlite"


def state_of(path):
    """What changes when a file's content does, and whether the file has been at rest for a while.

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


def recall(path, state):
    """The SHA-256 of a file that was in this state when it was read, or None."""
    known = _here.get(path)
    if known is None or known[0] != state:
        key = os.fsencode(path)
        row = _ask("SELECT state, sha256, seal FROM files WHERE path = ?", key)
        if row is None or row[0] != state or row[2] != _seal(key, *row[:2]):
            return None
        known = _here[path] = row[:2]
    return known[1]


def keep(path, state, sha256):
    """Remember the SHA-256 of a file in this state."""
    _here[path] = state, sha256
    key = os.fsencode(path)
    row = key, state, sha256, _seal(key, state, sha256)
    _ask("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", *row)
    _ask("DELETE FROM files WHERE rowid <= (SELECT max(rowid) FROM files) - ?", LIMIT)


def _seal(key, state, sha256):
    """A flipped bit in what is kept must not pass for a change of the file."""
    return hashlib.sha256(key + f"\0{state}\0{sha256}".encode()).hexdigest()[:16]


def _ask(question, *values):
    """The first row of the answer, or None. Each asks by itself: no care for threads and forks."""
    try:
        import sqlite3  # some builds of Python lack it

        file = place()
        if file in _given_up:
            return None
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file, timeout=5, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute(f"CREATE TABLE IF NOT EXISTS files ({_COLUMNS})")
            return database.execute(question, values).fetchone()
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
