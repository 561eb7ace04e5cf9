"""Exercises, figures and code that only chapter 12 needs: tables and claims."""
