"""sepkit: a course and reproduction kit for music source separation.

Importing the package is cheap: submodules load when they are first used, so
``import sepkit`` pulls in neither torch nor librosa.
"""

import os
from importlib import import_module

# Threads that wait for each other sleep instead of spinning. On a machine that has something else to do,
# spinning made separation five times slower; OpenMP reads this once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

_SUBMODULES = (
    "audio",
    "stft",
    "masks",
    "wiener",
    "metrics",
    "models",
    "datasets",
    "band",
    "separation",
    "training",
    "evaluation",
    "reproduce",
    "learn",
    "cli",
    "errors",
    "files",
    "device",
)


def __getattr__(name):
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'sepkit' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_SUBMODULES])
