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
    place = "https://zenodo.org/records/3338373"
    assert f"data musdb18hq: is missing, 22.7 GB; ask for it at {place}" in text
    assert "data musdb7s: is missing, 140.0 MB; sepkit fetch downloads it" in text
    size = "414.0 MB"
    assert f"weights resunet-subbandtime-musdb/vocals: is downloaded, {size} (" in text
    assert "download: 23.6 GB in all" in text  # 22.66 + 0.14 + 2 x 0.414
    assert "2 of 2 jobs to run" in text and not course["out"].exists()


@pytest.mark.parametrize(
    ("name", "size"), [("hdemucs-musdb", 334_697_255), ("scnet-musdb", 42_434_986)]
)
def test_a_size_that_nobody_wrote_down_is_told_from_the_weights(name, size):
    """Against what others recorded; the first of the same network with other weights."""
    entry = downloads.manifest()[name]
    key = next(iter(entry["files"]))
    assert fetching.about(entry, key) == pytest.approx(size, rel=0.01)


def test_what_can_be_brought_is_brought_and_checked(course, monkeypatch, tmp_path):
    entry = {"model": "tiny", "default": True, "files": {"all": {"url": "x/t.pth", "size": 7}}}
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
