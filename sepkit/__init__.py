"""sepkit: a course and reproduction kit for music source separation.

Eight names stand at the top:

>>> stems = sepkit.separate("song.mp3")            # {"vocals": (C, T), ...}   # doctest: +SKIP
>>> sepkit.write("vocals.wav", stems["vocals"], 44100)                         # doctest: +SKIP

- `Track` (from `sepkit.datasets`): a song with a mixture and named stems
- `read`, `write` (from `sepkit.audio`): an audio file as a tensor, and back
- `separate`: a song into its stems
- `build`, `load` (from `sepkit.models`): a new network, and trained ones
- `train` (from `sepkit.training`): a network on Tracks
- `evaluate` (from `sepkit.evaluation`): a separator on Tracks, into Scores

Everything else is in the packages: `sepkit.metrics`, `sepkit.separation`, ... Names and packages
load when they are first used, so that ``import sepkit`` pulls in neither torch nor librosa.

Importing sepkit decides how OpenMP's threads wait for each other, unless the environment variable
``OMP_WAIT_POLICY`` does: they spin for some microseconds, then sleep (``PASSIVE``, with
``GOMP_SPINCOUNT``). Who only sleeps takes up to six times as long on an idle machine, since an
LSTM lets its threads meet after every frame; who only spins, on a busy one, up to a hundred times.
OpenMP reads the variables once, when torch is loaded. Measured by ``tests/bench/bench_waiting.py``.

It also keeps oneDNN from Intel's AMX, unless ``ONEDNN_MAX_CPU_ISA`` is set: with it, PyTorch 2.11
computes some convolutions in 16 bits wrongly (4 channels and 16 taps, for one), and no network
here is faster. oneDNN, too, reads the variable when torch is loaded.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from .audio import read, write
    from .datasets.track import Track
    from .evaluation import evaluate
    from .models import build, load
    from .separation import Separator
    from .training import train

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "500")
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")

__version__ = "0.1.0"
__all__ = ["Track", "build", "evaluate", "load", "read", "separate", "train", "write"]

#: What separates where no model is named: on real recordings the best that ships.
DEFAULT_MODEL = "open-unmix-voices"

#: name -> the module that it comes from
_FROM = {
    "Track": "datasets",
    "build": "models",
    "evaluate": "evaluation",
    "load": "models",
    "read": "audio",
    "train": "training",
    "write": "audio",
}
_SUBMODULES = (
    "audio",
    "stft",
    "masks",
    "wiener",
    "metrics",
    "models",
    "datasets",
    "band",
    "separation",
    "training",
    "evaluation",
    "reproduce",
    "learn",
    "cli",
    "errors",
    "files",
    "device",
)


def separate(
    audio: str | Path | Track | Tensor,
    sample_rate: int | None = None,
    model: str | Path | Separator = DEFAULT_MODEL,
    device: str = "auto",
) -> dict[str, Tensor]:
    """Separate a song into its stems, as the command ``sepkit separate`` does.

    Parameters
    ----------
    audio : str, Path, Track or Tensor
        An audio file of any format in `sepkit.audio.READABLE`, a track, or a float tensor
        (channels, samples) with one or two channels.
    sample_rate : int, optional
        Of a tensor, in Hz; files and tracks know theirs.
    model : str, Path or Separator
        A name, a checkpoint or a folder of checkpoints, as `sepkit.separation.get` takes them; or
        a separator. By default vocals and accompaniment; ``"open-unmix"`` has four stems. Oracles
        need a track with stems.
    device : str
        See `sepkit.device.resolve_device`.

    Returns
    -------
    dict of str to Tensor (channels, samples)
        One estimate per target, with the song's sample rate, channels and length.

    Raises
    ------
    SepkitError
        If the audio cannot be used, a tensor comes without or a file with a sample rate, or the
        model is unknown.
    """
    import torch

    from . import separation
    from .errors import warn
    from .separation.streaming import conversions, stream

    song = _opened(audio, sample_rate)
    if isinstance(model, separation.Separator):
        separator = model
    else:
        separator = separation.get(model, device)
    if told := conversions(separator, song.sample_rate, song.channels):
        warn(told)
    parts = list(stream(separator, song))  # {target: (channels, n)}, one after another
    return {target: torch.cat([part[target] for part in parts], dim=1) for target in parts[0]}


def _opened(audio, sample_rate):
    """What `stream` reads: a track, a file, or a tensor with a track's attributes."""
    from types import SimpleNamespace

    from .datasets.track import Track
    from .errors import SepkitError
    from .separation.base import check_mixture
    from .separation.files import Recording

    if isinstance(audio, (Track, str, os.PathLike)):
        if sample_rate is not None:
            raise SepkitError("separate: sample_rate is for tensors, files and tracks know theirs")
        return audio if isinstance(audio, Track) else Recording(audio)
    check_mixture(audio, "the audio")
    if sample_rate is None:
        raise SepkitError("separate: a tensor does not know its sample rate; give sample_rate (Hz)")
    return SimpleNamespace(
        name="the audio",
        stems=(),
        sample_rate=sample_rate,
        channels=audio.shape[0],
        samples=audio.shape[1],
        mixture=lambda start, frames: audio[:, start : start + frames],
    )


def __getattr__(name: str):
    if name in _FROM:
        value = getattr(import_module(f"{__name__}.{_FROM[name]}"), name)
        globals()[name] = value
        return value
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'sepkit' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_FROM, *_SUBMODULES])
