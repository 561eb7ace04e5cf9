"""Exercises, figures and code that only chapter 02 needs: masks."""
