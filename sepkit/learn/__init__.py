"""What the notebooks share: how a chapter begins and ends, players, figures, exercises.

Every chapter starts alike::

    from sepkit.learn import default
    profile = default("profile")             # ... the six parameters
    run = chapter.begin("01_stft", profile=profile, weights=weights, ...)
    songs = run.tracks("test")
    run.finish()

`players` makes the listening rows, `plots` the figures, `exercises` and
``checks_NN`` the exercises. Importing this package loads nothing heavy.
"""

from importlib import import_module

from .parameters import PROFILES, WEIGHTS, default

__all__ = ["PROFILES", "WEIGHTS", "chapter", "default", "exercises", "players", "plots"]


def __getattr__(name):
    if name in ("chapter", "exercises", "players", "plots"):
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'sepkit.learn' has no attribute {name!r}")
