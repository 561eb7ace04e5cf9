"""What became of every job of a batch: a record for each, and ``manifest.json`` of all of them.

The folder that `batch.run` fills with one data set and one seed::

    jobs/01_stft.json          the record: state, parameters, hashes, what it took, where it lies
    executed/01_stft.ipynb     with its outputs; 01_stft.failed.ipynb when a cell failed
    results/01_stft.json       the Scores, written by the chapter itself
    manifest.json              all records, gathered

With several data sets or seeds there is such a folder for each, ``band-seed0``, and the manifest
beside them. A record is written whole by whoever runs the job, on whatever machine; nobody shares
a file with another, so nothing is lost where file systems cannot lock. The manifest can be made
anew at any time.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..errors import SepkitError
from ..files import read_object, write_json

#: What a job can be. All but the last two begin anew when the same call is made again.
STATES = ("waiting", "running", "failed", "done")
_CELL = re.compile(r".+-seed\d+")


def record_file(folder: Path, chapter: str) -> Path:
    """Where the record of a chapter lies; `folder` is that of its data set and seed."""
    return folder / "jobs" / f"{chapter}.json"


def load_record(folder: Path, chapter: str) -> dict[str, Any] | None:
    """The record of a chapter; None where it was not run here, or the record is damaged."""
    try:
        record = read_object(record_file(folder, chapter))
    except (SepkitError, OSError):
        return None
    return record if _is_entry(record) and _stays_in_place(record, chapter) else None


def _stays_in_place(record, chapter):
    """Whether a record, which may come from elsewhere, names nothing but a chapter's own files."""
    own = (f"executed/{chapter}.ipynb", f"executed/{chapter}.failed.ipynb", None)
    results = (f"results/{chapter}.json", None)
    known = record.get("executed") in own and record.get("results") in results
    return known and isinstance(record["parameters"].get("seed"), int)


def save_record(folder: Path, chapter: str, record: dict[str, Any]) -> None:
    """Write the record of a chapter, whole.

    Raises
    ------
    SepkitError
        If the folder cannot be written.
    """
    try:
        write_json(record_file(folder, chapter), record)
    except OSError as error:
        raise SepkitError(
            f"{folder}: cannot be written ({error.strerror}); choose another folder"
        ) from None


def cells(out: Path) -> list[str]:
    """The folders of data sets and seeds in an output folder; "" is the folder itself."""
    names = [path.parent.name for path in out.glob("*/jobs")]
    found = sorted(name for name in names if _CELL.fullmatch(name))
    return [*([""] if (out / "jobs").is_dir() else []), *found]


def records(out: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(cell, chapter, record) of all jobs in an output folder."""
    for cell in cells(out):
        for path in sorted((out / cell / "jobs").glob("*.json")):
            if record := load_record(out / cell, path.stem):
                yield cell, path.stem, record


def write_manifest(out: Path) -> dict[str, Any]:
    """Gather all records into ``manifest.json``; returns it.

    Its entries are called after the chapter and, where there are several, data set and seed;
    their paths are seen from `out`.
    """
    entries = {}
    for cell, chapter, record in records(out):
        entries[job_name(chapter, cell)] = {"chapter": chapter, **seen_from(cell, record)}
    manifest = {"chapters": {name: entries[name] for name in sorted(entries)}}
    try:
        with folder_lock(out, "manifest"):
            write_json(out / "manifest.json", manifest)
    except OSError as error:
        raise SepkitError(
            f"{out}: cannot be written ({error.strerror}); choose another folder"
        ) from None
    return manifest


def seen_from(cell: str, record: dict[str, Any]) -> dict[str, Any]:
    """A record with its paths as seen from the output folder."""
    paths = {key: record[key] for key in ("executed", "results") if record.get(key)}
    return {**record, **{key: f"{cell}/{path}" for key, path in paths.items() if cell}}


def job_name(chapter: str, cell: str) -> str:
    """What a job is called: ``01_stft``, or ``01_stft band-seed0``."""
    return f"{chapter} {cell}" if cell else chapter


def load_manifest(out: str | Path) -> dict[str, Any]:
    """The manifest of an output folder; an empty one when there is none.

    Raises
    ------
    SepkitError
        For an entry that is not one of `batch.run`.
    """
    path = Path(out) / "manifest.json"
    if not path.is_file():
        return {"chapters": {}}
    manifest = read_object(path, chapters=dict)
    for name, entry in manifest["chapters"].items():
        if not _is_entry(entry):
            raise SepkitError(
                f"{path}: the entry of chapter {name!r} is not one that sepkit wrote; "
                "delete the file"
            )
    return manifest


def _is_entry(entry):
    if not isinstance(entry, dict) or not isinstance(entry.get("parameters"), dict):
        return False
    texts = [entry.get("status"), entry.get("profile")]
    if entry.get("status") != "done":
        texts.append(entry.get("error", ""))
    return all(isinstance(text, str) for text in texts)


def failures(entries: dict[str, dict], out: str | Path = "") -> list[str]:
    """One line for every job that failed, with where its partial notebook lies."""
    return [
        f"{name}: {entry['error']}"
        + (f"; see {Path(out) / entry['executed']}" if entry.get("executed") else "")
        for name, entry in entries.items()
        if entry["status"] == "failed"
    ]


def folder_lock(out: Path, name: str) -> FileLock:
    """A lock among all calls that fill a folder; a process that is killed gives it back."""
    (out / ".locks").mkdir(parents=True, exist_ok=True)
    return FileLock(out / ".locks" / name)


def is_held(out: Path, name: str) -> bool:
    """Whether a call that lives holds `folder_lock`."""
    try:
        with folder_lock(out, name).acquire(timeout=0):
            return False
    except Timeout:
        return True
