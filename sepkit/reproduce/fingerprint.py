"""What a chapter's outcome depends on, as hashes: equal hashes mean that it need not run again."""

import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

from ..datasets import DATASETS, data_set_name
from ..datasets.musdb18 import SUFFIX
from ..files import data_root, digest, identity, kit, read_json, shipped
from ..formats import SUFFIXES
from .notebook import Chapter

#: What comes with sepkit and is read by chapters; ``budgets.json`` only says how long they take.
SHIPPED = ("reported", "checkpoints", "experiments", "weights.json")
#: Extras whose packages compute nothing that a chapter shows.
_APART = ("test", "cluster", "docs", "parity")


def fingerprint(
    chapter: Chapter, parameters: dict[str, Any], folder: Path, data: str
) -> dict[str, str]:
    """The hashes that decide whether `chapter` must run.

    Parameters
    ----------
    chapter : Chapter
    parameters : dict
        What its parameter cell receives. The output folder is left out, and so is where a folder
        of songs lies: moving them changes nothing.
    folder : Path
        Where the other chapters' results lie, for a chapter that gathers them.
    data : str
        What `data_digest` says of the data set.

    Returns
    -------
    dict
        notebook, sources, shipped, environment, data and (for a gathering chapter) results:
        hexadecimal digests; and fingerprint, the digest of all of them and the parameters.
    """
    parts = {
        "notebook": _notebook_digest(chapter.path),
        "sources": kit(),
        "shipped": digest([identity(path) for path in map(shipped, SHIPPED) if path.exists()]),
        "environment": digest(_environment()),
        "data": data,
    }
    if chapter.gathers:
        others = sorted((folder / "results").glob("*.json"))
        found = {path.name: identity(path) for path in others if path.stem != chapter.name}
        parts["results"] = digest(found)
    relevant = {key: value for key, value in parameters.items() if key != "out_dir"}
    relevant["data"] = data_set_name(parameters["data"])
    return {**parts, "fingerprint": digest(parts, relevant)}


def data_digest(data: str, profile: str) -> str:
    """A digest of a data set: of the names and bytes of its audio files.

    Parameters
    ----------
    data : str
        A data set's name or a folder.
    profile : str
        Which preset of the band is meant.
    """
    if data == "band":
        from .. import band

        folder = Path(band.ensure(preset=profile))
    else:
        folder = data_root() / data if data in DATASETS else Path(data)
    return identity(folder, (*SUFFIXES, SUFFIX)) if folder.is_dir() else digest()


def _notebook_digest(path):
    """A digest of what is written in the cells; what they printed when last run is not read."""
    cells = read_json(path).get("cells", [])
    tags = [cell.get("metadata", {}).get("tags", []) for cell in cells]
    return digest([[cell["cell_type"], "".join(cell["source"])] for cell in cells], tags)


def _environment():
    """Python, machine, and the versions of all packages that sepkit asks for and are there."""
    lines = [
        line
        for line in _of_package(metadata.requires, "sepkit") or ()
        if not any(f'"{extra}"' in line for extra in _APART)
    ]
    names = sorted({re.match(r"[\w.-]+", line)[0].lower() for line in lines} - {"sepkit"})
    versions = {name: _of_package(metadata.version, name) for name in names}
    return [platform.python_version(), platform.system(), platform.machine(), versions]


def _of_package(look_up, name):
    """``look_up(name)``; None for a package that is not installed."""
    try:
        return look_up(name)
    except metadata.PackageNotFoundError:
        return None
