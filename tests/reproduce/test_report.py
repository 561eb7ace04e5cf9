"""The page of a batch, and what `make readme` and `make notebooks` write."""

import json
import re

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from sepkit.cli.reproduce import as_text
from sepkit.errors import SepkitError
from sepkit.metrics.scores import save_scores
from sepkit.reproduce import ledger, notebook, readme
from sepkit.reproduce.claims import load_claims
from sepkit.reproduce.findings import load_findings
from sepkit.reproduce.notebook import Chapter
from sepkit.reproduce.published import load_printed
from sepkit.reproduce.report import write_report

from .tools import Page, scores


@pytest.fixture
def out(tmp_path):
    """What a batch leaves: one chapter done, with scores of two data sets, and one failed."""
    # The run's data are MUSDB18's, so that scores of both data sets may come from it.
    common = {
        "profile": "smoke",
        "provenance": {"machine": "Linux, 2 cores"},
        "parameters": {"weights": "shipped", "data": "musdb18", "seed": 0, "device": "auto"},
    }
    done = {
        "status": "done",
        "executed": "executed/02_masking.ipynb",
        "seconds": 151.0,
        "peak_mb": 1234,
        **common,
    }
    failed = {
        "status": "failed",
        "executed": "executed/04_x.failed.ipynb",
        "error": "cell 3 of 9: ValueError: <b> & co",
        **common,
    }
    manifest = {"chapters": {"02_masking": done, "04_x": failed}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    save_scores(
        tmp_path / "results" / "02_masking.json",
        scores("irm1", [8.0], "band") + scores("irm1", [8.6]),
    )
    return tmp_path


def test_the_report_begins_with_all_findings_and_leads_to_their_chapters(out):
    text = write_report(out).read_text(encoding="utf-8")
    ids = [one.id for one in load_findings()]
    assert [row[0] for row in Page(text).rows if row[0] in ids][:35] == ids
    row = text[text.index('<td style="text-align:left">S2.3</td>') :].partition("</tr>")[0]
    assert '<a href="executed/02_masking.ipynb">02</a>' in row
    assert text.index("S4.13") < text.index("<h2>Chapters</h2>")


def test_report_shows_outcomes_links_numbers_and_where_they_come_from(out):
    text = write_report(out).read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == [] and page.loaded == [], "well-formed, and complete in itself"
    assert [
        "02_masking",
        "done",
        "2.5 min",
        "1.2 GB",
        "smoke",
        "shipped",
        "musdb18",
        "0",
    ] in page.rows
    assert any(row[:2] == ["04_x", "cell 3 of 9: ValueError: <b> & co"] for row in page.rows)
    assert set(page.links) == {"executed/02_masking.ipynb", "executed/04_x.failed.ipynb"}, (
        "links are relative"
    )
    assert ["Oracle IRM1", "8.00", "1", "chapter 02_masking"] in page.rows
    assert any(
        row[:2] == ["Oracle IRM1", "8.60reported 8.52, +0.08: undecided: 1 of 50 songs"]
        for row in page.rows
    )
    for said in (
        "cSDR on band (dB)",
        "cSDR on MUSDB18 (dB)",
        "BSSEval v4 images",
        "window 1.0 s",
        "profile smoke, seed 0, device cpu, commit",
    ):
        assert said in text


def claim_rows(page):
    """The table of claims: {id: {column: text}}."""
    head = next(row for row in page.rows if row[:2] == ["claim", "statement"])
    cells = [dict(zip(head, row)) for row in page.rows if len(row) == len(head) and row != head]
    return {row["claim"]: row for row in cells}


def test_report_shows_claims_with_verdicts_and_every_printed_number(out, monkeypatch):
    monkeypatch.setattr(
        ledger, "load_experiments", dict
    )  # those that come with sepkit add comparisons of their own
    rng = np.random.default_rng(0)
    binary = rng.normal(6, 1, 8)
    about = {"dataset": "band", "target": "drums", "excerpt": "8 s"}
    arms = scores("hpss binary", binary, **about) + scores(
        "hpss soft", binary + rng.uniform(1, 2, 8), **about
    )
    save_scores(out / "results" / "02_masking.json", arms)
    text = write_report(out).read_text(encoding="utf-8")
    page = Page(text)
    row = claim_rows(page)["S3.8c"]
    assert row["measured on"] == "band, chapter 02, excerpts" and row["bar"] == "> 0 dB"
    assert row["effect"].startswith("+1.") and row["effect"].endswith(" dB")
    assert (row["songs"], row["seeds"], row["verdict"]) == ("8", "1", "holds")
    assert row["p (Holm)"] == "0.008", (
        "the smallest p that 8 songs allow, 2 / 2^8, and one comparison only"
    )
    assert "<p>1 comparison: " in text and f"{len(load_claims()) - 1} claims without Scores" in text
    shown = [row for row in page.rows if len(row) == 7 and re.fullmatch(r"S\d\.\d+", row[-1])]
    assert len(shown) == len(load_printed())
    assert [
        "Table 5.3",
        "remix, 400 epochs, 5200 samples",
        "t",
        "siSDR",
        "-12.8",
        "771",
        "S4.5",
    ] in shown


def test_a_run_on_the_band_cannot_claim_musdb_scores(out):
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["chapters"]["02_masking"]["parameters"]["data"] = "band"
    (out / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(
        SepkitError,
        match="02_masking: irm1, song 0 is labelled musdb18, but the chapter ran on the band",
    ):
        write_report(out)


def test_report_refuses_results_that_hold_no_scores(out):
    (out / "results" / "09_x.json").write_text("{}")
    with pytest.raises(SepkitError, match="09_x.json: not a file of sepkit scores"):
        write_report(out)


def test_printed_table_shows_reported_ours_difference_and_verdict_only_where_both_exist(out):
    tables = ledger.tables(ledger.load_reported(), ledger.load_measured(out / "results"))
    shown = {
        title: (columns, rows)
        for title, columns, rows in (as_text(table) for table in tables if table.measured)
    }
    assert shown["cSDR on band (dB), 1 song"] == (
        ("system", "vocals", "songs", "chapter"),
        [("Oracle IRM1", "8.00", 1, "02_masking")],
    )
    columns, rows = shown["cSDR on MUSDB18 (dB), 1 song"]
    assert columns[:6] == (
        "system",
        "vocals reported",
        "vocals ours",
        "vocals difference",
        "vocals verdict",
        "drums",
    )
    assert rows[0][:6] == ("Oracle IRM1", "8.52", "8.60", "+0.08", "undecided: 1 of 50 songs", "")


def test_readme_table_from_notebooks_and_budgets(tmp_path):
    notebook = tmp_path / "02_masking.ipynb"
    heading = {"cell_type": "markdown", "source": ["# 02 · Masks, soft & binary\n", "text"]}
    notebook.write_text(json.dumps({"cells": [heading]}))
    entry = {
        "status": "done",
        "profile": "smoke",
        "seconds": 12.4,
        "peak_mb": 810,
        "parameters": {"device": "cpu"},
        "provenance": {"machine": "2 cores"},
    }
    path = tmp_path / "budgets.json"
    readme.update_budgets(
        path, {"chapters": {"02_masking": entry, "03_x": {**entry, "status": "failed"}}}
    )
    budgets = readme.update_budgets(
        path, {"chapters": {"02_masking": {**entry, "profile": "student", "seconds": 300}}}
    )
    assert budgets == json.loads(path.read_text()) and set(budgets) == {"02_masking"}
    table = readme.chapter_table(
        [Chapter("02_masking", notebook)], budgets, "some/repo"
    ).splitlines()[2]
    assert (
        "[02_masking](notebooks/02_masking.ipynb) | Masks, soft & binary | "
        "12 s, 0.8 GB | 5 min, 0.8 GB |  |" in table
    )
    assert (
        "https://colab.research.google.com/github/some/repo/blob/main/notebooks/02_masking.ipynb"
        in table
    )

    page = tmp_path / "README.md"
    page.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n")
    readme.rewrite(page, "new")
    assert page.read_text() == f"before\n{readme.BEGIN}\nnew\n{readme.END}\nafter\n"
    page.write_text("no markers")
    with pytest.raises(SepkitError, match="markers"):
        readme.rewrite(page, "new")


def test_the_first_page_says_how_long_chapters_take(tmp_path):
    paths = [tmp_path / f"0{n}_x.ipynb" for n in (1, 2)]
    for path, minutes in zip(paths, (60, 90)):
        heading = (
            f"# {path.stem[:2]} · Topic\n\n**Time to read:** about {minutes} minutes. Measured."
        )
        nbformat.write(new_notebook(cells=[new_markdown_cell(heading)]), path)
    budgets = {"01_x": {"smoke": {"seconds": 12.4}, "student": {"seconds": 300}}}
    table = readme.course_table([Chapter(path.stem, path) for path in paths], budgets).splitlines()
    assert table[2] == "| [01_x](01_x.ipynb) | Topic | 60 min | 12 s | 5 min |"
    assert table[3] == "| [02_x](02_x.ipynb) | Topic | 90 min |  |  |"
    assert table[4].startswith("| all | | 2 h |")

    start = tmp_path / "00_start.ipynb"
    text = f"text\n{readme.BEGIN}\n{readme.END}"
    nbformat.write(new_notebook(cells=[new_markdown_cell("title"), new_markdown_cell(text)]), start)
    readme.rewrite_start(start, "table")
    assert nbformat.read(start, 4).cells[1].source == f"text\n{readme.BEGIN}\ntable\n{readme.END}"


def test_the_name_of_the_repository_is_written_wherever_its_address_stands(tmp_path):
    page, other = tmp_path / "README.md", tmp_path / "01_x.ipynb"
    page.write_text("git clone https://github.com/ORG/REPO sepkit\nORG/REPO-2 ORG/REPO")
    colab = "https://colab.research.google.com/github/{0}/blob git+https://github.com/{0}@main"
    other.write_text(colab.format("ORG/REPO") + " https://github.com/ORG/REPO-2")
    assert readme.repository(page) == "ORG/REPO"
    readme.rename([page, other], "ORG/REPO", "ada/my.kit")
    assert readme.repository(page) == "ada/my.kit"
    assert page.read_text().endswith("ORG/REPO-2 ORG/REPO")  # no address
    assert other.read_text() == colab.format("ada/my.kit") + " https://github.com/ORG/REPO-2"
    with pytest.raises(SepkitError, match="expected owner/name"):
        readme.rename([page], "ada/my.kit", "https://github.com/ada/kit")


def test_chapters_get_the_first_cells_of_the_first_one_and_keep_the_rest(tmp_path):
    paths = [tmp_path / f"0{n}_x.ipynb" for n in (1, 2)]
    for path in paths:
        code = [new_code_cell(f"{part} of {path.stem}") for part in ("set-up", "parameters", "run")]
        nbformat.write(new_notebook(cells=[new_markdown_cell(f"# {path.stem}"), *code]), path)
    for repo in ("ORG/REPO", "ada/kit"):  # the second time, the link is replaced
        readme.begin_alike(paths, repo)
    second = [cell.source for cell in nbformat.read(paths[1], 4).cells]
    assert second[1:] == ["set-up of 01_x", "parameters of 01_x", "run of 02_x"]
    assert second[0].startswith("# 02_x\n\n**Colab:** [") and second[0].count("Colab:") == 1
    assert second[0].endswith("/github/ada/kit/blob/main/notebooks/02_x.ipynb)")


def test_storing_a_chapter_takes_audio_out_and_leaves_a_failing_one_alone(tmp_path):
    html = '<audio src="data:audio/wav;base64,AAAA"></audio>'
    page = new_notebook(
        cells=[
            new_code_cell(
                "",
                outputs=[
                    new_output("display_data", {"text/html": html, "text/plain": "player"}),
                    new_output("display_data", {"text/html": "<table></table>"}),
                ],
            )
        ]
    )
    assert notebook.strip_audio(page) == 1
    player, table = (output["data"] for output in page.cells[0].outputs)
    assert player == {"text/plain": "player\nRun this cell to listen."}
    assert table == {"text/html": "<table></table>"}

    path = tmp_path / "05_x.ipynb"
    nbformat.write(
        new_notebook(cells=[new_code_cell("print(2 + 2)"), new_code_cell("1 / 0")]), path
    )
    before = path.read_bytes()
    with pytest.raises(
        SepkitError, match="05_x.ipynb: cell 2: ZeroDivisionError: division by zero"
    ):
        notebook.store(Chapter("05_x", path))
    assert path.read_bytes() == before


def test_report_shows_the_experiments_that_come_with_sepkit(out):
    page = Page(write_report(out).read_text(encoding="utf-8"))
    for name in ("S4.5", "S4.12"):
        row = claim_rows(page)[name]
        assert "experiment" in row["measured on"] and row["songs"] == "24"
        assert int(row["seeds"]) >= 3 and "as claimed" in row["by seed"]
