"""Exercises, figures and code that only chapter 09 needs: networks on waveforms."""
