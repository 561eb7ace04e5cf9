"""Answers to every exercise, as readers give them: a file a chapter, `ANSWERS`, by exercise.

``right`` are at least four right answers in other forms, ``wrong`` at least eight wrong ones, each
with a part of the reason that it alone is given, and where it earns credit, how much. Answers are
plain values and small functions, so that a teacher can read them. `make course` makes the guide's
lists of common errors of them.
"""
