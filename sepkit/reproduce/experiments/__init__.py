"""Experiments: trainings that differ in one thing, with equal steps and several seeds.

A `design.Design` says what is compared, `catalogue` holds those that sepkit knows, `running`
trains and scores their arms, `cost` times training steps, `scores` reads and sums up what was
measured. Chapters 07 and 12.
"""

from .design import Arm, Design
from .running import run
from .scores import overview, stored, summary

__all__ = ["Arm", "Design", "overview", "run", "stored", "summary"]
