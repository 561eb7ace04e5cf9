"""The page of a batch, and what `make readme` and `make notebooks` write."""

import json
import os
import re
import shutil

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from sepkit.cli.reproduce import as_text
from sepkit.errors import SepkitError
from sepkit.metrics.scores import save_scores
from sepkit.reproduce import ledger, notebook, readme
from sepkit.reproduce.claims import load_claims
from sepkit.reproduce.findings import STATES, load_findings
from sepkit.reproduce.notebook import Chapter
from sepkit.reproduce.report import write_report

from .tools import Page, scores


@pytest.fixture
def out(tmp_path, monkeypatch):
    """What a batch leaves: one chapter done, with scores of two data sets, and one failed.

    Without the experiments that come with sepkit, which take a second to compare.
    """
    monkeypatch.setattr(ledger, "load_experiments", dict)
    # The run's data are MUSDB18's, so that scores of both data sets may come from it.
    common = {
        "profile": "smoke",
        "provenance": {"machine": "Linux, 2 cores", "date": "2026-11-29T10:00:00Z"},
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
    (tmp_path / "executed").mkdir()
    for entry in (done, failed):
        cells = [new_markdown_cell("# Title"), new_code_cell("x = 1")]
        nbformat.write(new_notebook(cells=cells), tmp_path / entry["executed"])
    save_scores(
        tmp_path / "results" / "02_masking.json",
        scores("irm1", [8.0], "band") + scores("irm1", [8.6]),
    )
    return tmp_path


def report_of(out):
    return write_report(out).read_text(encoding="utf-8")


def test_the_report_begins_with_the_verdict_and_all_findings(out):
    text = report_of(out)
    ids = [one.id for one in load_findings()]
    assert [row[0] for row in Page(text).rows if row[0] in ids][:35] == ids
    assert text.index("Of 35 findings") < text.index("<nav aria-label") < text.index(">S0.1<")
    assert text.index(">S4.13<") < text.index('<h2 id="run">')
    counts = re.findall(r"</b>([a-z ]+?) (\d+)</span></li>", text)
    assert sum(int(number) for _, number in counts) == 35
    assert all(f"<b>{STATES[state].symbol}</b>" in text for state, _ in counts)


def test_everything_in_the_contents_is_there(out):
    text = report_of(out)
    listed = re.findall(r'<li><a href="#(\w+)">', text)
    assert len(listed) == 6 and listed == re.findall(r'<h2 id="(\w+)">', text)


def test_the_report_is_one_file_and_chapters_lie_beside_it(out):
    text = report_of(out)
    page = Page(text)
    assert page.open == [] and page.loaded == [] and "http" not in text
    beside = {link for link in page.links if not link.startswith("#")}
    assert beside == {"chapters/02_masking.html", "chapters/04_x.failed.html"}
    chapter = (out / "chapters/02_masking.html").read_text(encoding="utf-8")
    assert '<a href="../report.html">Report</a>' in chapter and "<h1" in chapter
    row = text[text.index(">S2.3<") :].partition("</tr>")[0]
    assert '<a href="chapters/02_masking.html">chapter 02</a>' in row


def test_pages_of_chapters_follow_their_notebooks(out):
    write_report(out)
    page, notebook = out / "chapters/02_masking.html", out / "executed/02_masking.ipynb"
    before = page.stat().st_mtime_ns
    write_report(out)
    assert page.stat().st_mtime_ns == before, "it was not written again"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Other")]), notebook)
    os.utime(notebook, (before / 1e9 + 5, before / 1e9 + 5))
    write_report(out)
    assert ">Other</h1>" in page.read_text(encoding="utf-8")


def test_a_notebook_that_is_gone_or_no_notebook_is_linked_itself(out):
    (out / "executed/04_x.failed.ipynb").write_text("{}")
    (out / "executed/02_masking.ipynb").unlink()
    links = set(Page(report_of(out)).links)
    assert {"executed/02_masking.ipynb", "executed/04_x.failed.ipynb"} <= links


def test_report_says_what_was_run_and_shows_outcomes_numbers_and_where_they_come_from(out):
    text = report_of(out)
    page = Page(text)
    assert "2 chapters (1 finished, 1 failed), profile smoke, data musdb18" in text
    assert "3 minutes on Linux, 2 cores, 2026-11-29" in text
    row = ["02_masking", "done", "2.5 min", "1.2 GB", "smoke", "shipped", "musdb18", "0"]
    assert row in page.rows
    assert any(row[:2] == ["04_x", "cell 3 of 9: ValueError: <b> & co"] for row in page.rows)
    assert ["Oracle IRM1", "8.00"] in page.rows
    assert "1 song: song 0." in text
    for said in (
        "cSDR on band (dB)",
        "cSDR on MUSDB18 (dB)",
        "BSSEval v4 images",
        "window 1.0 s",
        "profile smoke, seed 0, device cpu, commit",
    ):
        assert said in text


def test_published_numbers_stand_beside_ours_or_not_at_all(out):
    text = report_of(out)
    beside = ["Oracle IRM1", "8.60published 8.52, +0.08: undecided: 1 of 50 songs"]
    assert any(row[:2] == beside for row in Page(text).rows)
    assert text.count("MUSDB18-HQ (dB)") == 0, "nothing was measured there"
    save_scores(out / "results" / "02_masking.json", scores("irm1", [8.0], "band"))
    text = report_of(out)
    assert "no published score stands beside ours" in text and "published 8.52" not in text


def test_a_score_that_is_rounding_alone_is_not_printed_as_a_number(out):
    both = scores("mixture", [257.0], "band", "sar") + scores("umx", [6.5], "band", "sar")
    save_scores(out / "results" / "02_masking.json", both)
    text = report_of(out)
    assert "257" not in text and "it has no artefacts (SAR)" in text
    assert ["mixture", "> 80"] in Page(text).rows and ["Open-Unmix UMX", "6.50"] in Page(text).rows
    (table,) = ledger.tables([], ledger.load_measured(out / "results"))
    assert as_text(table)[2][0][:2] == ("mixture", "> 80"), "in the terminal, too"
    save_scores(out / "results" / "02_masking.json", both[1:])
    assert "it has no artefacts" not in report_of(out)


def test_several_seeds_are_one_chapter_with_a_run_each(out):
    manifest = json.loads((out / "manifest.json").read_text())
    done = manifest["chapters"]["02_masking"]
    jobs, values = {}, (8.0, 8.5)
    for seed, value in enumerate(values):
        cell = f"band-seed{seed}"
        parameters = {**done["parameters"], "data": "band", "seed": seed}
        entry = {**done, "chapter": "02_masking", "parameters": parameters}
        jobs[f"02_masking {cell}"] = entry | {"executed": f"{cell}/executed/02_masking.ipynb"}
        (out / cell / "executed").mkdir(parents=True)
        (out / cell / "jobs").mkdir()
        shutil.copy(out / done["executed"], out / cell / "executed")
        own = scores("irm1", [value], "band")
        own[0].provenance["seed"] = seed
        save_scores(out / cell / "results" / "02_masking.json", own)
    waiting = {**done, "chapter": "03_ica", "status": "waiting", "executed": None}
    (out / "manifest.json").write_text(
        json.dumps({"chapters": {**jobs, "03_ica band-seed0": waiting}})
    )
    (out / "results" / "02_masking.json").unlink()
    text = report_of(out)
    page = Page(text)
    assert "2 chapters (3 runs, 2 finished), profile smoke" in text and "seed 0 and 1" in text
    assert ["Oracle IRM1", "8.252 seeds, range 0.50"] in page.rows
    assert any(row[:2] == ["03_ica band-seed0", "waiting"] for row in page.rows)
    addresses = {f"chapters/band-seed{seed}-02_masking.html" for seed in (0, 1)}
    assert addresses <= set(page.links) and all((out / one).is_file() for one in addresses)
    row = text[text.index(">S2.3<") :].partition("</tr>")[0]
    assert 'href="chapters/band-seed0-02_masking.html"' in row, "the first of them"


def claim_rows(page):
    """The table of comparisons: {id: {column: text}}."""
    names = ["claim", "measured on", "effect", "p (Holm)", "verdict"]
    start = page.rows.index(names) + 1
    cells = [dict(zip(names, row)) for row in page.rows[start:] if len(row) == len(names)]
    return {row["claim"].partition(" ")[0]: row for row in cells}


def test_report_shows_comparisons_with_verdicts(out):
    rng = np.random.default_rng(0)
    binary = rng.normal(6, 1, 8)
    about = {"dataset": "band", "target": "drums", "excerpt": "8 s"}
    arms = scores("hpss binary", binary, **about) + scores(
        "hpss soft", binary + rng.uniform(1, 2, 8), **about
    )
    save_scores(out / "results" / "02_masking.json", arms)
    text = report_of(out)
    row = claim_rows(Page(text))["S3.8c"]
    assert row["measured on"] == "band, chapter 02, excerpts8 excerpts, 1 seed"
    assert re.match(r"\+1\.\d\d dB\+\d\.\d\d to \+\d\.\d\d$", row["effect"])
    assert row["verdict"] == "holds"
    assert row["p (Holm)"] == "0.008", (
        "the smallest p that 8 songs allow, 2 / 2^8, and one comparison only"
    )
    assert "<p>1 comparisons: " in text
    assert f"{len(load_claims()) - 1} claims without Scores" in text


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
    page.metadata["widgets"] = {"state": "data:audio"}
    assert notebook.strip_audio(page) == 1 and "widgets" not in page.metadata
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


def test_report_shows_the_experiments_that_come_with_sepkit(out, monkeypatch):
    monkeypatch.undo()
    text = report_of(out)
    for name in ("S4.5", "S4.12"):
        row = claim_rows(Page(text))[name]
        assert "experiment" in row["measured on"] and "24 songs" in row["measured on"]
        assert "as claimed" in row["verdict"]
    rows = [row for row in Page(text).rows if row[0] == "remix probability 0.8"]
    assert len(rows) == 1 and re.match(r"\d\.\d\d ± 0\.\d\d$", rows[0][1])
    assert "24 songs. All arms: 8 seeds, 1000 steps." in text
    assert (
        "How much remixing is best?" in text and "spread over songs" not in text.split("claims")[0]
    )
