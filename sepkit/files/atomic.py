"""Files and folders that are written whole, or not at all: beside their name, then renamed.

What is written into is hidden, and locked while its process lives. What a killed process
(kill -9, a power cut) has left behind is therefore known, and the next call that writes into the
same folder removes it.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import SepkitError

try:
    import fcntl
except ImportError:  # Windows, where an open file can be neither removed nor renamed
    fcntl = None  # type: ignore[assignment]

MARK = ".sepkit-"
#: In a folder, the file that is locked.
LOCK = ".lock"
_OURS = re.compile(rf"\..+{re.escape(MARK)}[a-z0-9_]{{8}}(\.|$)")
_swept: set[str] = set()


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Write beside, then rename: nothing half-written stands under its final name.

    Parameters
    ----------
    path : str or Path
        The final file. Its folder is made when missing.

    Yields
    ------
    Path
        A temporary file in the same folder and with the same suffix. It is
        renamed to `path` on success and removed on any failure, Ctrl-C included;
        what a killed process left there is removed by the next that writes there.

    Raises
    ------
    SepkitError
        If the folder cannot be made or written, or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Temporary(path)
    except OSError as error:
        raise SepkitError(
            f"{path.parent}: cannot be written ({error.strerror}); choose another folder"
        ) from None
    try:
        yield temporary.path
        temporary.path.chmod(0o666 & ~umask())  # mkstemp makes private files; give the usual mode
        temporary.become(path)
    except OSError as error:
        if error.errno == 28:
            raise SepkitError(f"{path}: the disk is full; free some space and run again") from None
        raise
    finally:
        temporary.remove()


def umask() -> int:
    """Permissions that new files of this process lack."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


class Temporary:
    """A hidden file or folder beside a final path, until `become` gives it that path.

    Parameters
    ----------
    final : Path
        In a folder that is there.
    folder : bool
        Make a folder instead of a file.

    Attributes
    ----------
    path : Path
        What to write into.

    Raises
    ------
    OSError
    """

    path: Path

    def __init__(self, final: str | Path, folder: bool = False):
        final = Path(final)
        sweep_once(final.parent)
        self._lock: int | None = None
        while self._lock is None:  # in between, another process may have swept it away
            self._make(final, folder)

    def _make(self, final, folder):
        prefix = f".{final.name[:40]}{MARK}"
        if folder:
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=final.parent))
            try:
                lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            except FileNotFoundError:
                return
        else:
            lock, name = tempfile.mkstemp(prefix=prefix, suffix=final.suffix, dir=final.parent)
            self.path = Path(name)
        if fcntl:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError:
                pass  # a file system without locks: then nothing is swept there, either
        if (self.path / LOCK if folder else self.path).exists():
            self._lock = lock
        else:
            os.close(lock)

    def become(self, final: str | Path) -> None:
        """Give it its final name. A file replaces what is there; a folder must find nothing."""
        if not fcntl:
            self._unlock()
        os.replace(self.path, final)
        if Path(final).is_dir():
            (Path(final) / LOCK).unlink()
        self._unlock()

    def remove(self) -> None:
        """Take it away, unless it has its final name."""
        self._unlock()
        if self.path.is_dir():
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            self.path.unlink(missing_ok=True)

    def _unlock(self):
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def sweep_once(folder: str | Path) -> None:
    """`sweep`, at the first call for this folder in this process."""
    where = os.path.abspath(folder)
    if where not in _swept:
        _swept.add(where)
        sweep(folder)


def sweep(folder: str | Path) -> None:
    """Remove what killed processes left in a folder; what a living one writes to stays."""
    try:
        names = [name for name in os.listdir(folder) if _OURS.match(name)]
    except OSError:  # writing there will say what is wrong
        return
    for name in names:
        try:
            _remove_if_dead(Path(folder) / name)
        except OSError:  # held by a living process, or not ours to remove
            pass


def _remove_if_dead(path):
    lock = path / LOCK if path.is_dir() else path
    if path.is_symlink():
        return
    if lock.exists():
        if fcntl:
            with open(lock, "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                lock.unlink()
        else:
            lock.unlink()
        if path.is_dir():
            shutil.rmtree(path)
    else:
        path.rmdir()  # killed before it was locked: empty
