"""Networks, one file per paper, and the registry that builds and loads them.

>>> model = build("open-unmix", target="vocals", hidden=128)   # doctest: +SKIP
>>> save("vocals.safetensors", model)                           # doctest: +SKIP
>>> bundle = load("open-unmix")                                 # the shipped set   # doctest: +SKIP
"""

from .averaging import average
from .checkpoints import fill, load, read_header, save, shipped_sets
from .registry import MODELS, build, card

__all__ = [
    "MODELS",
    "average",
    "build",
    "card",
    "fill",
    "load",
    "read_header",
    "save",
    "shipped_sets",
]
