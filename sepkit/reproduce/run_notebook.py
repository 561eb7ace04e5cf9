"""One chapter in one process: what `sepkit reproduce` starts for every notebook.

``python -m sepkit.reproduce.run_notebook`` reads a job as JSON from standard
input and writes one JSON object a line: ``{"cell": 3, "of": 20}`` while it runs,
``{"status": ...}`` at the end. A process of its own, so that a kernel that dies,
hangs or fills the memory takes nothing else with it.
"""

import json
import os
import re
import resource
import sys
import time

from papermill import execute_notebook
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines

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
    def execute_managed_notebook(cls, nb_man, kernel_name, start_timeout=60, execution_timeout=None, **kwargs):
        cls.notebook = nb_man.nb
        begin = nb_man.cell_start

        def cell_start(cell, cell_index=None, **more):
            cls.cell = cell_index
            cls.say(cell=cell_index, of=len(nb_man.nb.cells))
            return begin(cell, cell_index, **more)

        nb_man.cell_start = cell_start
        client = _Client(nb_man, kernel_name=kernel_name, timeout=execution_timeout, startup_timeout=start_timeout)
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
            path, None, parameters=job["parameters"], engine_name="sepkit", kernel_name="python3", language="python",
            request_save_on_cell_execute=False, progress_bar=False, cwd=job["cwd"],
            execution_timeout=job["timeout"], start_timeout=120,
        )  # fmt: skip
    except Exception as error:
        notebook, cell = _Watched.notebook, _Watched.cell
        outcome = {"status": "failed", "cell": cell, "error": _one_line(error, job["timeout"])}
    if notebook is not None:
        write(notebook, job["output"])
    usage = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak = usage / (1 << 20) if sys.platform == "darwin" else usage / (1 << 10)
    return {**outcome, "seconds": round(time.monotonic() - began, 1), "peak_mb": round(peak)}


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

    say(**run(json.load(sys.stdin), say))


if __name__ == "__main__":
    main()
