"""Exercises, figures and code that only chapter 04 needs: Open-Unmix."""
