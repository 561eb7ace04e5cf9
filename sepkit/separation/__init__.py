"""Separators: whatever turns a mixture into estimates of its stems.

A trained network, an oracle mask and "the mixture itself" have the same shape,
so that the same players, metrics and tables take any of them. Chapter 02 uses
the oracles, chapter 04 the networks; `separate_file` takes files of any length.

>>> separator = get("open-unmix")                        # doctest: +SKIP
>>> separate_file("song.mp3", separator, "separated")    # doctest: +SKIP
"""

from ..stems import STEMS
from .base import Separator
from .files import separate_file, separate_files
from .inputs import find_recordings, output_folders
from .mono_mask import MonoMaskSeparator
from .networks import COMPLETE, ModelSeparator
from .oracles import MixtureSeparator, OracleSeparator
from .registry import METHODS, get, known
from .streaming import separate_at, stream

__all__ = [
    "COMPLETE",
    "METHODS",
    "STEMS",
    "MixtureSeparator",
    "ModelSeparator",
    "MonoMaskSeparator",
    "OracleSeparator",
    "Separator",
    "find_recordings",
    "get",
    "known",
    "output_folders",
    "separate_at",
    "separate_file",
    "separate_files",
    "stream",
]
