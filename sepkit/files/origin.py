"""Where a number comes from: code, machine and command."""

import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from .hashes import identity
from .places import repo_root


def commit() -> str | None:
    """The checkout's git commit, with ``+`` when the sources differ from it; None outside git."""
    root = repo_root()
    if root is None:
        return None
    git = ["git", "-C", str(root)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--", "sepkit"], capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def kit() -> str:
    """Version of sepkit, and the start of a hash of its code: equal where the code is."""
    from .. import __version__

    sources = identity(Path(__file__).resolve().parent.parent, (".py",))
    return f"{__version__} ({sources[:12]})"


def provenance(command: str | None = None, **extra: Any) -> dict[str, Any]:
    """Provenance of a score: code, machine and command.

    Parameters
    ----------
    command : str, optional
        What to type to get the number again. By default the running command,
        with the folder of the program left out.
    **extra
        Seed, profile, device, data set and whatever else the caller knows.
    """
    from .. import __version__

    if command is None:
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    facts = {
        "sepkit": __version__,
        "commit": commit(),
        "command": command,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    for package in ("torch", "numpy"):
        try:
            facts[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            pass
    return {**facts, **extra}
