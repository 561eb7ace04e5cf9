"""Exercises, figures and code that only chapter 01 needs: sound as numbers and the STFT."""
