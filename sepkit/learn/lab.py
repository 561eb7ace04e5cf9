"""``make lab``: JupyterLab on copies of the notebooks, which belong to the student.

The copies lie in ``build/lab``, which git ignores, so that ``git pull`` stays clean. A copy in
which something has been done is never written to again: a new version of its notebook is laid
beside it.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from ..console import print_error
from ..errors import SepkitError
from ..files import atomic_path, read_object, repo_root, sha256, write_json

FIRST_PAGE = "00_start.ipynb"
#: In the folder of the copies: which version of each notebook was laid last, and in which file.
RECORD = ".laid.json"


def lay_out(notebooks: Path, folder: Path) -> dict[Path, str]:
    """Copy notebooks into a student's folder, without touching any work in it.

    Parameters
    ----------
    notebooks, folder : Path
        Where they come from, and where the copies lie.

    Returns
    -------
    dict of Path to str
        The files that were written, each with a line for the student: empty for a first copy.

    Raises
    ------
    SepkitError
        If there are no notebooks, or the folder cannot be written.
    """
    found = sorted(notebooks.glob("*.ipynb"))
    if not found:
        raise SepkitError(f"{notebooks}: no notebooks here; `make lab` needs a whole checkout")
    record = folder / RECORD
    laid = read_object(record) if record.is_file() else {}
    written = {}
    for original in found:
        version, before = sha256(original), laid.get(original.name)
        copy = _place(folder, original.name, version, before)
        if copy is None:
            continue
        beside = "" if copy.name == original.name else f"; yours, {original.name}, is as it was"
        new = f"{copy.name} is the new version of {original.name}{beside}"
        written[copy] = new if copy.exists() or beside else ""
        with atomic_path(copy) as temporary:
            temporary.write_bytes(original.read_bytes())
        laid[original.name] = {"version": version, "file": copy.name}
        write_json(record, laid)
    return written


def _place(folder, name, version, before):
    """The file for a version of a notebook, or None if the student has that version already."""
    copy = folder / name
    if not copy.exists():
        return copy
    if before is None:  # the record has been deleted
        before = {"version": version if sha256(copy) == version else None, "file": name}
    if before["version"] == version:
        return None
    last = folder / before["file"]
    if last.exists() and sha256(last) == before["version"]:
        return last  # nobody has done anything in it
    number = 2
    while (beside := folder / f"{copy.stem}_version{number}.ipynb").exists():
        number += 1
    return beside


def trust(notebooks: Iterable[Path]) -> None:
    """Let JupyterLab show the stored players of notebooks, which hold scripts."""
    from nbformat import read
    from nbformat.sign import NotebookNotary

    for path in notebooks:
        NotebookNotary().sign(read(path, as_version=4))


def write_kernel(folder: Path) -> None:
    """Write a kernel "python3" that loads `sepkit.learn.missing_names`, for ``JUPYTER_PATH``."""
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {
        "argv": [*command, "--ext=sepkit.learn.missing_names"],
        "display_name": "Python 3",
        "language": "python",
        "metadata": {"debugger": True},
    }
    write_json(folder / "kernels" / "python3" / "kernel.json", kernel)


def write_settings(folder: Path) -> None:
    """Turn off JupyterLab's question about news, and its look for them; ``JUPYTER_CONFIG_PATH``."""
    off = {"@jupyterlab/apputils-extension:announcements": True}
    write_json(folder / "labconfig" / "page_config.json", {"disabledExtensions": off})


def command(folder: Path, options: list[str]) -> tuple[list[str], dict[str, str]]:
    """What starts JupyterLab on the copies, and its environment.

    Parameters
    ----------
    folder : Path
        Of the copies.
    options : list of str
        For JupyterLab; they come last, and so may overrule.
    """
    arguments = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url=/lab/tree/{FIRST_PAGE}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # otherwise it refuses to start
        arguments.append("--allow-root")
    first = {
        "JUPYTER_PATH": folder / ".jupyter",
        "JUPYTER_CONFIG_PATH": folder / ".jupyter",
        "PATH": Path(sys.executable).parent,  # `sepkit` in JupyterLab's terminal
    }
    return [*arguments, *options], {**os.environ} | {
        name: os.pathsep.join(filter(None, [str(place), os.environ.get(name, "")]))
        for name, place in first.items()
    }


def main(options: list[str]) -> None:
    """What ``make lab`` runs."""
    root = repo_root()
    try:
        if root is None:
            raise SepkitError("make lab: works in a checkout of the repository, see README.md")
        folder = root / "build" / "lab"
        written = lay_out(root / "notebooks", folder)
        trust(written)
        for message in filter(None, written.values()):
            print(message)
        write_kernel(folder / ".jupyter")
        write_settings(folder / ".jupyter")
    except SepkitError as error:
        print_error(error)
        sys.exit(1)
    print(f"Your notebooks lie in {folder.relative_to(root)}; Ctrl-C ends JupyterLab.", flush=True)
    arguments, environment = command(folder, options)
    os.execve(arguments[0], arguments, environment)


if __name__ == "__main__":
    main(sys.argv[1:])
