"""Exercises, figures and code that only chapter 11 needs: the field studies."""
