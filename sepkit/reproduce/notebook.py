"""One chapter's notebook: found, run in a process of its own, and stored with its outputs.

``python -m sepkit.reproduce.notebook`` is that process. It reads a job as JSON from standard
input and writes one JSON object per line: ``{"cell": 3, "of": 20}`` while it runs,
``{"status": ...}`` at the end. A process of its own, so that a kernel that dies, hangs or fills
the memory takes nothing else with it. It lasts as long as somebody holds the other end of its
standard input, and leaves neither kernel nor file behind.

``python -m sepkit.reproduce.notebook store [CHAPTER ...]`` (``make notebooks``) runs chapters and
keeps their outputs in notebooks/, small enough for git: figures and tables, which a reader sees
first on GitHub. Audio is taken out, because it is large and nobody can review it, but for tones
and sweeps that are computed from formulas; the cell says how to hear it. A chapter that fails
stays as it was.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..console import print_error
from ..errors import SepkitError, unknown
from ..files import atomic_path, repo_root
from ..runtime.processes import kill_family

#: Bytes that a stored notebook may have.
LIMIT = 900_000
SILENT = "Run this cell to listen."
#: Marks players whose sounds are computed from formulas alone: they may be stored.
SYNTHETIC = 'data-synthetic="true"'
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Chapter:
    """A notebook of the course, such as ``01_stft``."""

    name: str
    path: Path

    @property
    def gathers(self) -> bool:
        """Whether the chapter reads what the others wrote, and so comes last."""
        return self.name.endswith("_tables")


def find_chapters(names: Iterable[str] = (), folder: str | Path | None = None) -> list[Chapter]:
    """The chapters called `names`, by number (``01``) or name (``01_stft``); all without names.

    ``00_start`` is no chapter, and found by its name alone.

    Raises
    ------
    SepkitError
        If there are no notebooks, or a name is unknown (lists those that exist).
    """
    folder = Path(folder) if folder else (repo_root() or Path()) / "notebooks"
    paths = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    chapters = [Chapter(path.stem, path.resolve()) for path in paths]
    if not chapters:
        raise SepkitError(
            f"{folder}: no chapters (01_*.ipynb ...) here; run from a checkout, "
            "or pass --notebooks DIR"
        )
    chosen: dict[Chapter, None] = {}  # in the order of the names, each once
    for name in map(str, names):
        found = [c for c in chapters if name in (c.name, c.name[:2], c.path.name)]
        if not found:
            raise unknown("chapter", name, [chapter.name for chapter in chapters])
        chosen |= dict.fromkeys(found)
    return list(chosen) or [chapter for chapter in chapters if chapter.name[:2] != "00"]


# --- from a batch: start the process, listen to it, leave none of it behind ----------------------


class Worker:
    """Runs one chapter, in a process of its own, from a thread of the batch.

    Parameters
    ----------
    chapter : Chapter
        What to run.
    out : Path
        Where executed/ and results/ lie.
    parameters : dict
        For the chapter's parameter cell.
    timeout : float or None
        Seconds a cell may take.
    on_event : callable
        See `batch.run`.
    """

    def __init__(
        self,
        chapter: Chapter,
        out: Path,
        parameters: dict[str, Any],
        timeout: float | None,
        on_event: Callable[[str, str, dict], object],
    ):
        self.chapter, self.out, self.on_event = chapter, out, on_event
        self.parameters, self.timeout = parameters, timeout
        self.process: subprocess.Popen | None = None
        self.stopped = False
        self._lock = threading.Lock()

    def run(self, threads: int) -> dict[str, Any]:
        """Execute the chapter on `threads` cores; returns its outcome for the manifest."""
        executed = self.out / "executed" / f"{self.chapter.name}.ipynb"
        failed = executed.with_suffix(".failed.ipynb")
        partial = executed.with_name(f".{self.chapter.name}.partial.ipynb")
        results = self.out / "results" / f"{self.chapter.name}.json"
        for folder in (executed.parent, results.parent):
            folder.mkdir(parents=True, exist_ok=True)
        # So that no chapter takes an earlier run's numbers for this one's.
        results.unlink(missing_ok=True)
        try:
            outcome = self._converse(partial, threads)
            if self.stopped:
                return outcome
            done = outcome["status"] == "done"
            # What an earlier run left no longer holds.
            for stale in [failed] if done else [executed, failed, results]:
                stale.unlink(missing_ok=True)
            if partial.is_file():
                os.replace(partial, executed if done else failed)
        finally:
            partial.unlink(missing_ok=True)
        paths = {"executed": executed if done else failed, "results": results}
        for key, path in paths.items():
            outcome[key] = path.relative_to(self.out).as_posix() if path.is_file() else None
        return outcome

    def stop(self) -> None:
        """End the chapter's process and the kernel under it, now."""
        with self._lock:
            self.stopped = True
            process = self.process
        if process is None or process.poll() is not None:
            return
        kill_family(process.pid)
        process.wait()

    def _converse(self, output, threads):
        """Start the process, give it its job, and return its outcome."""
        job = _job(self.chapter, output, self.parameters, self.timeout)
        with tempfile.TemporaryFile("w+") as log:
            with self._lock:
                if self.stopped:
                    return {"status": "failed", "error": "interrupted"}
                # A session of its own: Ctrl-C reaches the batch alone, which then ends the rest in
                # order.
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "sepkit.reproduce.notebook"],
                    env=_environment(self.parameters, threads),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    start_new_session=True,
                )
            outcome, cell, of = self._listen(json.dumps(job))
            if outcome is None:
                log.seek(0)
                last = [line.strip() for line in log if line.strip()][-1:] or ["no message"]
                error = f"its process died ({last[0]})"
                outcome = {"status": "failed", "cell": cell, "error": error}
        if outcome.get("cell") is not None:
            outcome["error"] = f"cell {outcome['cell'] + 1} of {of}: {outcome['error']}"
        return outcome

    def _listen(self, job):
        outcome = cell = of = None
        try:
            self.process.stdin.write(job + "\n")
            self.process.stdin.flush()  # and left open: when it closes, the chapter ends
        except BrokenPipeError:
            pass
        for line in self.process.stdout:
            message = json.loads(line)
            if "status" in message:
                outcome = message
            else:
                cell, of = message["cell"], message["of"]
                self.on_event(self.chapter.name, "cell", message)
        self.process.wait()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        return outcome, cell, of


def _job(chapter, output, parameters, timeout):
    return {
        "notebook": str(chapter.path),
        "output": str(output),
        "cwd": str(chapter.path.parent),
        "parameters": parameters,
        "timeout": timeout,
    }


def _environment(parameters, threads):
    """The kernel's environment: a share of the cores, and this Python, whatever is registered."""
    return {
        **os.environ,
        **dict.fromkeys(_THREADS, str(threads)),
        "SEPKIT_PROFILE": parameters["profile"],
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


# --- in the process: execute the notebook with papermill -----------------------------------------


def execute(job: dict[str, Any], report: Callable[..., object]) -> dict[str, Any]:
    """Execute ``job["notebook"]`` into ``job["output"]``, on failure with its error inside.

    Parameters
    ----------
    job : dict
        notebook, output, cwd (paths), parameters (dict), timeout (seconds per cell, or None).
    report : callable
        Called with keyword arguments as things happen.

    Returns
    -------
    dict
        status ("done" or "failed"), error and cell (when failed), seconds, peak_mb
        (resident memory of the largest process).
    """
    import papermill
    from nbformat import write

    engine = _papermill_engine(report)
    papermill.engines.papermill_engines.register("sepkit", engine)
    outcome, began = {"status": "done"}, time.monotonic()
    path = job["notebook"].replace("{", "{{").replace("}", "}}")  # papermill fills in braces
    try:
        notebook = papermill.execute_notebook(
            path,
            None,
            parameters=job["parameters"],
            engine_name="sepkit",
            kernel_name="python3",
            language="python",
            request_save_on_cell_execute=False,
            progress_bar=False,
            cwd=job["cwd"],
            execution_timeout=job["timeout"],
            start_timeout=120,
        )
    except Exception as error:
        notebook, text = engine.notebook, _one_line(error, job["timeout"])
        outcome = {"status": "failed", "cell": engine.cell, "error": text}
    if notebook is not None:
        folder = Path(job["output"]).parent
        folder.mkdir(parents=True, exist_ok=True)  # somebody may have deleted it
        write(notebook, job["output"])
    return {**outcome, "seconds": round(time.monotonic() - began, 1), "peak_mb": _peak_mb()}


def _papermill_engine(report):
    """A papermill engine that reports which cell is running."""
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import Engine

    class Client(PapermillNotebookClient):
        """Papermill's client, without its imitation of the Output widget.

        The imitation deadlocks now and then (nbclient issue 312); nobody watches
        widgets in a batch, so their output simply goes to the cell.
        """

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.widget_registry = {}

    class Reporting(Engine):
        notebook = cell = None

        @classmethod
        def execute_managed_notebook(
            cls, nb_man, kernel_name, start_timeout=60, execution_timeout=None, **kwargs
        ):
            cls.notebook = nb_man.nb
            begin = nb_man.cell_start

            def cell_start(cell, cell_index=None, **more):
                cls.cell = cell_index
                report(cell=cell_index, of=len(nb_man.nb.cells))
                return begin(cell, cell_index, **more)

            nb_man.cell_start = cell_start
            client = Client(
                nb_man,
                kernel_name=kernel_name,
                timeout=execution_timeout,
                startup_timeout=start_timeout,
            )
            return client.execute()

    return Reporting


def _peak_mb():
    """Resident memory of the largest process started and ended here; None where none is counted."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    usage = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return round(usage / (1 << 20) if sys.platform == "darwin" else usage / (1 << 10))


def _one_line(error, timeout):
    kind = getattr(error, "ename", type(error).__name__)
    if "Timeout" in kind and timeout:
        return f"took longer than {timeout:g} s"
    if kind == "DeadKernelError":
        return "the kernel died, most often for want of memory"
    text = _COLOURS.sub("", str(getattr(error, "evalue", error))).strip()
    return f"{kind}: {text.splitlines()[0]}" if text else kind


def _serve():
    """Talk to the parent over the original standard output; whatever else prints goes to stderr."""
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def report(**message):
        lines.write(json.dumps(message) + "\n")

    job = json.loads(_first_line(0))
    threading.Thread(target=_end_with, args=(0, Path(job["output"])), daemon=True).start()
    report(**execute(job, report))


def _first_line(source):
    """The first line of a file descriptor, without a buffer that would take more."""
    parts = []
    while not parts or not parts[-1].endswith(b"\n"):
        parts.append(os.read(source, 1 << 16))
        if not parts[-1]:
            sys.exit(1)  # the other end has gone before it said what to do
    return b"".join(parts)


def _end_with(source, output):
    """End everything here when the other end of `source` goes."""
    while os.read(source, 1 << 16):
        pass
    kill_family(os.getpid(), and_itself=False)
    output.unlink(missing_ok=True)
    os._exit(1)


# --- `make notebooks`: run a chapter and keep its outputs ----------------------------------------


def store(chapter: Chapter) -> float:
    """Execute a chapter with its own defaults and write it back, without audio.

    Returns
    -------
    float
        Seconds it took.

    Raises
    ------
    SepkitError
        If a cell fails, or the notebook would grow beyond `LIMIT`; the file stays as it was.
    """
    import nbformat

    name = chapter.path.name
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / name
        outcome = execute(_job(chapter, output, {}, None), lambda **_: None)
        if outcome["status"] != "done":
            raise SepkitError(f"{name}: cell {(outcome['cell'] or 0) + 1}: {outcome['error']}")
        notebook = nbformat.read(output, as_version=4)
    strip_audio(notebook)
    text = nbformat.writes(notebook)
    if (size := len(text.encode())) > LIMIT:
        raise SepkitError(
            f"{name}: {size} bytes with its outputs, at most {LIMIT}; use smaller figures"
        )
    with atomic_path(chapter.path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return outcome["seconds"]


def strip_audio(notebook: Any) -> int:
    """Take audio out of outputs, in place; returns how many held some.

    What a player says of itself as text stays, with a line that tells how to hear it. Synthetic
    sounds stay. Live widgets go, and of figures the second form.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
    """
    replaced = 0
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        whole = "".join(map(str, output.get("data", {}).values()))
        if "data:audio" in whole and SYNTHETIC not in whole:
            text = output["data"].get("text/plain", "")
            output["data"] = {"text/plain": f"{text}\n{SILENT}".lstrip()}
            output["metadata"] = {}
            replaced += 1
        # Without its kernel a widget is an error message; what it says of itself as text stays.
        output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
        if "image/png" in output.get("data", {}):
            output["data"].pop("text/html", None)  # the same picture again
    return replaced


def _store_all(names):
    """Store chapters one after the other; returns the exit code."""
    failed = 0
    try:
        chapters = find_chapters(names)
    except SepkitError as error:
        print_error(error)
        return 1
    for chapter in chapters:
        try:
            print(f"{chapter.name}  {store(chapter):.0f} s", flush=True)
        except SepkitError as error:
            print_error(error)
            failed = 1
    return failed


if __name__ == "__main__":
    if sys.argv[1:2] == ["store"]:
        sys.exit(_store_all(sys.argv[2:]))
    _serve()
