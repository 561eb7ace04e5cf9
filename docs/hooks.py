"""Pages that are made while the reference is built, see mkdocs.yml."""

import ast
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
#: A file of the repository -> its page.
TEXTS = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
}
#: Pages of docs/pages, in their order.
GUIDE = (
    "command-line",
    "python",
    "training",
    "scoring",
    "data",
    "reproducing",
    "batches",
    "licences",
)
#: What has no page is at the repository's address.
ADDRESS = "https://github.com/ORG/REPO/blob/main/"


def on_files(files, config):
    """Add README, CONTRIBUTING and CHANGELOG, and a page for each part of the package."""
    for text, address in TEXTS.items():
        content = linked((ROOT / text).read_text(encoding="utf-8"))
        files.append(File.generated(config, address, content=content))
    for part in parts():
        files.append(File.generated(config, f"api/{part}.md", content=page(part)))
    config.nav = [
        {"sepkit": "index.md"},
        {"Guide": [f"{name}.md" for name in GUIDE]},
        {"Changes": "changes.md"},
        {"Contributing": "contributing.md"},
        {"Reference": ["api/index.md", *(f"api/{part}.md" for part in parts())]},
    ]
    return files


def parts():
    """The names of the modules and packages of sepkit, sorted."""
    found = [path.parent.name for path in ROOT.glob("sepkit/*/__init__.py")]
    found += [path.stem for path in ROOT.glob("sepkit/*.py")]
    return sorted(name for name in found if not name.startswith("_"))


def page(part):
    """A module; or a package: what it offers, what it defines itself, then its modules."""
    title = f"---\ntitle: sepkit.{part}\n---\n\n"
    folder = ROOT / "sepkit" / part
    if not folder.is_dir():
        return title + f"::: sepkit.{part}\n"
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    defined = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    own = [name for name in defined if not name.startswith("_")]
    offered = [name for node in tree.body for name in public(node)]
    text = title + f"::: sepkit.{part}\n    options:\n      members: {own}\n"
    if offered:
        text += f"\nOffered by the package: {', '.join(f'`{name}`' for name in sorted(offered))}\n"
    for module in sorted(modules(folder)):
        text += f"\n::: sepkit.{part}.{module}\n    options:\n      heading_level: 2\n"
    return text


def public(node):
    """The names that ``__all__ = [...]`` lists."""
    if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
        return ast.literal_eval(node.value)
    return []


def modules(folder):
    """Modules and packages in a folder of the package."""
    yield from (path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    yield from (path.parent.name for path in folder.glob("*/__init__.py"))


def linked(text):
    """A text of the repository as a page: links to files without a page, badges as words."""
    text = re.sub(r"\[!\[([^\]]*)\]\([^)]*\)\]", r"[\1]", text)

    def target(match):
        path, _, anchor = match[1].partition("#")
        if "://" in path or not path or not (ROOT / path).exists():
            return match[0]
        address = TEXTS.get(path, ADDRESS + path)
        if path.startswith("docs/pages/"):
            address = path.removeprefix("docs/pages/")
        return f"]({address}{'#' + anchor if anchor else ''})"

    return re.sub(r"\]\(([^)\s]+)\)", target, text)
