"""README, CONTRIBUTING, CHANGELOG and docs/pages name files, modules and commands that exist."""

import importlib
import re
import textwrap
from pathlib import Path

import pytest
import torch

from sepkit import models

ROOT = Path(__file__).resolve().parents[1]
TEXTS = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "data/README.md",
    "sepkit/assets/README.md",
    *(f"docs/pages/{path.name}" for path in sorted((ROOT / "docs" / "pages").glob("*.md"))),
]
#: What CONTRIBUTING has its readers make.
EXAMPLES = ("toy", "ch13", "13_name", "NAME", "...")


def words(text):
    """What stands in backticks, outside of blocks of code."""
    text = re.sub(r"(?ms)^ *```.*?^ *```", "", text)
    return re.findall(r"`([^`\n]+)`", text)


def exists(name):
    """Whether a dotted name such as ``sepkit.files.shipped`` leads to something."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            found = getattr(found, part, None)
        # A folder that holds nothing but old __pycache__ can be imported, and has no file.
        return found is not None and getattr(found, "__file__", "") is not None
    return False


@pytest.mark.parametrize("text", TEXTS)
def test_links_lead_to_files(text):
    path = ROOT / text
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert missing == []


def test_files_that_contributing_names_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = [word for word in words(text) if re.match(r"(sepkit|tests|notebooks|docs|\.ci)/", word)]
    named = [word for word in named if not any(example in word for example in EXAMPLES)]
    assert len(named) > 10
    assert [word for word in named if not (ROOT / word).exists()] == []


@pytest.mark.parametrize("text", [text for text in TEXTS if text != "CHANGELOG.md"])
def test_names_of_the_package_lead_somewhere(text):
    names = re.findall(r"`(sepkit(?:\.\w+)+)", (ROOT / text).read_text(encoding="utf-8"))
    assert [name for name in names if not exists(name)] == []


def test_where_the_changes_say_that_things_are_they_are():
    rows = re.findall(r"(?m)^\| (`.*) \| (`.*) \|$", (ROOT / "CHANGELOG.md").read_text("utf-8"))
    assert len(rows) > 10
    new = [name for _, column in rows for name in re.findall(r"`(sepkit(?:\.\w+)+)`", column)]
    assert [name for name in new if not exists(name)] == []
    # Packages that existed before still exist; what was a module of its own is gone.
    old = [name for column, _ in rows for name in re.findall(r"`(sepkit(?:\.\w+)+)`", column)]
    assert [name for name in old if exists(name)] == []


def test_the_model_that_contributing_shows_is_a_model():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = re.search(r"(?s)   ```python\n(.*?)   ```", text)[1]
    module = {"__name__": "sepkit.models.toy", "__package__": "sepkit.models"}
    exec(textwrap.dedent(code), module)
    toy = module["Toy"](n_fft=512, hop=256)
    assert isinstance(toy, models.base.Model) and toy.settings["n_fft"] == 512
    mixture = torch.randn(2, 2, 3000)
    assert toy(mixture).shape == mixture.shape and toy.loss(mixture, mixture).ndim == 0
    whole = module["Toy"]()
    assert sum(p.numel() for p in whole.parameters()) == whole.card.parameters


def test_make_targets_that_the_texts_name_exist():
    makefile = (ROOT / "Makefile").read_text()
    for text in ("README.md", "CONTRIBUTING.md", ".github/workflows/test.yml", ".ci/run"):
        content = (ROOT / text).read_text(encoding="utf-8")
        for target in re.findall(r"(?:`|run: |\d+m )make ([a-z][\w-]*)", content):
            assert re.search(rf"(?m)^{target}:", makefile), f"{text}: make {target}"
