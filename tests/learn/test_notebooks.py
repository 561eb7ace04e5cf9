"""The chapters as files: order, short code, exercises whose stubs and solutions are as checked."""

import ast
import re
import sys
from pathlib import Path

import nbformat
import pytest

from sepkit.reproduce.notebook import LIMIT, SYNTHETIC
from sepkit.reproduce.readme import repository

FOLDER = Path(__file__).parents[2] / "notebooks"
START = FOLDER / "00_start.ipynb"
NOTEBOOKS = [path for path in sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")) if path != START]
README = FOLDER.parent / "README.md"
CHAPTERS = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
PARAMETERS = ["profile", "weights", "data", "device", "seed", "out_dir"]


def cells(path, kind=None):
    return [
        cell for cell in nbformat.read(path, as_version=4).cells if kind in (None, cell.cell_type)
    ]


def python(source):
    """A cell's code without the lines that only IPython understands."""
    return re.sub(r"^(\s*)%.*$", r"\1pass", source, flags=re.MULTILINE)


def exercises(path):
    """(method, the stub cell's source, the solution's source) of every exercise, in order."""
    everything = cells(path)
    for index, cell in enumerate(everything):
        found = (
            re.search(r"check\.(ex_\d\d_\d+)\(", cell.source) if cell.cell_type == "code" else None
        )
        if found:
            details = re.search(
                r"<details>.*?```python\n(.*?)```.*?</details>",
                everything[index + 1].source,
                re.DOTALL,
            )
            assert details, f"{found.group(1)}: no collapsed solution right below its cell"
            yield found.group(1), python(cell.source), details.group(1)


def verdict(path, code):
    """Run an exercise's code with what its chapter imports; what the check at its end says."""
    imports = [
        node
        for cell in cells(path, "code")
        for node in ast.parse(python(cell.source)).body
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    space = {}
    exec(compile(ast.Module(imports, []), path.name, "exec"), space)
    *before, last = ast.parse(code).body
    exec(compile(ast.Module(before, []), path.name, "exec"), space)
    return eval(compile(ast.Expression(last.value), path.name, "eval"), space)


@CHAPTERS
def test_every_exercise_has_a_stub_and_a_solution_that_its_check_accepts(path):
    found = list(exercises(path))
    assert len(found) >= 2
    for name, stub, solution in found:
        assert verdict(path, stub).status == "not attempted", name
        said = verdict(path, f"{solution}\n{stub.strip().splitlines()[-1]}")
        assert said.status == "right", f"{name}: {said}"


@CHAPTERS
def test_chapters_begin_and_end_alike(path):
    text, code = cells(path, "markdown"), cells(path, "code")
    first = cells(NOTEBOOKS[0], "code")
    assert text[0].source.startswith(f"# {path.name[:2]} · ")
    assert "**You will be able to**" in text[0].source and "**Before:**" in text[0].source
    assert [cell.source for cell in code[:2]] == [cell.source for cell in first[:2]], (
        "set-up and parameter cells are identical everywhere"
    )
    link = f"https://colab.research.google.com/github/{repository(README)}/blob/main/notebooks/"
    assert text[0].source.endswith(f"({link}{path.name})")
    assert "parameters" in code[1].metadata.get("tags", [])
    names = [node.targets[0].id for node in ast.parse(code[1].source).body]
    assert names == PARAMETERS
    assert re.search(rf'chapter\.begin\(\s*"{path.stem}"', "".join(cell.source for cell in code))
    assert any("## Recap" in cell.source for cell in text)
    assert "run.finish()" in code[-1].source


def test_the_first_page_begins_like_a_chapter_and_lists_them_all():
    code, text = cells(START, "code"), "\n".join(cell.source for cell in cells(START, "markdown"))
    assert code[0].source == cells(NOTEBOOKS[0], "code")[0].source
    assert repository(README) in text
    assert re.findall(r"^\| \[(\w+)\]\(\1\.ipynb\)", text, re.MULTILINE) == [
        path.stem for path in NOTEBOOKS
    ]


@pytest.mark.parametrize("colab", [True, False])
def test_a_failed_installation_says_so_in_one_line(colab, monkeypatch):
    code = python(cells(START, "code")[0].source)
    monkeypatch.setitem(sys.modules, "sepkit.learn", None)
    if colab:
        monkeypatch.setitem(sys.modules, "google.colab", sys)
    with pytest.raises(ModuleNotFoundError, match="sepkit is not installed: .*pip says.*README"):
        exec(code, {})


@CHAPTERS
def test_code_is_short_enough_to_be_read(path):
    for cell in cells(path, "code"):
        lines = cell.source.splitlines()
        assert len(lines) <= 45, cell.source[:60]
        assert max(map(len, lines)) <= 100, max(lines, key=len)
        for node in ast.walk(ast.parse(python(cell.source))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                assert node.end_lineno - node.lineno + 1 <= 20, node.name


@CHAPTERS
def test_every_player_says_what_to_listen_for(path):
    for cell in cells(path, "code"):
        for node in ast.walk(ast.parse(python(cell.source))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "players":
                assert "listen" in [keyword.arg for keyword in node.keywords], cell.source


@CHAPTERS
def test_cells_that_only_draw_are_folded(path):
    for cell in cells(path, "code"):
        lines = cell.source.splitlines()
        begins = [row for row, line in enumerate(lines) if "plots.figure(" in line]
        draws = begins and "plots.show(" in cell.source and begins[0] <= len(lines) // 4
        defines = any(line.startswith(("def ", "class ")) for line in lines)
        folded = cell.metadata.get("jupyter", {}).get("source_hidden", False)
        assert folded == bool(draws and len(lines) > 20 and not defines), cell.source[:60]


def test_the_glossary_is_in_order_and_its_words_stand_in_the_chapters_it_names():
    [glossary] = [c.source for c in cells(START, "markdown") if c.source.startswith("## Glossary")]
    rows = re.findall(r"^\| (.+?) \| .+? \| \[\d\d\]\((\S+)\) \|$", glossary, re.MULTILINE)
    assert len(rows) == glossary.count("\n| ") - 1 > 60
    words = [re.sub(r" \(.*", "", word).lower() for word, _ in rows]
    assert words == sorted(words) and len(set(words)) == len(words)
    text = {path.name: " ".join(c.source for c in cells(path)).lower() for path in NOTEBOOKS}
    for word, (_, chapter) in zip(words, rows, strict=True):
        assert word in " ".join(text[chapter].split()), f"{word} in {chapter}"
    assert all("(00_start.ipynb#Glossary)" in cells(path)[0].source for path in NOTEBOOKS)


@CHAPTERS
def test_stored_outputs_are_whole_small_and_say_nothing_of_the_machine(path):
    raw = path.read_text(encoding="utf-8")
    assert len(raw.encode()) <= LIMIT
    assert not re.search(r"/(home|root|Users|tmp|work)/", raw)
    code = cells(path, "code")
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    outputs = [output for cell in code for output in cell.outputs]
    sounds = [output for output in outputs if "data:audio" in str(output)]
    assert all(SYNTHETIC in str(output) for output in sounds), "only what formulas make"
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(figures) >= 3


# ---- sliders


def bound(tree):
    """Names that a cell binds for all cells; what its functions bind inside is their own."""
    inner = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    names, waiting = set(), list(ast.iter_child_nodes(tree))
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
        if not isinstance(node, inner):
            waiting += ast.iter_child_nodes(node)
    return names


def read_later(trees, call):
    """Names that the functions handed over by this call look up whenever they are called."""
    functions = {
        node.name: node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)
    }
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    waiting = [part for one in given for part in ast.walk(one) if isinstance(part, ast.Lambda)]
    waiting += [functions[one.id] for one in given if getattr(one, "id", "") in functions]
    names = set()
    while waiting:
        node = waiting.pop()
        inside = {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
        inside |= {
            part.id
            for part in ast.walk(node)
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
        }
        new = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} - inside - names
        names |= new
        waiting += [functions[name] for name in new & set(functions)]
    return names


@CHAPTERS
def test_what_a_cell_makes_to_be_shown_is_shown(path):
    """A table or player is the last expression of its cell, or handed to display()."""
    lost = []
    for number, cell in enumerate(cells(path, "code")):
        tree = ast.parse(python(cell.source))
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
                continue
            called = ast.unparse(node.value.func)
            made = called in ("plots.table", "players", "sliders")
            if (made or called.endswith(".set_caption")) and node is not tree.body[-1]:
                lost.append(f"code cell {number}: {called}")
    assert not lost


@CHAPTERS
def test_what_a_slider_calls_is_not_changed_by_later_cells(path):
    trees = [ast.parse(python(cell.source)) for cell in cells(path, "code")]
    for number, tree in enumerate(trees):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "sliders":
                needed = read_later(trees[: number + 1], node)
                changed = {name for later in trees[number + 1 :] for name in bound(later) & needed}
                assert not changed, f"{sorted(changed)}, which this needs: {ast.unparse(node)}"


@CHAPTERS
def test_what_is_imported_keeps_its_name(path):
    """A cell that gave an imported function's name to something else would break later ones."""
    imported, own = set(), set()
    for cell in cells(path, "code"):
        for node in ast.parse(python(cell.source)).body:
            # in a "try" too, as Colab's installation has it
            brought = any(isinstance(part, ast.alias) for part in ast.walk(node))
            (imported if brought else own).update(bound(node) | _name_of(node))
    assert "np" in imported and not imported & own


def _name_of(node):
    return {node.name} if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else set()
