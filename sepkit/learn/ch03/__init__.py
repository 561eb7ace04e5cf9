"""Exercises, figures and code that only chapter 03 needs: ICA and other blind methods."""
