"""Exercises, figures and code that only chapter 10 needs: attention, and what is used now."""
