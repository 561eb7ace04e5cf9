"""Mixtures of real recordings with exact ground truth: how well does what was trained on
rendered songs do on real ones?

Three singers (vocadito 1, 10 and 14, CC BY 4.0) over stretches of one instrumental of five
stems (CC0), with its horns and without: every stem is a recording, although singer and band
never met. The recordings do not come with sepkit: ``$SEPKIT_SAMPLES`` names their folder.
"""

import os
from pathlib import Path

from .. import audio
from ..errors import SepkitError
from .track import MemoryTrack

RATE = 44100
VARIABLE = "SEPKIT_SAMPLES"
#: The RMS of the voice, which sets it a little below the band.
VOCAL_RMS = 0.08
#: The five stems together peak at 1.84.
BAND_GAIN = 0.5
#: (singer, seconds of the singer from .. to, second of the band at which they begin, with horns):
#: every singer with the horns and without, and no stretch of the band under two of them.
MIXES = (
    ("vocadito_1.wav", 0, 11, 0, True),
    ("vocadito_1.wav", 11, 22, 11, False),
    ("vocadito_1.wav", 22, 33, 22, True),
    ("vocadito_10.flac", 0, 8, 33, False),
    ("vocadito_10.flac", 0, 8, 41, True),
    ("vocadito_14.flac", 0, 10, 49, False),
    ("vocadito_14.flac", 0, 10, 59, True),
    ("vocadito_1.wav", 0, 11, 69, False),
)
_OTHER = ("leadguitar", "clav")
#: What provenances say of scores on them.
RULE = (
    f"{len(MIXES)} mixes of sepkit.datasets.real_mixes: three singers of vocadito at RMS "
    f"{VOCAL_RMS} over stretches of five CC0 stems at a gain of {BAND_GAIN}, with horns and without"
)


def available() -> bool:
    """Whether ``$SEPKIT_SAMPLES`` names a folder with the recordings."""
    folder = os.environ.get(VARIABLE)
    return (
        folder is not None and folder != "" and (Path(folder) / "solo" / "vocadito_1.wav").is_file()
    )


def real_mixes(sample_rate: int = RATE, channels: int = 2) -> list[MemoryTrack]:
    """The eight mixtures as Tracks of four stems.

    Parameters
    ----------
    sample_rate, channels : int
        What they are converted to; the recordings are mixed at 44.1 kHz in stereo.

    Returns
    -------
    list of MemoryTrack

    Raises
    ------
    SepkitError
        If the recordings are not there.
    """
    if not available():
        raise SepkitError(
            f"real mixes: set ${VARIABLE} to the folder that holds solo/vocadito_1.wav and "
            "stems/drums.mp3"
        )
    folder = Path(os.environ[VARIABLE])
    mixes = [_mix(folder, number, *mix) for number, mix in enumerate(MIXES, 1)]
    if (sample_rate, channels) == (RATE, 2):
        return mixes
    return [_converted(track, sample_rate, channels) for track in mixes]


def _converted(track, sample_rate, channels):
    stems = {
        name: audio.resample(audio.to_channels(stem, channels), RATE, sample_rate)
        for name, stem in track.references().items()
    }
    return MemoryTrack(track.name, stems, sample_rate)


def _mix(folder, number, singer, first, last, band_start, horns):
    voice, _ = audio.read(folder / "solo" / singer, sample_rate=RATE, channels=2)
    voice = voice[:, first * RATE : last * RATE]  # (2, T)
    voice = voice * (VOCAL_RMS / voice.square().mean().sqrt())
    frames = voice.shape[-1]

    def band(*names):
        files = [folder / "stems" / f"{name}.mp3" for name in names]
        parts = [audio.read(file, band_start * RATE, frames, channels=2)[0] for file in files]
        return BAND_GAIN * sum(parts)

    stems = {
        "vocals": voice,
        "drums": band("drums"),
        "bass": band("bassguitar"),
        "other": band(*_OTHER, *(("horns",) if horns else ())),
    }
    name = f"real-{number}-{Path(singer).stem}{'' if horns else '-no-horns'}"
    return MemoryTrack(name, stems, RATE)
