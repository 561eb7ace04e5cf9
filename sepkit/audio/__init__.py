"""Audio files to tensors and back.

Audio is a float32 tensor of shape (channels, samples), full scale 1.0. It is
never clipped silently: what lies beyond full scale is kept in float files and
refused elsewhere, unless the caller asks for clipping.
Chapter 01 listens to what the sample rate does.
"""

from ..formats import READABLE, SUFFIXES
from ..formats.inspection import AudioWarning
from .reading import (
    FAR_BEYOND,
    MAX_CHANNELS,
    AudioInfo,
    file_state,
    info,
    read,
    resample,
    resampled_length,
    resampled_parts,
    seekable,
    to_channels,
)
from .writer import BLOCK, FORMATS, MP3_RATES, Writer, output_format, write

__all__ = [
    "BLOCK",
    "FAR_BEYOND",
    "FORMATS",
    "MAX_CHANNELS",
    "MP3_RATES",
    "READABLE",
    "SUFFIXES",
    "AudioInfo",
    "AudioWarning",
    "Writer",
    "file_state",
    "info",
    "output_format",
    "read",
    "resample",
    "resampled_length",
    "resampled_parts",
    "seekable",
    "to_channels",
    "write",
]
