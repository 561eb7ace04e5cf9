"""What Hybrid Demucs and HTDemucs have in common besides their layers.

The spectrogram that is as long as the waveform's stages need it, and the way that audio takes
through the network in evaluation: brought to one level, shifted, cut into pieces
(``demucs.apply.apply_model`` of the authors' package, version 4). Chapter 09.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..overlap import triangle
from ..validation import Number
from .waveform import WaveformModel, standardised

#: Shifts are spread over this many seconds.
LARGEST_SHIFT = 0.5
#: Added to the deviation that the network's input is divided by.
LEAST_DEVIATION = 1e-5

#: Names of both branches in the authors' code, and here: torchaudio's.
_PUBLISHED = {
    "encoder": "freq_encoder",
    "decoder": "freq_decoder",
    "tencoder": "time_encoder",
    "tdecoder": "time_decoder",
}


class Demucs(WaveformModel):
    """A network of the authors' kind, `net`, and the way to it.

    Parameters
    ----------
    arguments : dict
        As for `WaveformModel`, with ``overlap``: what each piece repeats of the one before, as a
        share; ``shifts``: in evaluation, the mean of so many estimates, each of the mixture moved
        by up to `LARGEST_SHIFT`, 0 for none. The authors draw the shifts, here they are evenly
        spread, so that the same audio gives the same estimates.

    Notes
    -----
    The mixture is brought to mean 0 and deviation 1 over time of its mono mix, and the
    estimates back, as the authors do: a louder mixture gives the same estimates, louder.
    """

    kinds = {
        **WaveformModel.kinds,
        "growth": Number(1, 16, whole=False),
        "overlap": Number(0, 0.95, whole=False),
        "shifts": Number(0, 100),
    }
    run_settings = ("segment", "overlap", "shifts")
    #: Whether a short piece is filled up to the length of the others.
    fills_pieces = False
    net: torch.nn.Module

    def __init__(self, arguments: Mapping[str, Any]):
        super().__init__(arguments)
        self.overlap, self.shifts = arguments["overlap"], arguments["shifts"]

    def estimate(self, mixture: Tensor) -> Tensor:
        """All targets, (B, J, C, T), from the mixture, (B, C, T), in one piece."""
        return at_one_level(self._whole, mixture)

    def in_evaluation(self, mixture: Tensor) -> Tensor:
        """All targets, (B, J, C, T), from a mixture of any length, (B, C, T)."""
        return at_one_level(self._shifted if self.shifts else self._in_pieces, mixture)

    def _whole(self, x):
        """(B, C, T) to (B, J, C, T), of audio at the level that the network is for."""
        return self.net(self.pad(x))[..., : x.shape[-1]]

    def _shifted(self, x):
        """The mean over shifts."""
        samples, most = x.shape[-1], int(LARGEST_SHIFT * self.sample_rate)
        x = functional.pad(x, (most, most))  # (B, C, T + 2 most)
        total: Any = 0
        for k in range(self.shifts):
            shift = (2 * k + 1) * most // (2 * self.shifts)
            estimates = self._in_pieces(x, shift, samples + most)  # (B, J, C, T + most - shift)
            total = total + estimates[..., most - shift :]  # (B, J, C, T)
        return total / self.shifts

    def _in_pieces(self, x, start=0, stop=None):
        """Estimates of the samples from `start` to `stop`, (B, J, C, stop - start)."""
        stop = x.shape[-1] if stop is None else stop
        if not self.segment:
            return self._whole(x[..., start:stop])
        size = max(4, int(self.segment * self.sample_rate))
        rise = triangle(size, x)
        weight = rise / rise.max()
        total = x.new_zeros(len(x), len(self.targets), x.shape[1], stop - start)
        weights = x.new_zeros(stop - start)
        for first in range(start, stop, max(1, int((1 - self.overlap) * size))):
            piece = self._piece(x, first, min(first + size, stop), size)  # (B, J, C, n)
            count = piece.shape[-1]
            place = slice(first - start, first - start + count)
            total[..., place] += weight[:count] * piece
            weights[place] += weight[:count]
        return total / weights

    def _piece(self, x, first, last, size):
        """Estimates of a piece, (B, J, C, last - first).

        A short one is filled up in equal parts on both sides, with audio where there is some.
        """
        missing = size - (last - first) if self.fills_pieces else 0
        low = first - missing // 2
        high = low + last - first + missing
        silence = max(0, -low), max(0, high - x.shape[-1])
        piece = functional.pad(x[..., max(0, low) : high], silence)
        return self._whole(piece)[..., first - low : last - low]


def with_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of the authors, or of torchaudio, under the names of `Demucs.net`."""
    renamed = {}
    for key, value in state.items():
        first, _, rest = key.partition(".")
        renamed[f"net.{_PUBLISHED.get(first, first)}.{rest}"] = value
    return renamed


def at_one_level(separate: Callable[[Tensor], Tensor], mixture: Tensor) -> Tensor:
    """Separate a mixture at mean 0 and deviation 1, those of its mono mix, and undo that."""
    x, mean, deviation = standardised(mixture)  # (B, C, T), (B, 1, 1), (B, 1, 1)
    return separate(x) * deviation.unsqueeze(1) + mean.unsqueeze(1)  # (B, J, C, T)


def spectrum_of(audio: Tensor, n_fft: int) -> Tensor:
    """The spectrogram of audio (B, C, T), as real and imaginary parts: (B, 2 C, n_fft / 2, N).

    N is T over the hop, n_fft / 4, rounded up: so the temporal stages come to as many samples.
    The bin of half the sample rate is left out. Divided by the root of `n_fft`.
    """
    hop, samples = n_fft // 4, audio.shape[-1]
    frames = -(-samples // hop)
    left = hop // 2 * 3
    right = left + frames * hop - samples
    short = max(0, max(left, right) - samples + 1)  # what reflection needs
    audio = functional.pad(functional.pad(audio, (0, short)), (left, right), mode="reflect")
    z = torch.stft(
        audio.flatten(0, 1),
        n_fft,
        hop,
        window=torch.hann_window(n_fft, dtype=audio.dtype, device=audio.device),
        normalized=True,
        return_complex=True,
    )[:, :-1, 2 : 2 + frames]  # (B C, F, N), complex
    return torch.view_as_real(z).unflatten(0, audio.shape[:2]).movedim(-1, 2).flatten(1, 2)


def audio_of(spectrum: Tensor, n_fft: int, samples: int) -> Tensor:
    """The inverse of `spectrum_of`: (..., 2 C, n_fft / 2, N) to (..., C, samples)."""
    hop = n_fft // 4
    left = hop // 2 * 3
    z = spectrum.unflatten(-3, (-1, 2)).movedim(-3, -1)  # (..., C, F, N, 2)
    z = torch.view_as_complex(z.contiguous())  # (..., C, F, N)
    z = functional.pad(z, (2, 2, 0, 1))  # (..., C, F + 1, N + 4)
    audio = torch.istft(
        z.flatten(0, -3),
        n_fft,
        hop,
        window=torch.hann_window(n_fft, dtype=spectrum.dtype, device=spectrum.device),
        normalized=True,
        length=hop * math.ceil(samples / hop) + 2 * left,
    )
    return audio[:, left : left + samples].unflatten(0, z.shape[:-2])


def normalised(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each example at mean 0 and deviation 1; and both, for `undone`."""
    axes = tuple(range(1, x.ndim))
    mean, deviation = x.mean(axes, keepdim=True), x.std(axes, keepdim=True)
    return (x - mean) / (LEAST_DEVIATION + deviation), mean, deviation


def undone(x: Tensor, targets: int, mean: Tensor, deviation: Tensor) -> Tensor:
    """The estimates (B, J C, ...) at the mixture's mean and deviation: (B, J, C, ...)."""
    x = x.unflatten(1, (targets, -1))  # (B, J, C, ...)
    return x.to(mean.dtype) * deviation.unsqueeze(1) + mean.unsqueeze(1)
