"""Training: a loop, its recipe, and the folder that a run leaves behind.

`sepkit.training.loop` is the place to begin reading.
"""

from ..datasets.loader import loader
from .batches import examples, make_chunks
from .loop import train
from .recipe import STUDENT, Recipe
from .schedules import cosine, set_lr

__all__ = ["STUDENT", "Recipe", "cosine", "examples", "loader", "make_chunks", "set_lr", "train"]
