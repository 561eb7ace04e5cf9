"""Exercises, figures and code that only chapter 08 needs: what a score means."""
