"""What chapters need is known beforehand, and brought."""

from pathlib import Path

import pytest

from sepkit.errors import SepkitError
from sepkit.models import downloads
from sepkit.reproduce import batch, fetching
from sepkit.reproduce.grid import Grid
from sepkit.reproduce.notebook import find_chapters
from tests.reproduce.course import notebook

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.mark.parametrize(
    ("chapter", "sets"),
    [
        ("01", []),
        ("04", ["umxhq"]),
        ("05", ["resunet-subbandtime-musdb"]),
        ("06", ["bsrnn-amanteur"]),
        ("09", ["umxhq", "hdemucs-musdb", "tasnet-musdb"]),
    ],
)
def test_the_published_weights_that_a_chapter_may_load(chapter, sets):
    (found,) = find_chapters([chapter], NOTEBOOKS)
    assert fetching.published_sets(found) == sets


def test_a_plan_names_what_is_missing_and_how_to_get_it(course, monkeypatch, tmp_path):
    monkeypatch.setenv("SEPKIT_DATA", str(tmp_path / "none"))
    cell = "network = get('resunet-subbandtime', run.weights)"
    notebook(course["notebooks"], "01_one", cell)
    grid = Grid(("01",), **{**course, "data": ["musdb18hq", "musdb7s"], "weights": "published"})
    text = "\n".join(batch.plan(grid).lines())
    assert "data musdb18hq: is missing; ask for it at https://zenodo.org/records/3338373" in text
    assert "data musdb7s: is missing; sepkit fetch downloads it, 140 MB" in text
    size = "414.0 MB"
    assert f"weights resunet-subbandtime-musdb/vocals: is downloaded, {size} (" in text
    assert "2 of 2 jobs to run" in text and not course["out"].exists()


def test_what_can_be_brought_is_brought_and_checked(course, monkeypatch, tmp_path):
    entry = {"model": "tiny", "default": True, "files": {"all": {"url": "x/t.pth", "size": None}}}
    entry["files"]["all"]["targets"] = ["vocals", "rest"]
    monkeypatch.setattr(downloads, "manifest", lambda: {"tiny-set": entry})
    asked = []

    def fetch(name, target):
        asked.append((name, target))
        path = downloads.local_copy(name, target)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"weights")
        return path

    monkeypatch.setattr(downloads, "fetch", fetch)
    monkeypatch.setenv("SEPKIT_DATA", str(tmp_path / "none"))
    notebook(course["notebooks"], "01_one", "get('tiny', run.weights)")
    chapters = find_chapters(["01"], course["notebooks"])
    (songs, weights) = fetching.needs(chapters, "smoke", course["data"], "published")
    assert songs.here and songs.get() == Path(course["data"][0])
    assert not weights.here and weights.name == "weights tiny-set/all"
    path = weights.get()
    assert asked == [("tiny-set", "vocals")]
    assert fetching.hash_of(path) == "9a129038d9a00aed"  # printf weights | sha256sum
    assert fetching.needs(chapters, "smoke", [], "published")[0].here
    with pytest.raises(SepkitError, match="musdb18hq: .* expected here; ask for it at"):
        fetching.needs(chapters, "smoke", ["musdb18hq"], "shipped")[0].get()
