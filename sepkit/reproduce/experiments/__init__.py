"""Experiments: trainings that differ in one thing, with equal steps and several seeds.

`running` trains and scores the arms of an experiment, `catalogue` holds those that sepkit
knows, `cost` times training steps, `scores` reads and sums up what was measured.
Chapters 07 and 11.
"""

from .running import Arm, Design, run
from .scores import overview, stored, summary

__all__ = ["Arm", "Design", "overview", "run", "stored", "summary"]
