"""What the notebooks share, and a package per chapter for what only that chapter needs.

Every chapter starts alike::

    from sepkit.learn import default
    profile = default("profile")             # ... the six parameters
    run = chapter.begin("01_stft", profile=profile, weights=weights, ...)
    songs = run.tracks("test")
    run.finish()

`players` makes the listening rows, `plots` the figures, `exercises` judges answers; ``ch01``,
``ch02``, ... hold a chapter's exercises and figures. `progress` shows which exercises are solved.
Importing this package loads nothing heavy.
"""

from importlib import import_module
from typing import Any

__all__ = [
    "PROFILES",
    "WEIGHTS",
    "chapter",
    "default",
    "drive",
    "exercises",
    "players",
    "plots",
    "progress",
]


def __getattr__(name: str) -> Any:
    if name in ("chapter", "exercises", "players", "plots"):
        return import_module(f"{__name__}.{name}")
    if name in ("PROFILES", "WEIGHTS", "default"):
        return getattr(import_module(f"{__name__}.chapter"), name)
    if name == "drive":
        return import_module(f"{__name__}.colab").drive
    if name == "progress":
        return import_module(f"{__name__}.marks").progress
    raise AttributeError(f"module 'sepkit.learn' has no attribute {name!r}")
