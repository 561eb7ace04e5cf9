"""Folders of batches laid together: of several machines, or of calls with other seeds."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import SepkitError
from ..files import atomic_path, identity
from . import manifest
from .grid import cell_of
from .notebook import Chapter

#: Where a chapter's files lie in a folder, to be brought with its record.
_FILES = ("executed", "results")


def merge(
    sources: Sequence[str | Path], out: str | Path, notice: Callable[[str], object] = print
) -> dict[str, dict]:
    """Bring the jobs of several output folders into one.

    Nothing is taken from the sources. What both have and is done stays as it is in `out`.

    Parameters
    ----------
    sources : sequence of str or Path
        Folders that `batch.run` has filled; without any, only the manifest of `out` is made anew.
    out : str or Path
    notice : callable
        Called with a line of text about what is unusual.

    Returns
    -------
    dict
        The entries of the manifest.

    Raises
    ------
    SepkitError
        If a folder has no jobs, or two have the same job from other code, data or parameters.
    """
    out, paths = Path(out), [Path(source) for source in sources]
    for source in paths or [out]:
        if not any(True for _ in manifest.records(source)):
            raise SepkitError(f"{source}: holds no jobs; give folders that sepkit reproduce filled")
    found = [record for folder in (*paths, out) for *_, record in manifest.records(folder)]
    places = set(map(cell_of, found))
    spread_out = len(places) > 1 or any(manifest.cells(out))
    if spread_out:
        spread(out)
    for source in paths:
        for cell, chapter, record in manifest.records(source):
            if source.resolve() != out.resolve():
                target = out / cell_of(record) if spread_out else out
                _take(source / cell, chapter, record, target)
    entries = manifest.write_manifest(out)["chapters"]
    _tell(entries, notice)
    return entries


def spread(out: Path) -> None:
    """Move what lies at the top of a folder into that of its data set and seed.

    What another call works on just now stays where it is until that call is over; of jobs that
    wait there is nothing to move.
    """
    for cell, chapter, record in list(manifest.records(out)):
        if not cell and not manifest.is_held(out, chapter):
            if record["status"] != "waiting":
                _take(out, chapter, record, out / cell_of(record))
            manifest.record_file(out, chapter).unlink()
            for key in _FILES:
                if record.get(key):
                    (out / record[key]).unlink(missing_ok=True)
    for name in ("jobs", *_FILES):
        if (out / name).is_dir() and not any((out / name).iterdir()):
            (out / name).rmdir()


def _take(folder, chapter, record, target):
    """Copy a job's files, then its record: a copy that breaks off leaves nothing to be trusted."""
    here = manifest.load_record(target, chapter)
    if here and here["status"] == "done":
        different = here.get("fingerprint") != record.get("fingerprint")
        if different and record["status"] == "done" and not Chapter(chapter, folder).gathers:
            raise SepkitError(
                f"{folder}: {chapter} was run from other code, data or parameters than in "
                f"{target}; leave one of them out, or run it again"
            )
        return
    for key in _FILES:
        if record.get(key):
            path = folder / record[key]
            wanted = record.get(f"{key}_sha256")
            if not path.is_file() or (wanted and identity(path) != wanted):
                raise SepkitError(
                    f"{path}: is not the file that {chapter} wrote (missing, changed, or copied in "
                    "part); copy it again, or run the chapter again"
                )
            with atomic_path(target / record[key]) as temporary:
                shutil.copyfile(path, temporary)
    manifest.save_record(target, chapter, record)


def _tell(entries, notice):
    """What is odd about jobs that lie together."""
    for part, what in (("sources", "versions of sepkit"), ("environment", "packages or Pythons")):
        found = {entry["hashes"][part] for entry in entries.values() if entry.get("hashes")}
        if len(found) > 1:
            notice(f"the jobs were run with {len(found)} {what}; their numbers may differ")
    stale = [
        name
        for name, entry in entries.items()
        if entry["status"] == "done" and Chapter(entry["chapter"], Path()).gathers
    ]
    if stale:
        notice(f"{', '.join(stale)}: gathered what there was before; run it again")
