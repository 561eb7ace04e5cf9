"""Every path of a long run executed once, in minutes: ``sepkit reproduce --rehearse``.

The chapters run with profile "paper" and published weights on a stand-in of MUSDB18
(`rehearsal_songs`), with weights of random numbers that a server on this machine hands out
(`rehearsal_weights`), and a few steps where the real run makes many (`rehearsal_cuts`). What they
measure means nothing and is thrown away; whether they reach their end is the result.
"""

import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .. import band
from ..errors import unknown
from . import batch, rehearsal_songs, rehearsal_weights
from .grid import Grid
from .jobs import OnEvent
from .manifest import failures
from .notebook import find_chapters

#: Seconds that a cell may take.
CELL_TIMEOUT = 900
#: In front of a chapter's set-up.
CELL = """\
# Put here by the rehearsal: a few steps instead of many, and weights of random numbers.
from sepkit.learn import chapter
from sepkit.reproduce import rehearsal_cuts

rehearsal_cuts.apply(chapter.Run, {weights!r})
"""


def rehearsed(data: Sequence[str]) -> list[str]:
    """What stands for data sets: MUSDB18's for themselves, MUSDB18-HQ for the band.

    Raises
    ------
    SepkitError
        For any other.
    """
    chosen = ["musdb18hq" if name == "band" else str(name) for name in data]
    for name in chosen:
        if name not in rehearsal_songs.DATA:
            raise unknown("data set to rehearse with", name, rehearsal_songs.DATA)
    return chosen


def run(
    names: Sequence[str] = (),
    data: Sequence[str] = ("musdb18hq",),
    out: str | Path = "build",
    device: str = "auto",
    seeds: Sequence[int] = (0,),
    workers: int | None = None,
    notebooks: str | Path | None = None,
    timeout: float | None = None,
    on_event: OnEvent = lambda *_: None,
) -> list[str]:
    """Rehearse chapters.

    Parameters
    ----------
    names : sequence of str
        Chapters, by number or name; all when empty.
    data : sequence of str
        Of `rehearsal_songs.DATA`; the band is rendered for them if need be.
    out : str or Path
        ``OUT/rehearsal`` gets the notebooks of the chapters that fail, and nothing else.
    device, seeds, workers, notebooks, on_event
        As in `batch.run` and `grid.Grid`.
    timeout : float, optional
        Seconds that a cell may take, `CELL_TIMEOUT` by default.

    Returns
    -------
    list of str
        One line for every chapter that failed; see `manifest.failures`.

    Raises
    ------
    SepkitError
        As `batch.run`, and for other data.
    """
    data, kept = rehearsed(data), Path(out) / "rehearsal"
    chapters = find_chapters(names, notebooks)
    shutil.rmtree(kept, ignore_errors=True)
    songs = Path(band.ensure("smoke"))
    with TemporaryDirectory(prefix="sepkit-rehearsal-") as folder, _served(folder) as address:
        root = Path(folder)
        published = root / "published"
        sets = rehearsal_weights.needed(chapters)
        weights = rehearsal_weights.make(published, f"{address}/published", sets)
        for name in data:
            rehearsal_songs.make(name, root / "data", songs)
        (root / "data" / "band").mkdir()
        (root / "data" / "band" / "smoke").symlink_to(songs, target_is_directory=True)
        for chapter in chapters:
            _copy(chapter.path, root / "notebooks", weights)
        with _environment({"SEPKIT_DATA": str(root / "data"), "SEPKIT_OFFLINE": "1"}):
            grid = Grid(
                [chapter.name for chapter in chapters],
                "paper",
                "published",
                data,
                device,
                seeds,
                root / "out",
                root / "notebooks",
                timeout=timeout or CELL_TIMEOUT,
            )
            entries = batch.run(grid, workers, on_event=on_event)
        for entry in entries.values():
            if entry["status"] == "failed" and entry.get("executed"):
                (kept / entry["executed"]).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / "out" / entry["executed"], kept / entry["executed"])
    return failures(entries, kept)


def _copy(notebook: Path, folder: Path, weights: Path) -> None:
    """A chapter with `CELL` behind its parameters."""
    import nbformat

    chapter = nbformat.read(notebook, as_version=4)
    place = [
        number
        for number, cell in enumerate(chapter.cells)
        if "parameters" in cell.metadata.get("tags", [])
    ]
    chapter.cells.insert(place[0] + 1, nbformat.v4.new_code_cell(CELL.format(weights=str(weights))))
    folder.mkdir(exist_ok=True)
    nbformat.write(chapter, folder / notebook.name)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing."""


@contextmanager
def _served(folder: str) -> Iterator[str]:
    """The address under which this machine, and no other, reads a folder."""
    handler = partial(_Quiet, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
