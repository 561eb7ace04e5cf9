"""What is kept of the exercises: the best verdict, tries and hints; and one exported file."""

import json

import pytest

from sepkit import learn
from sepkit.learn import marks
from sepkit.learn.ch01.exercises import check, hint


@pytest.fixture(autouse=True)
def folder(tmp_path):
    marks.keep_in(tmp_path / "progress")
    yield tmp_path / "progress"
    marks.keep_in(None)


def test_the_best_verdict_counts_and_tries_and_hints_are_counted(folder):
    for answer in (..., (12, 144), (4, 144), (4, 16), (..., ...), (1, 1)):
        check.ex_01_5(answer)
    hint(5)
    found = learn.progress(folder)
    assert found.rows["1.5"] == {"status": "right", "credit": 1.0, "tries": 4, "hints": 1}
    assert found.rows["1.1"]["status"] == "not attempted" and found.credit == 1
    assert "1.5 right" in str(found) and f"1.0 of {len(found.rows)} exercises" in str(found)
    assert "✓ 1.5" in found._repr_html_() and "○ 1.1" in found._repr_html_()


def test_part_of_an_exercise_counts_as_its_share(folder):
    check.ex_01_5((4, 144))
    assert learn.progress().credit == 0.5 and learn.progress().rows["1.5"]["status"] != "right"


def test_an_exported_file_holds_every_exercise(folder, tmp_path):
    check.ex_01_5((4, 16))
    written = json.loads(learn.progress().export(tmp_path / "mine.json").read_text())
    assert written["credit"] == 1 and written["of"] == len(written["exercises"]) >= 50
    assert written["exercises"]["1.5"]["status"] == "right"


@pytest.mark.parametrize(
    "content", ["", "[1]", "{", '{"1.5": {"status": "right"}}', '{"1.5": 3}', "\ud800"]
)
def test_a_damaged_file_counts_as_none_and_is_written_anew(folder, content):
    folder.mkdir()
    (folder / "01.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    assert learn.progress().rows["1.5"]["status"] == "not attempted"
    check.ex_01_5((4, 16))
    assert learn.progress().rows["1.5"]["status"] == "right"


def test_a_folder_that_cannot_be_written_withholds_no_verdict(tmp_path):
    (tmp_path / "file").write_text("no folder")
    marks.keep_in(tmp_path / "file")
    assert check.ex_01_5((4, 16))


def test_without_a_chapter_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    marks.keep_in(None)
    assert check.ex_01_5((4, 16)) and not list(tmp_path.rglob("*.json"))
