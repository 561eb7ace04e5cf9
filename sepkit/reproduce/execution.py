"""The process that executes one notebook: ``python -m sepkit.reproduce.execution``.

It reads a job as JSON from standard input and writes one JSON object per line:
``{"cell": 3, "of": 20}`` while it runs, ``{"status": ...}`` at the end. A process of its own, so
that a kernel that dies, hangs or fills the memory takes nothing else with it. It lasts as long as
somebody holds the other end of its standard input, and leaves no kernel behind.
"""

import contextlib
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import SepkitError
from ..files import atomic_path
from ..runtime.processes import kill_family

#: Seconds after which the outputs so far are written again, at the next cell.
SAVE_EVERY = 5.0
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


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

    engine = _papermill_engine(report, job["output"])
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
        _save(notebook, job["output"])
    return {**outcome, "seconds": round(time.monotonic() - began, 1), "peak_mb": _peak_mb()}


def _save(notebook, output):
    from nbformat import write

    with atomic_path(output) as temporary:
        write(notebook, temporary)


def _papermill_engine(report, output):
    """A papermill engine that reports which cell is running, and saves what there is."""
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
        saved = time.monotonic()

        @classmethod
        def execute_managed_notebook(
            cls, nb_man, kernel_name, start_timeout=60, execution_timeout=None, **kwargs
        ):
            cls.notebook = nb_man.nb
            begin = nb_man.cell_start

            def cell_start(cell, cell_index=None, **more):
                cls.cell = cell_index
                if time.monotonic() - cls.saved > SAVE_EVERY:
                    _save(nb_man.nb, output)
                    cls.saved = time.monotonic()
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
        return f"took longer than {timeout:g} s; --timeout allows more"
    if kind == "DeadKernelError":
        return "the kernel died, most often for want of memory"
    text = _COLOURS.sub("", str(getattr(error, "evalue", error))).strip()
    return f"{kind}: {text.splitlines()[0]}" if text else kind


def serve() -> None:
    """Talk to the parent over the original standard output; whatever else prints goes to stderr."""
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def report(**message):
        lines.write(json.dumps(message) + "\n")

    job = json.loads(_first_line(0))
    threading.Thread(target=_end_with, args=(0, Path(job["output"])), daemon=True).start()
    try:
        report(**execute(job, report))
    except SepkitError as error:  # the notebook cannot be written
        report(status="failed", error=str(error))


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
    with contextlib.suppress(OSError):
        output.unlink(missing_ok=True)
    os._exit(1)


if __name__ == "__main__":
    serve()
