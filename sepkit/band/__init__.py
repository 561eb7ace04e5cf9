"""The embedded data set, "the band": songs rendered on this machine, in MUSDB18-HQ layout.

>>> from sepkit import band
>>> root = band.ensure("student")                                       # doctest: +SKIP
>>> band.render("ska", train=0, test=6, genres=["ska"], horn_correlation=0.8)   # doctest: +SKIP

As Slakh does from MIDI, songs are composed and played by program: sampled
instruments (the sound font that pretty_midi bundles, or yours) and a singing voice with
words (espeak-ng and WORLD), or plain DSP for both where those are missing.
Nothing rendered is shipped. `KNOBS` lists what can be set for controlled
experiments; the test songs share no kit, program, pattern, progression, voice
or word with the train songs.
"""

from .dataset import MANIFEST, PRESETS, VERSION, ensure, is_rendered, render
from .genres import GENRES
from .knobs import KNOBS, Knobs

__all__ = [
    "GENRES",
    "KNOBS",
    "MANIFEST",
    "PRESETS",
    "VERSION",
    "Knobs",
    "ensure",
    "is_rendered",
    "render",
]
