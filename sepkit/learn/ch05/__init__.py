"""Exercises, figures and code that only chapter 05 needs: ResUNet."""
