"""Exercises, figures and code that only chapter 06 needs: band-split RNN."""
