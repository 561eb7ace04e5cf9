"""Separators times tracks make Scores.

`evaluate` separates and scores a data set, `evaluate_folders` scores stems that
anyone separated with anything. Both pair by name, and write one file per song that
museval's tools can read as well. Chapters 02, 04 and 12 use them.
"""

from .running import evaluate, evaluate_folders
from .store import load
from .tables import tables, to_table

__all__ = ["evaluate", "evaluate_folders", "load", "tables", "to_table"]
