"""One chapter in one process: what `sepkit reproduce` starts for every notebook.

``python -m sepkit.reproduce.notebook`` reads a job as JSON from standard
input and writes one JSON object a line: ``{"cell": 3, "of": 20}`` while it runs,
``{"status": ...}`` at the end. A process of its own, so that a kernel that dies,
hangs or fills the memory takes nothing else with it. It lasts as long as somebody
holds the other end of its standard input, and leaves neither kernel nor file behind.
"""

import json
import os
import re
import sys
import threading
import time
from pathlib import Path

from papermill import execute_notebook
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines

from ..runtime.processes import kill_family

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class _Client(PapermillNotebookClient):
    """Papermill's client, without its imitation of the Output widget.

    The imitation deadlocks now and then (nbclient issue 312); nobody watches
    widgets in a batch, so their output simply goes to the cell.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.widget_registry = {}


class _Watched(Engine):
    """Papermill's engine, telling which cell is running."""

    notebook = None
    cell = None
    say = staticmethod(lambda **message: None)

    @classmethod
    def execute_managed_notebook(
        cls, nb_man, kernel_name, start_timeout=60, execution_timeout=None, **kwargs
    ):
        cls.notebook = nb_man.nb
        begin = nb_man.cell_start

        def cell_start(cell, cell_index=None, **more):
            cls.cell = cell_index
            cls.say(cell=cell_index, of=len(nb_man.nb.cells))
            return begin(cell, cell_index, **more)

        nb_man.cell_start = cell_start
        client = _Client(
            nb_man,
            kernel_name=kernel_name,
            timeout=execution_timeout,
            startup_timeout=start_timeout,
        )
        return client.execute()


def run(job, say):
    """Execute ``job["notebook"]`` into ``job["output"]``, on failure with its error inside.

    Parameters
    ----------
    job : dict
        notebook, output, cwd (paths), parameters (dict), timeout (seconds a cell, or None).
    say : callable
        Called with keyword arguments as things happen.

    Returns
    -------
    dict
        status ("done" or "failed"), error and cell (when failed), seconds, peak_mb
        (resident memory of the largest process).
    """
    from nbformat import write

    papermill_engines.register("sepkit", _Watched)
    _Watched.say = staticmethod(say)
    outcome, began = {"status": "done"}, time.monotonic()
    path = job["notebook"].replace("{", "{{").replace("}", "}}")  # papermill fills in braces
    try:
        notebook = execute_notebook(
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
        notebook, cell = _Watched.notebook, _Watched.cell
        outcome = {"status": "failed", "cell": cell, "error": _one_line(error, job["timeout"])}
    if notebook is not None:
        Path(job["output"]).parent.mkdir(
            parents=True, exist_ok=True
        )  # somebody may have deleted it
        write(notebook, job["output"])
    return {**outcome, "seconds": round(time.monotonic() - began, 1), "peak_mb": _peak_mb()}


def _peak_mb():
    """Resident memory of the largest process that this one has started and seen end; None where nobody counts it."""
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


def main():
    """Talk to the parent over the original standard output; whatever else prints goes to stderr."""
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(**message):
        lines.write(json.dumps(message) + "\n")

    job = json.loads(_line(0))
    threading.Thread(target=_follow, args=(0, Path(job["output"])), daemon=True).start()
    say(**run(job, say))


def _line(source):
    """The first line of a file descriptor, without a buffer that would take more."""
    parts = []
    while not parts or not parts[-1].endswith(b"\n"):
        parts.append(os.read(source, 1 << 16))
        if not parts[-1]:
            sys.exit(1)  # the other end has gone before it said what to do
    return b"".join(parts)


def _follow(source, output):
    """End everything here when the other end of `source` goes."""
    while os.read(source, 1 << 16):
        pass
    kill_family(os.getpid(), and_itself=False)
    output.unlink(missing_ok=True)
    os._exit(1)


if __name__ == "__main__":
    main()
