"""A real recording with exact ground truth, put together from freely licensed samples.

One singer (vocadito 1, CC BY 4.0) over five stems of an instrumental (CC0):
musically unrelated, but every stem is a recording. The samples are not part of
this repository: SEPKIT_SAMPLES names their folder; without it, what needs them is skipped.

``python tests/separation/real_multitrack.py OUT`` writes OUT/real-multitrack/ for the command line.
"""

import os
import sys
from pathlib import Path

import torch

from sepkit import audio
from sepkit.datasets import MemoryTrack

SAMPLES = Path(os.environ.get("SEPKIT_SAMPLES", "/unset"))
RATE = 44100
VOCAL_RMS = 0.08  # the singer was recorded at -36 dB; this sets the voice a little below the band
BAND_GAIN = 0.5  # the five stems together peak at 1.84


def available():
    return (SAMPLES / "MANIFEST.md").is_file()


def real_multitrack(horns=True):
    """The multitrack as a Track of four stems; `horns`: whether "other" has the horns."""
    voice, _ = audio.read(SAMPLES / "solo" / "vocadito_1.wav", sample_rate=RATE, channels=2)
    voice *= VOCAL_RMS / voice.square().mean().sqrt()
    length = voice.shape[-1]

    def band(*names):
        return BAND_GAIN * sum(
            audio.read(SAMPLES / "stems" / f"{name}.mp3", frames=length, channels=2)[0]
            for name in names
        )

    other = ("leadguitar", "clav", "horns") if horns else ("leadguitar", "clav")
    stems = {
        "vocals": voice,
        "drums": band("drums"),
        "bass": band("bassguitar"),
        "other": band(*other),
    }
    return MemoryTrack("real-multitrack" + ("" if horns else "-no-horns"), stems, RATE)


if __name__ == "__main__":
    track = real_multitrack()
    for name, stem in track.references().items():
        path = audio.write(Path(sys.argv[1]) / track.name / f"{name}.wav", stem, RATE)
        level = 10 * torch.log10(stem.square().mean())
        print(f"{path}: {track.samples / RATE:.1f} s, {level:.1f} dB, peak {stem.abs().max():.2f}")
