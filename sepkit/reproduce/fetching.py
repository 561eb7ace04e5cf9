"""What a batch needs that is not here yet: data sets, and published weights.

Nodes of a cluster often have no network: ``sepkit fetch`` brings it all beforehand, where there
is one, and checks by size and hash what it brings.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .. import band
from ..datasets import DATASETS, data_folder
from ..datasets.musdb18 import fetch_excerpts
from ..files import data_root, identity, read_json, size_text
from ..models import downloads
from ..models.registry import outline
from .notebook import Chapter


@dataclass(frozen=True)
class Need:
    """Something that chapters need.

    Attributes
    ----------
    name : str
        Such as ``data band`` or ``weights umxhq/vocals``.
    path : Path
        Where it lies, or will lie.
    here : bool
        Whether it is there.
    how : str
        What is to be done where it is not: "rendered", "downloaded, 140 MB", or what to type.
    get : callable
        Brings it where it can be brought, checks it, and returns its path.
    size : int or None
        Bytes to download, where that is known.
    """

    name: str
    path: Path
    here: bool
    how: str
    get: Callable[[], Path]
    size: int | None = None

    @property
    def line(self) -> str:
        """In a line."""
        return f"{self.name}: {'is here' if self.here else self.how} ({self.path})"


def needs(
    chapters: Sequence[Chapter], profile: str, data: Iterable[str], weights: str
) -> list[Need]:
    """What chapters need, with these parameters: data first, then weights.

    Parameters
    ----------
    chapters : sequence of Chapter
    profile : str
        Which size of the band.
    data : iterable of str
        Names of data sets, or folders.
    weights : {"shipped", "published", "train"}
    """
    found = [_data(name, profile) for name in data]
    if weights == "published":
        sets = dict.fromkeys(name for chapter in chapters for name in published_sets(chapter))
        files = ((name, key) for name in sets for key in downloads.manifest()[name]["files"])
        found += [_weights(name, key) for name, key in files]
    return found


def published_sets(chapter: Chapter) -> list[str]:
    """The published sets of weights that a chapter may load: those named where it asks which."""
    known = downloads.manifest()
    defaults = {entry["model"]: name for name, entry in known.items() if entry["default"]}
    found: dict[str, None] = {}
    for cell in read_json(chapter.path).get("cells", []):
        code = "".join(cell["source"])
        if cell["cell_type"] == "code" and "run.weights" in code:
            for word in re.findall(r"[\"']([\w-]+)[\"']", code):
                if word in known or word in defaults:
                    found[word if word in known else defaults[word]] = None
    return list(found)


def hash_of(path: Path) -> str:
    """The start of the SHA-256 of a file, or of a hash of all that a folder holds."""
    return identity(path)[:16]


def _data(name, profile):
    if name == "band":
        folder = data_root() / "band" / profile
        here = band.is_rendered(profile)
        return Need("data band", folder, here, "is rendered first", partial(band.ensure, profile))
    folder = data_root() / name if name in DATASETS else Path(name)
    size = DATASETS[name].download if name in DATASETS else None
    how, get = "is missing" + (f", {size_text(size)}" if size else ""), partial(data_folder, name)
    if name == "musdb7s":
        how, get = f"{how}; sepkit fetch downloads it", partial(fetch_excerpts, folder)
    elif name in DATASETS:
        how = f"{how}; {DATASETS[name].remedy}"
    return Need(f"data {name}", folder, folder.is_dir(), how, get, size)


def _weights(name, key):
    entry, path = downloads.manifest()[name], downloads.local_copy(name, key)
    size = entry["files"][key]["size"] or about(entry, key)
    how = f"is downloaded, {'' if entry['files'][key]['size'] else 'about '}{size_text(size)}"
    get = partial(_fetch, name, key)
    return Need(f"weights {name}/{key}", path, path.is_file(), how, get, size)


def about(entry: dict[str, Any], key: str) -> int:
    """Bytes of a file of published weights by its network: four for each number."""
    file = entry["files"][key]
    stems = {"targets": file["targets"]} if "targets" in file else {"target": key}
    network = outline(entry["model"], **stems, **entry["settings"])
    return 4 * sum(value.numel() for value in network.state_dict().values())


def _fetch(name, key):
    target = downloads.manifest()[name]["files"][key].get("targets", [key])[0]
    return downloads.fetch(name, target)
