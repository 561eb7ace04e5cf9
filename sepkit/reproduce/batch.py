"""Chapters in batch: only what changed is run, and nothing that fails stops the rest.

The folder that `run` fills::

    manifest.json              what was run, from what, with which outcome
    executed/01_stft.ipynb     with its outputs; 01_stft.failed.ipynb when a cell failed
    results/01_stft.json       the Scores, written by the chapter itself
"""

import ast
import os
import platform
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..datasets import DATASETS, data_set_name, known_data
from ..datasets.musdb18 import SUFFIX
from ..errors import SepkitError, unknown
from ..files import (
    data_root,
    digest,
    identity,
    provenance,
    read_json,
    read_object,
    shipped,
    write_json,
)
from ..formats import SUFFIXES
from ..validation import SEED, checked, place
from .notebook import Chapter, Worker, find_chapters

PROFILES = ("smoke", "student", "paper")
WEIGHTS = ("shipped", "published", "train")
#: The parameter cell of every chapter.
PARAMETERS = ("profile", "weights", "data", "device", "seed", "out_dir")
#: Seconds that one cell may take.
CELL_TIMEOUT = {"smoke": 120, "student": 1200, "paper": None}
#: What comes with sepkit and is read by chapters; ``budgets.json`` only says how long they take.
SHIPPED = ("reported", "checkpoints", "experiments", "weights.json")


def check_parameters(chapter: Chapter, names: Iterable[str]) -> None:
    """Refuse parameters that the chapter does not declare: papermill itself would only warn.

    Raises
    ------
    SepkitError
        Naming the notebook, the parameter and those that exist.
    """
    declared = declared_parameters(chapter.path)
    missing = [name for name in names if name not in declared]
    if missing:
        known = ", ".join(declared) or "none (no cell is tagged 'parameters')"
        raise SepkitError(
            f"{chapter.path.name}: unknown parameter {missing[0]!r}: the chapter has {known}"
        )


def declared_parameters(notebook: Path) -> list[str]:
    """The names assigned in the cell tagged "parameters" of a notebook file, in their order."""
    for cell in read_json(notebook).get("cells", []):
        if "parameters" in cell.get("metadata", {}).get("tags", []):
            nodes = ast.walk(ast.parse("".join(cell["source"])))
            names = (node for node in nodes if isinstance(node, ast.Name))
            return [name.id for name in names if isinstance(name.ctx, ast.Store)]
    return []


def run(
    names: Sequence[str] = (),
    profile: str = "student",
    out: str | Path = "build",
    weights: str = "shipped",
    data: str = "band",
    device: str = "auto",
    seed: int = 0,
    workers: int | None = None,
    force: bool = False,
    notebooks: str | Path | None = None,
    extra: dict[str, Any] | None = None,
    timeout: float | str | None = "profile",
    on_event: Callable[[str, str, dict], object] | None = None,
) -> dict[str, dict]:
    """Execute chapters, except those whose notebook, code, data and parameters are unchanged.

    Parameters
    ----------
    names : sequence of str
        Chapters, by number or name; all when empty.
    profile, weights, data, device, seed
        What the chapters' parameter cells receive.
    out : str or Path
        The folder to fill.
    workers : int, optional
        Chapters at a time; by default two, or one on a single core. They share the cores.
    force : bool
        Run everything again.
    notebooks : str or Path, optional
        The folder of the chapters.
    extra : dict, optional
        Further parameters of the chapters.
    timeout : float, optional
        Seconds a cell may take; None is for ever, and each profile has its own default.
    on_event : callable, optional
        Called as ``on_event(chapter name, event, details)`` with events "waiting",
        "cell", "done", "failed" and "unchanged".

    Returns
    -------
    dict
        Chapter name -> its entry in the manifest.

    Raises
    ------
    SepkitError
        For an unknown chapter, profile, weights or parameter, before anything runs.
    """
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    if weights not in WEIGHTS:
        raise unknown("weights", weights, WEIGHTS)
    checked("seed", seed, SEED)
    for name in extra or ():
        if name in PARAMETERS:
            raise SepkitError(f"parameter {name}: has an argument (an option) of its own; use that")
    chapters = find_chapters(names, notebooks)
    out = place("out", out).absolute()
    parameters = {
        "profile": profile,
        "weights": weights,
        "data": _absolute(data),
        "device": device,
        "seed": seed,
        "out_dir": str(out),
        **(extra or {}),
    }
    for chapter in chapters:
        check_parameters(chapter, parameters)
    _prepare_data(parameters["data"], profile)
    timeout = CELL_TIMEOUT[profile] if timeout == "profile" else timeout
    workers = workers or min(2, os.cpu_count() or 1)
    batch = _Batch(out, parameters, timeout, workers, force, on_event or (lambda *_: None))
    batch.run([chapter for chapter in chapters if not chapter.gathers])
    batch.run([chapter for chapter in chapters if chapter.gathers])
    return {chapter.name: batch.entries[chapter.name] for chapter in chapters}


def failures(entries: dict[str, dict], out: str | Path = "") -> list[str]:
    """One line for every chapter that failed, with where its partial notebook lies."""
    return [
        f"{name}: {entry['error']}"
        + (f"; see {Path(out) / entry['executed']}" if entry["executed"] else "")
        for name, entry in entries.items()
        if entry["status"] == "failed"
    ]


def load_manifest(out: str | Path) -> dict[str, Any]:
    """The manifest of an output folder; an empty one when there is none.

    Raises
    ------
    SepkitError
        For an entry that is not one of `run`.
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


def folder_lock(out: Path, name: str) -> FileLock:
    """A lock among all calls that fill a folder; a process that is killed gives it back."""
    (out / ".locks").mkdir(parents=True, exist_ok=True)
    return FileLock(out / ".locks" / name)


def add_to_manifest(out: Path, entries: dict[str, dict]) -> dict[str, Any]:
    """Add entries to the manifest, to which other calls may be adding too; returns all of it."""
    try:
        with folder_lock(out, "manifest"):
            manifest = load_manifest(out)
            manifest["chapters"].update(entries)
            write_json(out / "manifest.json", manifest)
            return manifest
    except OSError as error:
        raise SepkitError(
            f"{out}: cannot be written ({error.strerror}); choose another folder"
        ) from None


def _absolute(data):
    """Chapters run in the notebooks' folder, so a relative data folder is made absolute here."""
    found = known_data(str(data))
    return found if found in DATASETS else str(Path(found).resolve())


def _prepare_data(data, profile):
    """Render the band once, before chapters that run side by side all want to."""
    if data == "band":
        from .. import band

        band.ensure(preset=profile)


class _Batch:
    """A pool of workers, and the manifest that each outcome is written to at once."""

    def __init__(self, out, parameters, timeout, workers, force, on_event):
        self.out, self.parameters, self.timeout, self.on_event = out, parameters, timeout, on_event
        self.workers, self.force = workers, force
        self.provenance = provenance()
        self.data = data_digest(parameters["data"], parameters["profile"])
        # A folder that cannot be written is noticed now.
        self.entries = add_to_manifest(out, {})["chapters"]

    def run(self, chapters):
        """Run the chapters that are not current, the longest ones first."""
        entries = self.entries
        marks = {c: fingerprint(c, self.parameters, self.out, self.data) for c in chapters}
        todo = []
        for chapter in chapters:
            if not self.force and self._is_current(entries.get(chapter.name), marks[chapter]):
                self.on_event(chapter.name, "unchanged", entries[chapter.name])
            else:
                todo.append(chapter)
                self.on_event(chapter.name, "waiting", {})
        todo.sort(key=lambda chapter: -(entries.get(chapter.name) or {}).get("seconds", 0))
        self._execute([(self._worker(chapter), marks[chapter]) for chapter in todo])

    def _worker(self, chapter):
        return Worker(chapter, self.out, self.parameters, self.timeout, self.on_event)

    def _execute(self, jobs):
        threads = max(1, (os.cpu_count() or 1) // max(1, min(self.workers, len(jobs))))
        pool = ThreadPoolExecutor(self.workers)
        pending = {pool.submit(self._do, worker, mark, threads): worker for worker, mark in jobs}
        try:
            while pending:
                # A short wait, not an endless one, so that Ctrl-C is heard on every platform.
                finished, _ = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in finished:
                    pending.pop(future)
                    future.result()
        finally:
            for future, worker in pending.items():
                future.cancel()
                worker.stop()
            pool.shutdown()

    def _do(self, worker, mark, threads):
        """Run a chapter; while another call on this folder runs it, wait and take its outcome."""
        name, waited = worker.chapter.name, False
        lock = folder_lock(self.out, name)
        while not worker.stopped:
            try:
                with lock.acquire(timeout=0 if not waited else 0.5):
                    entry = load_manifest(self.out)["chapters"].get(name)
                    if waited and self._is_current(entry, mark):
                        self.entries[name] = entry
                        self.on_event(name, "unchanged", entry)
                        return
                    outcome = worker.run(threads)
                    if not Path(lock.lock_file).exists():
                        outcome = self._deleted()
                    if not worker.stopped:
                        self._record(name, mark, outcome)
                    return
            except Timeout:
                waited = True

    def _deleted(self):
        error = f"{self.out} was deleted while it ran; run it again"
        return {"status": "failed", "error": error, "executed": None, "results": None}

    def _record(self, name, mark, outcome):
        parameters = {key: value for key, value in self.parameters.items() if key != "out_dir"}
        entry = {**outcome, "profile": parameters["profile"], "parameters": parameters}
        entry |= {"fingerprint": mark["fingerprint"], "hashes": mark, "provenance": self.provenance}
        if entry.get("results"):
            entry["results_sha256"] = identity(self.out / entry["results"])
        add_to_manifest(self.out, {name: entry})
        self.entries[name] = entry
        self.on_event(name, outcome["status"], entry)

    def _is_current(self, entry, mark):
        if not entry or entry["status"] != "done" or entry["fingerprint"] != mark["fingerprint"]:
            return False
        files = {key: self.out / entry[key] for key in ("executed", "results") if entry.get(key)}
        if not all(path.is_file() for path in files.values()):
            return False
        # Somebody may have run the chapter by hand, with other parameters and into this folder.
        recorded = entry.get("results_sha256")  # none by older versions
        return recorded is None or identity(files["results"]) == recorded


# --- what a chapter's outcome depends on, as hashes: equal hashes mean it need not run again -----


def fingerprint(
    chapter: Chapter, parameters: dict[str, Any], out: Path, data: str
) -> dict[str, str]:
    """The hashes that decide whether `chapter` must run.

    Parameters
    ----------
    chapter : Chapter
    parameters : dict
        What its parameter cell receives. The output folder is left out, and so is where a folder
        of songs lies: moving them changes nothing.
    out : Path
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
        "sources": identity(Path(__file__).resolve().parent.parent, (".py",)),
        "shipped": digest([identity(path) for path in map(shipped, SHIPPED) if path.exists()]),
        "environment": digest(_environment()),
        "data": data,
    }
    if chapter.gathers:
        others = sorted((out / "results").glob("*.json"))
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
        line for line in _of_package(metadata.requires, "sepkit") or () if '"test"' not in line
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
