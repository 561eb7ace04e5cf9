"""Speech mixtures in LibriMix's layout: reading them as Tracks, and making them.

Cosentino, Pariente, Cornell, Deleforge and Vincent, "LibriMix: An Open-Source
Dataset for Generalizable Speech Separation", arXiv:2005.11262, 2020. Chapter 11
asks what a network for vocals makes of speech in noise.
"""
