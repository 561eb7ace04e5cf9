"""The README: what it shows of the stored experiments is what they say."""

import re
from pathlib import Path

import pytest

from sepkit.files import read_json, shipped
from sepkit.reproduce import claims, ledger, readme, readme_results
from sepkit.reproduce.notebook import find_chapters

from .tools import scores

ROOT = Path(__file__).resolve().parents[2]
STALE = "out of date: run make readme"


@pytest.fixture(scope="module")
def stored():
    return ledger.load_experiments()


def test_the_results_are_those_of_the_stored_experiments(stored):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.split(readme_results.BEGIN)[1].split(readme_results.END)[0].strip()
    outcomes = claims.evaluate(claims.load_claims(), stored)
    assert shown == readme_results.results_table(outcomes), STALE
    several = [one for one in outcomes if one.comparison and one.seeds >= 5]
    assert shown.count("\n") == len(several) + 1 > 10, "none is left out, whatever its verdict"


def test_the_tables_of_chapters_are_those_of_the_notebooks():
    budgets = read_json(shipped("budgets.json"))
    chapters, page = find_chapters(), ROOT / "README.md"
    start = "\n".join(
        "".join(cell["source"])
        for cell in read_json(ROOT / "notebooks" / "00_start.ipynb")["cells"]
    )
    for text, table in (
        (start, readme.course_table(chapters, budgets)),
        (
            page.read_text(encoding="utf-8"),
            readme.chapter_table(chapters, budgets, readme.repository(page)),
        ),
    ):
        assert text.split(readme.BEGIN)[1].split(readme.END)[0].strip() == table, STALE


def test_the_picture_shows_the_stored_experiment(stored):
    found = readme_results.drawn(ROOT / readme.PICTURE)
    assert found == readme_results.remixing(stored["experiment mixing"]), STALE
    assert len(found) == 5 and all(len(seeds) == 8 for seeds in found.values())


def test_what_is_drawn_is_the_mean_of_each_seed(tmp_path):
    def arm(name, values, seed):
        found = scores(name, values, "band", "usdr")
        for score in found:
            score.provenance["seed"] = seed
        return found

    own = arm("remix probability 0", [1.0, 3.0], 0) + arm("remix probability 0", [2.0, 4.0], 1)
    own += arm("remix probability 0.5", [5.0], 0) + scores("remix probability 0", [9.0])  # of cSDR
    means = readme_results.remixing(own)
    assert means == {"0": [2.0, 3.0], "0.5": [5.0]}
    readme_results.draw(means, tmp_path / "a.svg")
    readme_results.draw(means, tmp_path / "b.svg")
    assert readme_results.drawn(tmp_path / "a.svg") == means
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "uSDR (dB)" in (tmp_path / "a.svg").read_text()


def test_a_newcomer_reads_it_in_a_minute():
    """Words at 250 a minute, up to the chapters; tables are looked at."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("## Chapters")[0]
    read = re.sub(r"(?m)^\|.*$|```.*|<!--.*", "", text)
    assert len(read.split()) < 300 and text.count("![") == 1
    assert text.count("\nmake ") == 2


def test_published_numbers_of_the_pages_are_rows_of_the_ledger():
    page = (ROOT / "docs" / "pages" / "command-line.md").read_text(encoding="utf-8")
    said = page.split("Their authors report")[1].split("\n\n")[0]
    known = {
        row.system: f"{row.value:.2f}"
        for row in ledger.load_reported()
        if row.target == "vocals" and row.metric == "cSDR"
    }
    systems = ("Open-Unmix UMXHQ", "Spleeter (mask)", "Spleeter (MWF)", "HT Demucs +800 fine-tuned")
    assert re.findall(r"(\d+\.\d+) dB", said) == [known[system] for system in systems]
