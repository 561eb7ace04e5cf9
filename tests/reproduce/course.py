"""Small chapters, and calls that run them in batch."""

import json
import subprocess
import sys
import textwrap
import time

import nbformat
import psutil
from nbformat.v4 import new_code_cell, new_notebook

from sepkit.reproduce import batch
from sepkit.reproduce.grid import Grid

PARAMETERS = """\
profile = "smoke"
weights = "shipped"
data = "band"
device = "cpu"
seed = 0
out_dir = "build"
"""
WRITE = """
    import json, os, pathlib
    folder = pathlib.Path(out_dir) / "results"
    folder.mkdir(parents=True, exist_ok=True)
    seen = {"profile": profile, "seed": seed, "data": data,
            "threads": os.environ["OMP_NUM_THREADS"],
            "others": sorted(path.stem for path in folder.glob("*.json"))}
    (folder / "NAME.json").write_text(json.dumps(seen))
"""


def notebook(folder, name, *cells, parameters=PARAMETERS):
    """Write a chapter with a parameter cell and `cells`."""
    first = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    rest = [new_code_cell(textwrap.dedent(cell).strip().replace("NAME", name)) for cell in cells]
    nbformat.write(new_notebook(cells=[first, *rest]), folder / f"{name}.ipynb")


def run(course, *names, workers=None, on_event=lambda *_: None, share=None, **changed):
    return batch.run(Grid(names, **{**course, **changed}), workers, share=share, on_event=on_event)


def in_process(course, *names, **changed):
    """The batch in a process of its own."""
    arguments = {**course, **changed}
    for key in ("notebooks", "out"):
        arguments[key] = str(arguments[key])
    code = (
        "from sepkit.reproduce import batch, grid; "
        f"batch.run(grid.Grid({names!r}, **{arguments!r}))"
    )
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)


def seen(folder, name):
    """What a chapter of `WRITE` has seen."""
    return json.loads((folder / "results" / f"{name}.json").read_text())


def until(condition, seconds=60):
    """Wait until something holds; it must within some seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def gone(processes, seconds=5):
    """Whether processes have ended within some seconds."""
    _, left = psutil.wait_procs(processes, timeout=seconds)
    zombie = psutil.STATUS_ZOMBIE
    return not [each for each in left if each.is_running() and each.status() != zombie]
