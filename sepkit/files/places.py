"""Where things lie: the checkout, data sets and downloads, what ships with the package."""

import os
import shutil
from importlib import resources
from pathlib import Path

from ..validation import place


def repo_root() -> Path | None:
    """The checkout that this package runs from, or None when it is installed elsewhere."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() and (root / "data").is_dir() else None


def data_root(root: str | Path | None = None) -> Path:
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


def shipped(*parts: str) -> Path:
    """The path of something that comes with sepkit, such as ``("reported", "scores.csv")``."""
    return Path(str(resources.files("sepkit").joinpath("assets", *parts)))


def free_bytes(path: str | Path) -> int:
    """Free disk space, in bytes, where `path` lies or would lie."""
    path = Path(path).absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def size_text(count: int) -> str:
    """A number of bytes for a message, in the unit that leaves something of it: 1.5 MB."""
    for size, unit in ((1e9, "GB"), (1e6, "MB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.1f} kB"
