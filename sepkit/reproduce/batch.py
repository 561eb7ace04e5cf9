"""Chapters in batch: only what changed is run, and nothing that fails stops the rest.

The folder that `run` fills::

    manifest.json              what was run, from what, with which outcome
    executed/01_stft.ipynb     with its outputs; 01_stft.failed.ipynb when a cell failed
    results/01_stft.json       the Scores, written by the chapter itself
"""

import ast
import os
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import SepkitError, unknown
from ..files import identity, provenance, read_json, read_object, repo_root, write_json
from ..validation import SEED, checked, place
from .fingerprint import data_digest, fingerprint
from .worker import Worker

PROFILES = ("smoke", "student", "paper")
WEIGHTS = ("shipped", "published", "train")
#: The parameter cell of every chapter.
PARAMETERS = ("profile", "weights", "data", "device", "seed", "out_dir")
#: Seconds that one cell may take.
CELL_TIMEOUT = {"smoke": 120, "student": 1200, "paper": None}


@dataclass(frozen=True)
class Chapter:
    """A notebook of the course, such as ``01_stft``."""

    name: str
    path: Path

    @property
    def gathers(self):
        """Whether the chapter reads what the others wrote, and so comes last."""
        return self.name.endswith("_tables")


def find_chapters(names=(), folder=None):
    """The chapters called `names`, by number (``01``) or name (``01_stft``); all without names.

    Raises
    ------
    SepkitError
        If there are no notebooks, or a name is unknown (lists those that exist).
    """
    folder = Path(folder) if folder else (repo_root() or Path()) / "notebooks"
    chapters = [
        Chapter(path.stem, path.resolve()) for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    ]
    if not chapters:
        raise SepkitError(
            f"{folder}: no chapters (01_*.ipynb ...) here; run from a checkout, or pass --notebooks DIR"
        )
    chosen = []
    for name in names:
        matches = [
            chapter
            for chapter in chapters
            if str(name) in (chapter.name, chapter.name[:2], chapter.path.name)
        ]
        if not matches:
            raise unknown("chapter", name, [chapter.name for chapter in chapters])
        chosen += [match for match in matches if match not in chosen]
    return chosen or chapters


def check_parameters(chapter, names):
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


def declared_parameters(notebook):
    """The names assigned in the cell tagged "parameters" of a notebook file, in their order."""
    for cell in read_json(notebook).get("cells", []):
        if "parameters" in cell.get("metadata", {}).get("tags", []):
            tree = ast.parse("".join(cell["source"]))
            return [
                node.id
                for node in ast.walk(tree)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            ]
    return []


def run(
    names=(),
    profile="student",
    out="build",
    weights="shipped",
    data="band",
    device="auto",
    seed=0,
    workers=None,
    force=False,
    notebooks=None,
    extra=None,
    timeout="profile",
    notify=None,
):
    """Execute chapters; those whose notebook, code, data and parameters are unchanged are left alone.

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
    extra : dict, optional
        Further parameters of the chapters.
    timeout : float, optional
        Seconds a cell may take; None is for ever, and each profile has its own default.
    notify : callable, optional
        Called as ``notify(chapter name, event, details)`` with events "waiting",
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
    out, notify = place("out", out).absolute(), notify or (lambda *_: None)
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
    batch = _Batch(out, parameters, timeout, workers or min(2, os.cpu_count() or 1), force, notify)
    batch.run([chapter for chapter in chapters if not chapter.gathers])
    batch.run([chapter for chapter in chapters if chapter.gathers])
    return {chapter.name: batch.entries[chapter.name] for chapter in chapters}


def failures(entries, out=""):
    """One line for every chapter that failed, with where its partial notebook lies."""
    return [
        f"{name}: {entry['error']}"
        + (f"; see {Path(out) / entry['executed']}" if entry["executed"] else "")
        for name, entry in entries.items()
        if entry["status"] == "failed"
    ]


def load_manifest(out):
    """The manifest of an output folder; an empty one when there is none."""
    path = Path(out) / "manifest.json"
    if not path.is_file():
        return {"chapters": {}}
    manifest = read_object(path, chapters=dict)
    for name, entry in manifest["chapters"].items():
        known = entry if isinstance(entry, dict) else {}
        texts = [known.get(key) for key in ("status", "profile")] + [known.get("error", "")] * (
            known.get("status") != "done"
        )
        if not all(isinstance(text, str) for text in texts) or not isinstance(
            known.get("parameters"), dict
        ):
            raise SepkitError(
                f"{path}: the entry of chapter {name!r} is not one that sepkit wrote; delete the "
                "file"
            )
    return manifest


def folder_lock(out, name):
    """A lock among all calls that fill the same folder; who holds it and is killed, gives it back."""
    (out / ".locks").mkdir(parents=True, exist_ok=True)
    return FileLock(out / ".locks" / name)


def add_to_manifest(out, entries):
    """Add entries to the manifest, which other calls may be adding to as well; returns all of it."""
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
    from ..datasets import DATASETS, known_data

    found = known_data(str(data))
    return found if found in DATASETS else str(Path(found).resolve())


def _prepare_data(data, profile):
    """Render the band once, before chapters that run side by side all want to."""
    if data == "band":
        from .. import band

        band.ensure(preset=profile)


class _Batch:
    """A pool of workers, and the manifest that each outcome is written to at once."""

    def __init__(self, out, parameters, timeout, workers, force, notify):
        self.out, self.parameters, self.timeout, self.notify = out, parameters, timeout, notify
        self.workers, self.force = workers, force
        self.provenance = provenance()
        self.data = data_digest(parameters["data"], parameters["profile"])
        self.entries = add_to_manifest(out, {})[
            "chapters"
        ]  # a folder that cannot be written is noticed now

    def run(self, chapters):
        entries = self.entries
        marks = {
            chapter: fingerprint(chapter, self.parameters, self.out, self.data)
            for chapter in chapters
        }
        todo = []
        for chapter in chapters:
            if not self.force and self._is_current(entries.get(chapter.name), marks[chapter]):
                self.notify(chapter.name, "unchanged", entries[chapter.name])
            else:
                todo.append(chapter)
                self.notify(chapter.name, "waiting", {})
        todo.sort(
            key=lambda chapter: -(entries.get(chapter.name) or {}).get("seconds", 0)
        )  # long ones first
        jobs = [
            (Worker(chapter, self.out, self.parameters, self.timeout, self.notify), marks[chapter])
            for chapter in todo
        ]
        self._execute(jobs)

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
        """Run a chapter, unless another call on this folder is about it: then wait, and see what it has brought."""
        name, waited = worker.chapter.name, False
        lock = folder_lock(self.out, name)
        while not worker.stopped:
            try:
                with lock.acquire(timeout=0 if not waited else 0.5):
                    entry = load_manifest(self.out)["chapters"].get(name)
                    if waited and self._is_current(entry, mark):
                        self.entries[name] = entry
                        self.notify(name, "unchanged", entry)
                        return
                    outcome = worker.run(threads)
                    if not Path(lock.lock_file).exists():
                        told = f"{self.out} was deleted while it ran; run it again"
                        outcome = {
                            "status": "failed",
                            "error": told,
                            "executed": None,
                            "results": None,
                        }
                    if not worker.stopped:
                        self._record(name, mark, outcome)
                    return
            except Timeout:
                waited = True

    def _record(self, name, mark, outcome):
        parameters = {key: value for key, value in self.parameters.items() if key != "out_dir"}
        entry = {**outcome, "profile": parameters["profile"], "parameters": parameters}
        entry |= {"fingerprint": mark["fingerprint"], "hashes": mark, "provenance": self.provenance}
        if entry.get("results"):
            entry["results_sha256"] = identity(self.out / entry["results"])
        add_to_manifest(self.out, {name: entry})
        self.entries[name] = entry
        self.notify(name, outcome["status"], entry)

    def _is_current(self, entry, mark):
        if not entry or entry["status"] != "done" or entry["fingerprint"] != mark["fingerprint"]:
            return False
        files = {key: self.out / entry[key] for key in ("executed", "results") if entry.get(key)}
        if not all(path.is_file() for path in files.values()):
            return False
        # Somebody may have run the chapter by hand, with other parameters and into this folder.
        recorded = entry.get("results_sha256")  # none by older versions
        return recorded is None or identity(files["results"]) == recorded
