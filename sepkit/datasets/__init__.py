"""Data sets: everything that can be opened becomes a list of Tracks.

>>> tracks = open_tracks("band", split="test", preset="smoke")   # doctest: +SKIP
"""

from importlib import import_module

from .registry import DATA_HELP, DATASETS, SPLITS, DataSet, data_folder, data_set_name, known_data

__all__ = [
    "DATASETS",
    "DATA_HELP",
    "SPLITS",
    "DataSet",
    "FolderTrack",
    "MemoryTrack",
    "Track",
    "data_folder",
    "data_set_name",
    "known_data",
    "open_tracks",
]
# Loaded when first used: they import torch, which the command line's help does without.
_LAZY = {
    "FolderTrack": "folders",
    "MemoryTrack": "track",
    "Track": "track",
    "open_tracks": "sources",
}


def __getattr__(name):
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
