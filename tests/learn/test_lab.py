"""`make lab`: copies that belong to the student, and a kernel that explains missing names."""

import json
import os
import subprocess
import sys

import pytest

from sepkit.errors import SepkitError
from sepkit.learn import lab
from sepkit.learn.missing_names import where_it_is_made


@pytest.fixture
def course(tmp_path):
    """(notebooks, folder of the copies); `write` makes a notebook of one line."""
    (tmp_path / "notebooks").mkdir()
    write(tmp_path / "notebooks" / "01_a.ipynb", "first")
    write(tmp_path / "notebooks" / "02_b.ipynb", "second")
    return tmp_path / "notebooks", tmp_path / "build" / "lab"


def write(path, *lines):
    path.write_text("\n".join(lines))


def texts(folder):
    return {path.name: path.read_text() for path in sorted(folder.glob("*.ipynb"))}


def lay(course):
    """The lines that a student sees."""
    return [line for line in lab.lay_out(*course).values() if line]


def test_the_first_call_copies_everything_and_the_second_nothing(course):
    assert lay(course) == []
    assert texts(course[1]) == {"01_a.ipynb": "first", "02_b.ipynb": "second"}
    assert lab.lay_out(*course) == {}


def test_work_is_never_written_to_and_the_new_version_lies_beside_it(course):
    lay(course)
    write(course[1] / "01_a.ipynb", "first", "my answer")
    assert lay(course) == []  # the notebook is the same
    write(course[0] / "01_a.ipynb", "better")
    (said,) = lay(course)
    assert "01_a_version2.ipynb is the new version of 01_a.ipynb; yours" in said
    found = texts(course[1])
    assert found["01_a.ipynb"] == "first\nmy answer" and found["01_a_version2.ipynb"] == "better"
    assert lay(course) == []  # it is offered once
    (course[1] / "01_a_version2.ipynb").unlink()
    assert lay(course) == []  # also to those who do not want it


def test_of_several_new_versions_only_those_with_work_in_them_stay(course):
    lay(course)
    write(course[1] / "01_a.ipynb", "mine")
    for version in ("better", "best"):
        write(course[0] / "01_a.ipynb", version)
        lay(course)
    assert texts(course[1])["01_a_version2.ipynb"] == "best"
    write(course[1] / "01_a_version2.ipynb", "mine again")
    write(course[0] / "01_a.ipynb", "perfect")
    lay(course)
    found = texts(course[1])
    assert found["01_a.ipynb"] == "mine" and found["01_a_version2.ipynb"] == "mine again"
    assert found["01_a_version3.ipynb"] == "perfect"


def test_an_untouched_copy_is_replaced_and_a_deleted_one_comes_back(course):
    lay(course)
    write(course[0] / "01_a.ipynb", "better")
    (course[1] / "02_b.ipynb").unlink()
    assert lay(course) == ["01_a.ipynb is the new version of 01_a.ipynb"]
    assert texts(course[1]) == {"01_a.ipynb": "better", "02_b.ipynb": "second"}


def test_without_its_record_nothing_is_overwritten_either(course):
    lay(course)
    write(course[1] / "01_a.ipynb", "mine")
    (course[1] / lab.RECORD).unlink()
    lay(course)
    found = texts(course[1])
    assert found["01_a.ipynb"] == "mine" and found["01_a_version2.ipynb"] == "first"
    assert "02_b_version2.ipynb" not in found


def test_a_folder_without_notebooks_is_refused(tmp_path):
    with pytest.raises(SepkitError, match="no notebooks here"):
        lab.lay_out(tmp_path, tmp_path / "lab")


@pytest.mark.parametrize("user, root", [(0, True), (1000, False)])
def test_jupyterlab_opens_the_first_page_for_every_user(tmp_path, monkeypatch, user, root):
    monkeypatch.setattr(os, "geteuid", lambda: user, raising=False)
    monkeypatch.setenv("JUPYTER_PATH", "theirs")
    arguments, environment = lab.command(tmp_path, ["--no-browser"])
    assert ("--allow-root" in arguments) == root and arguments[-1] == "--no-browser"
    assert "--LabApp.default_url=/lab/tree/00_start.ipynb" in arguments
    assert environment["JUPYTER_PATH"] == os.pathsep.join([str(tmp_path / ".jupyter"), "theirs"])


def test_the_kernel_of_the_lab_is_the_one_that_notebooks_ask_for(tmp_path):
    lab.write_kernel(tmp_path)
    script = (
        "from jupyter_client.kernelspec import get_kernel_spec as get; print(get('python3').argv)"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "JUPYTER_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert f"'{sys.executable}'" in found.stdout
    assert "'--ext=sepkit.learn.missing_names'" in found.stdout


@pytest.fixture
def notebook(tmp_path):
    cells = [
        ("markdown", "# 01 · Title\n\n## Songs"),
        ("code", "%pip install x\nimport numpy as np\nsongs = [1]"),
        ("markdown", "text"),
        ("code", "this is no Python"),
        (
            "code",
            "# a long comment that goes on and on and on, further than a line of the error\n"
            "for song in songs:\n    energy = [square for square in song]\n"
            "def loud(x):\n    inner = x",
        ),
    ]
    path = tmp_path / "01_a.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": k, "source": [s]} for k, s in cells]}))
    return path


@pytest.mark.parametrize(
    "name, says",
    [
        ("np", 'np is made in code cell 1 (%pip install x), section "Songs", which has not run'),
        ("songs", "songs is made in code cell 1"),
        ("song", "song is made in code cell 3 (# a long comment"),
        ("loud", "...), section"),
    ],
)
def test_a_missing_name_is_explained_by_the_cell_that_makes_it(notebook, name, says):
    said = where_it_is_made(name, notebook)
    assert says in said and "Run All Above" in said and "\n" not in said


@pytest.mark.parametrize("name", ["inner", "square", "typo"])
def test_a_name_that_no_cell_makes_is_not_explained(notebook, name):
    assert where_it_is_made(name, notebook) == ""
    assert where_it_is_made("songs", notebook.with_name("gone.ipynb")) == ""


def test_the_explanation_is_the_first_line_of_the_error(notebook):
    code = "ip.run_line_magic('load_ext', 'sepkit.learn.missing_names'); ip.run_cell('songs[0]')"
    done = subprocess.run(
        [sys.executable, "-c", f"import IPython; ip = IPython.InteractiveShell(); {code}"],
        env={**os.environ, "JPY_SESSION_NAME": str(notebook)},
        capture_output=True,
        text=True,
    )
    assert done.stderr.startswith("songs is made in code cell 1")
    assert "NameError" in done.stdout + done.stderr
