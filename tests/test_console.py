"""The terminal shows names as they are: no colours, no cursor, no markup of others."""

import io
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import pytest

from sepkit import console
from sepkit.errors import SepkitError

NAMES = ("[red]x[/red]", "[/]", "[link=http://a]b[/link]", "[bold", ":smile:", "a [b] c")
CODES = {
    "\x1b[31mred": r"\x1b[31mred",
    "a\rb": r"a\rb",
    "a\x07": r"a\x07",
    "\u202egnp.exe": r"\u202egnp.exe",
    "a\tb": r"a\tb",
    "a\nb": r"a\nb",
}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@contextmanager
def shown(stream=Terminal):
    """What goes to stdout and stderr meanwhile."""
    seen = stream()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(seen), redirect_stderr(seen):
        for name, value in {"COLUMNS": "200", "TERM": "xterm", "NO_COLOR": "1"}.items():
            patch.setenv(name, value)
        yield seen


@pytest.mark.parametrize("name", NAMES)
def test_tables_and_bars_know_no_markup(name):
    with shown() as seen:
        console.print_table(name, (name, "b"), [(name, 1), ("x", 2)])
    assert seen.getvalue().count(name) == 3
    with shown() as seen, console.progress_bar(name) as update:
        update(1, 2, f"{name} now")
        update(2, 2, f"{name} now")
    assert f"{name} now" in seen.getvalue()


def test_bars_are_for_terminals_only_and_for_those_who_want_them():
    for stream, shown_at_all in ((io.StringIO, True), (Terminal, False)):
        with shown(stream) as seen, console.progress_bar("songs", shown=shown_at_all) as update:
            update(1, 2)
        assert seen.getvalue() == ""
    with shown() as seen, console.progress_bar("songs", unit="songs", keep=True) as update:
        update(1, 2)
    assert "1/2" in seen.getvalue() and "songs" in seen.getvalue()


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_control_characters_are_shown_as_codes(name, stream):
    with shown(stream) as seen:
        console.print_table("songs", ("name", "b"), [(name, 1)])
    assert CODES[name] in seen.getvalue() and name not in seen.getvalue()
    if stream is io.StringIO:
        assert seen.getvalue().splitlines()[-1].count("\t") == 1


@pytest.mark.parametrize("name", CODES)
def test_errors_and_notes_are_one_line_without_codes(name):
    for told in (
        SepkitError(f"{name}: no such file"),
        FileNotFoundError(2, "No such file", name),
        ValueError(name),
        Warning(name),
    ):
        with shown() as seen:
            (console.print_note if isinstance(told, Warning) else console.print_error)(told)
        line = seen.getvalue()
        assert line.endswith("\n") and line[:-1].isprintable()
