"""Names that try: captions, tables, players, figures and reports show them as they are."""

import html.parser
import io

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from sepkit.learn import plots
from sepkit.learn.players import players

NAMES = (
    "<img src=y onerror=alert(2)>",
    "<script>alert(1)</script>",
    '"><svg onload=alert(3)>',
    "a & b < c",
    "&lt;b&gt;",
    "*bold* _it_ `code`",
    "[text](javascript:alert(4))",
    "# title",
    "$x^2$ and \\(y\\)",
    "$$\\frac{",
    "{0} {name} %s",
    "[red]x[/red]",
)


class Page(html.parser.HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = [], set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attributes}

    def handle_data(self, data):
        self.text += data


def exported(monkeypatch, act):
    """What a notebook shows of what `act` displays, in the HTML that nbconvert makes of it."""
    nbconvert, nbformat = pytest.importorskip("nbconvert"), pytest.importorskip("nbformat")
    shown = []

    def display(*things, raw=False, **_):
        formats = ("html", "markdown", "png")
        for thing in things:
            data = (
                thing
                if raw
                else {
                    f"text/{kind}" if kind != "png" else "image/png": made
                    for kind in formats
                    if (made := getattr(thing, f"_repr_{kind}_", lambda: None)())
                }
            )
            if data := {
                key: value for key, value in data.items() if isinstance(value, str)
            }:  # no pictures
                shown.append(nbformat.v4.new_output("display_data", data))

    monkeypatch.setattr("IPython.display.display", display)
    if (last := act()) is not None:
        display(last)
    cell = nbformat.v4.new_code_cell("", outputs=shown)
    page, _ = nbconvert.HTMLExporter(template_name="basic").from_notebook_node(
        nbformat.v4.new_notebook(cells=[cell])
    )
    return Page(page)


@pytest.mark.parametrize("name", NAMES)
def test_captions_are_shown_as_they_are(monkeypatch, name):
    for act in (
        lambda: plots.show(Figure(), f"Figure 1. {name}: the mixture."),
        lambda: plots.table(pd.DataFrame({name: [name]}), f"Table 1. {name}"),
    ):
        page = exported(monkeypatch, act)
        assert name in page.text
        assert (
            not {"script", "svg", "a", "code", "strong", "h1"} & set(page.tags)
            and "onerror" not in page.attributes
        )
        for formula in ("$", "\\"):  # each alone in its tag: MathJax finds no pair
            assert formula not in name or f"<span>{formula}</span>" in plots.as_html(name).replace(
                "&#92;", "\\"
            )


@pytest.mark.parametrize("name", NAMES)
def test_styled_tables_show_names_as_they_are(monkeypatch, name):
    frame = pd.DataFrame({name: [name, 1.5], "b": [1, 2]}, index=pd.Index([name, "x"], name=name))
    page = exported(monkeypatch, lambda: plots.styled(frame, name).format(precision=1))
    assert page.text.count(name) >= 5
    assert not {"script", "svg", "img", "a"} & set(page.tags) and "onerror" not in page.attributes
    assert list(frame.columns) == [name, "b"]  # what is computed with is left alone


@pytest.mark.parametrize("name", NAMES)
def test_players_show_names_as_they_are(monkeypatch, name):
    row = players({name: torch.zeros(1, 800), "b": torch.zeros(1, 800)}, 8000, title=name)
    page = exported(monkeypatch, lambda: row)
    plain = exported(
        monkeypatch,
        lambda: players({"a": torch.zeros(1, 800), "b": torch.zeros(1, 800)}, 8000, title="a"),
    )
    assert name in page.text and page.tags == plain.tags and page.attributes == plain.attributes
    assert "tex2jax_ignore mathjax_ignore" in row._repr_html_()


def drawn(title, ticks, literal, scale="linear"):
    fig = Figure()
    ax = fig.subplots()
    ax.plot([1, 10, 1000], [1, 2, 3], label="x")
    ax.set(title=title, yscale=scale)
    ax.set_xticks([1, 10], ticks)
    ax.legend([title])
    if literal:
        plots.without_formulas(fig)
    buffer = io.BytesIO()
    fig.savefig(buffer, format="rgba")
    return np.frombuffer(buffer.getvalue(), np.uint8)


@pytest.mark.parametrize("name", ["costs $5 and $6", "$x_2$", "a$b$ {", "$\\frac{$", "$"])
def test_a_dollar_is_drawn_as_one(name):
    """Against matplotlib's own way to write it, a backslash before it."""
    picture = drawn(name, [name, "b"], literal=True)
    if "\\" not in name:
        escaped = name.replace("$", r"\$")
        np.testing.assert_array_equal(picture, drawn(escaped, [escaped, "b"], literal=False))
    plots.png(_titled(name))  # "$\frac{$" once was an error


def _titled(name):
    fig, ax = plots.figure()
    plots.waveform(torch.randn(1, 400), 8000, name, ax)
    return fig


def test_powers_of_ten_on_logarithmic_axes_stay_formulas():
    for scale in ("log", "linear", "symlog"):
        np.testing.assert_array_equal(
            drawn("a", ["b", "c"], True, scale), drawn("a", ["b", "c"], False, scale)
        )


@pytest.mark.parametrize("name", NAMES)
def test_reports_show_names_as_they_are(name):
    from dataclasses import replace

    from sepkit.files import provenance
    from sepkit.metrics import Score, card_for
    from sepkit.reproduce import ledger, report, tables_html

    made = provenance("make", device=name, seed=0, profile="smoke")
    score = Score(
        name,
        name,
        "csdr",
        1.0,
        name,
        name,
        replace(card_for("csdr", ["a"]), version=name),
        {**made, "machine": name},
    )
    (table,) = ledger.tables([], {name: [score]})
    page = Page(tables_html.table_html(table))
    plain = Page(
        tables_html.table_html(
            ledger.tables([], {"x": [replace(score, target="t", separator="s", dataset="d")]})[0]
        )
    )
    assert (
        page.text.count(name) >= 3
        and page.tags == plain.tags
        and page.attributes == plain.attributes
    )
    parameters = {"weights": name, "data": f"/music/{name.replace('/', '')}", "seed": name}
    entry = {"status": "failed", "error": name, "profile": name, "parameters": parameters}
    page = Page(report.chapters_html({name: entry}, {name: f"chapters/{name}.html"}))
    allowed = {"p", "code", "span", "table", "thead", "tbody", "tr", "th", "td", "a"}
    assert set(page.tags) == allowed and "onerror" not in page.attributes
    run = Page(report.run_html({name: entry}, {}))
    assert set(run.tags) == {"p"} and name.split("/")[-1] in run.text
