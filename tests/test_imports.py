"""Imports run one way: a file imports only from the lines of `ORDER` above its own."""

import ast
from pathlib import Path

import sepkit

ROOT = Path(sepkit.__file__).parent
#: Names in one line are of one rank: such parts do not know each other. The first six lines are
#: the ground.
ORDER = (
    ("errors",),
    ("console", "names", "runtime", "stems"),
    ("validation",),
    ("files",),
    ("device", "formats", "masks", "overlap", "stft", "wiener"),
    ("audio",),
    ("band",),
    ("metrics", "models", "datasets"),
    ("separation",),
    ("training", "evaluation"),
    ("reproduce",),
    ("learn",),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
#: (file, part) -> why this file may import that part all the same. Empty, and meant to stay so.
EXCEPTIONS: dict[tuple[str, str], str] = {}


def imports(path):
    """The parts of sepkit that a file imports anywhere, also inside functions."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    package = ("sepkit", *parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            names = [[*base, alias.name] for alias in node.names]
        else:
            continue
        for name in names:
            if name[0] == "sepkit" and len(name) > 1 and name[1] in RANK:
                yield name[1], node.lineno


def wrong_way():
    """{(file, part of sepkit): line} of imports that go to the right, or to a neighbour."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT)
        own = name.parts[0].removesuffix(".py")
        if own == "__init__":
            continue  # the names at the top come from everywhere, when they are used
        for other, line in imports(path):
            if other != own and RANK[other] >= RANK[own]:
                found[name.as_posix(), other] = line
    return found


def test_every_module_has_its_place_in_the_order():
    modules = {path.stem for path in ROOT.glob("*.py")}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert modules | packages == {"__init__", *RANK}
    contributing = (ROOT.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [name for name in RANK if f"`{name}`" not in contributing and name[0] != "_"] == []


def test_imports_run_one_way():
    found = wrong_way()
    assert {place: line for place, line in found.items() if place not in EXCEPTIONS} == {}
    assert set(EXCEPTIONS) <= set(found), "an exception that nobody needs any more"


def test_the_band_is_a_room_of_its_own():
    needed = {other for path in ROOT.glob("band/*.py") for other, _ in imports(path)}
    assert needed <= {"band", "errors", "console", "names", "runtime", "validation", "files"}


def test_the_check_sees_every_kind_of_import(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "metrics").mkdir()
    code = "from .. import training as t\nimport sepkit.learn.plots\n"
    code += "def f():\n    from ..separation.base import STEMS\n    from sepkit import cli\n"
    (tmp_path / "metrics" / "sdr.py").write_text(
        code + "from . import x\nfrom ..stft import STFT\n"
    )
    assert wrong_way() == {
        ("metrics/sdr.py", "training"): 1,
        ("metrics/sdr.py", "learn"): 2,
        ("metrics/sdr.py", "separation"): 4,
        ("metrics/sdr.py", "cli"): 5,
    }
