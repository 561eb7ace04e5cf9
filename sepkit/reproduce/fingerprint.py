"""What a chapter's outcome depends on, as hashes: equal hashes mean it need not run again."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from ..files import data_root, sha256, shipped


def fingerprint(chapter, parameters, out, data):
    """The hashes that decide whether `chapter` must run.

    Parameters
    ----------
    chapter : Chapter
        With ``path`` and ``gathers``.
    parameters : dict
        What its parameter cell receives. The output folder is left out: moving it changes nothing.
    out : Path
        Where the other chapters' results lie, for a chapter that gathers them.
    data : str
        What `data_digest` says of the data set.

    Returns
    -------
    dict
        notebook, sources, shipped, data and (for a gathering chapter) results: hexadecimal
        digests; and fingerprint, the digest of all of them and the parameters.
    """
    parts = {
        "notebook": sha256(chapter.path),
        "sources": _sources(),
        "shipped": _shipped(),
        "data": data,
    }
    if chapter.gathers:
        others = [path for path in sorted((out / "results").glob("*.json")) if path.stem != chapter.name]
        parts["results"] = _digest((path.name, sha256(path)) for path in others)
    relevant = {key: value for key, value in parameters.items() if key != "out_dir"}
    return {**parts, "fingerprint": _digest([(json.dumps([parts, relevant], sort_keys=True), "")])}


def data_digest(data, profile):
    """A digest of a data set: of its manifest where it has one, else of its files' names and sizes.

    Parameters
    ----------
    data : str
        A data set's name or a folder.
    profile : str
        Which preset of the band is meant.
    """
    if data == "band":
        from ..datasets import band

        folder = Path(band.ensure(preset=profile))
    else:
        folder = data_root() / data if not Path(data).is_dir() else Path(data)
    for name in ("manifest.json", "band.json"):
        if (folder / name).is_file():
            return sha256(folder / name)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return _digest((str(path.relative_to(folder)), str(path.stat().st_size)) for path in files)


@lru_cache(maxsize=1)
def _sources():
    package = Path(__file__).resolve().parent.parent
    return _digest((str(path.relative_to(package)), sha256(path)) for path in sorted(package.rglob("*.py")))


@lru_cache(maxsize=1)
def _shipped():
    files = [*sorted(shipped("reported").glob("*.csv")), *sorted(shipped("checkpoints").glob("*/*"))]
    return _digest((path.name, sha256(path)) for path in files if path.is_file())


def _digest(pairs):
    digest = hashlib.sha256()
    for name, value in pairs:
        digest.update(f"{name}\0{value}\n".encode())
    return digest.hexdigest()[:16]
