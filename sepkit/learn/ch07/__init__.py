"""Exercises, figures and code that only chapter 07 needs: remixing."""
