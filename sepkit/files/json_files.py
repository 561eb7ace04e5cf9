"""Where things lie, and how they are written: whole, or not at all."""

import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib import metadata, resources
from pathlib import Path

from ..errors import SepkitError
from ..runtime.threads import in_threads
from ..validation import place
from . import hashes as hash_memory
from .atomic import Temporary


@contextmanager
def atomic_path(path):
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
        temporary.path.chmod(0o666 & ~_umask())  # mkstemp makes private files; give the usual mode
        temporary.become(path)
    except OSError as error:
        if error.errno == 28:
            raise SepkitError(f"{path}: the disk is full; free some space and run again") from None
        raise
    finally:
        temporary.remove()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path, value, indent=1):
    """Write `value` as JSON, atomically; NaN and infinities become null."""
    text = json.dumps(jsonable(value), indent=indent, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path):
    """Read a JSON file; a missing or broken one raises a `SepkitError` that names it."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SepkitError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise SepkitError(f"{path}: not a JSON file ({error})") from None
    except OSError as error:
        raise SepkitError(
            f"{path}: cannot be read ({error.strerror}); expected a JSON file"
        ) from None
    return parse_json(text, path)


def read_object(path, **kinds):
    """A JSON file of ours that holds an object, such as a manifest.

    Parameters
    ----------
    path : str or Path
    **kinds
        Name of an entry -> its type; one that is missing is an empty one.

    Raises
    ------
    SepkitError
        If the file is missing or broken, or holds something else.
    """
    content = read_json(path)
    found = (
        {name: content.get(name, kind()) for name, kind in kinds.items()}
        if isinstance(content, dict)
        else None
    )
    if found is None or not all(isinstance(found[name], kind) for name, kind in kinds.items()):
        raise SepkitError(
            f"{path}: not a file that sepkit wrote ({', '.join(kinds) or 'an object'} expected); "
            "restore it or delete it"
        )
    return {**content, **found}


def parse_json(text, source):
    """The value of a JSON text, which may be anybody's.

    Parameters
    ----------
    text : str or bytes
    source : str or Path
        What the error message calls it.

    Raises
    ------
    SepkitError
        If it is not JSON, is nested too deeply, says one key twice, or holds a number with
        thousands of digits. NaN and Infinity are read, as Python writes them.
    """
    try:
        return json.loads(text, object_pairs_hook=_once_each)
    except RecursionError:
        raise SepkitError(f"{source}: not a JSON file of ours (nested too deeply)") from None
    except ValueError as error:  # JSONDecodeError, and numbers of too many digits
        raise SepkitError(f"{source}: not a JSON file ({str(error)[:120]})") from None


def _once_each(pairs):
    found = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:60]!r} is there twice")
        found[key] = value
    return found


def jsonable(value):
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()  # numpy and torch scalars
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def sha256(path):
    """The hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def digest(*parts):
    """A short hash of text, numbers, and lists and dicts of them."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def identity(path, suffixes=None):
    """What a file or a folder holds, as a hash: whatever is kept for later is kept under this.

    It is equal where every byte is, wherever the file lies and whenever it was written. Bytes are
    read once: the hash is remembered (`sepkit.files.hash_memory`) until the file changes.

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
        state, settled = hash_memory.state_of(where)
        known = hash_memory.recall(where, state)
        if known is None:
            known = sha256(where)
            if settled and hash_memory.state_of(where)[0] == state:  # else somebody is writing it
                hash_memory.keep(where, state, known)
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


def repo_root():
    """The checkout that this package runs from, or None when it is installed elsewhere."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() and (root / "data").is_dir() else None


def data_root(root=None):
    """The folder that holds data sets and downloads.

    The argument, else ``$SEPKIT_DATA``, else ``data/`` of the checkout, else
    ``~/.cache/sepkit``. It need not exist yet.
    """
    if root is not None:
        return place("root", root)
    if os.environ.get("SEPKIT_DATA"):
        return place("SEPKIT_DATA", os.environ["SEPKIT_DATA"])
    checkout = repo_root()
    return checkout / "data" if checkout else Path.home() / ".cache" / "sepkit"


def shipped(*parts):
    """The path of something that comes with sepkit, such as ``("reported", "scores.csv")``."""
    return Path(resources.files("sepkit").joinpath("assets", *parts))


def free_bytes(path):
    """Free disk space, in bytes, where `path` lies or would lie."""
    path = Path(path).absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def commit():
    """The checkout's git commit, with ``+`` when the sources differ from it; None outside git."""
    root = repo_root()
    if root is None:
        return None
    git = ["git", "-C", str(root)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--", "sepkit"], capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def provenance(command=None, **extra):
    """What a number needs to be believed: code, machine and command.

    Parameters
    ----------
    command : str, optional
        What to type to get the number again. By default the running command,
        with the folder of the program left out.
    **extra
        Seed, profile, device, data set and whatever else the caller knows.
    """
    from .. import __version__

    if command is None:
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    facts = {
        "sepkit": __version__,
        "commit": commit(),
        "command": command,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    for package in ("torch", "numpy"):
        try:
            facts[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            pass
    return {**facts, **extra}
