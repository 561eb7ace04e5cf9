"""The short-time Fourier transform and its exact inverse.

A spectrogram is a complex tensor (..., channels, bins, frames) with
``n_fft // 2 + 1`` bins. Chapter 01 derives both directions by hand and then
uses this class; every spectral model of sepkit goes through it.
"""

import math

import torch
from torch import nn

from .errors import SepkitError, unknown

#: coefficients a_k of the periodic window  sum_k (-1)^k a_k cos(2 pi k n / n_fft)
_COSINE_SUMS = {
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "ones": (1.0,),
}
WINDOWS = (*_COSINE_SUMS, "sqrt_hann")

# What the sum of squared windows, the envelope, may fall to. The inverse divides by it, so rounding
# errors of single precision grow like 1 / sqrt(envelope): these bounds keep them near 1e-6.
_INVERTIBLE = 5e-3  # smallest over largest envelope, away from the ends: else the pair is refused
_DOUBLE_BELOW = 1e-1  # below this, the transforms are computed in double precision
_COVERED = 5e-2  # an end sample with less than this share of the smallest envelope is not covered


def make_window(name: str, n_fft: int) -> torch.Tensor:
    """A periodic window, float64 of shape (n_fft,).

    Parameters
    ----------
    name : str
        One of `WINDOWS`. ``"sqrt_hann"`` is the square root of ``"hann"``, whose
        squares add up to a constant; ``"ones"`` is rectangular.
    """
    if name not in WINDOWS:
        raise unknown("window", name, WINDOWS)
    phase = 2 * math.pi * torch.arange(n_fft, dtype=torch.float64, device="cpu") / n_fft
    terms = _COSINE_SUMS["hann" if name == "sqrt_hann" else name]
    window = sum((-1) ** k * a * torch.cos(k * phase) for k, a in enumerate(terms)).clamp(min=0)
    return window.sqrt() if name == "sqrt_hann" else window


class STFT(nn.Module):
    """Short-time Fourier transform with an exact inverse.

    ``inverse(forward(audio), length)`` returns the audio to about 1e-6 (single
    precision) or 1e-14 (double), for any length from one sample up.
    Not normalised. With ``center=True`` frame k is centred on sample ``k * hop``
    and the audio is continued by reflection, as in ``torch.stft`` and librosa's
    ``pad_mode="reflect"``; there are ``1 + length // hop`` frames. One more is
    added only where the last samples would otherwise lie under the faint tail of
    the last window, which needs a hop above ``n_fft // 4``.

    With ``center=False`` only whole frames inside the audio are taken,
    ``1 + (length - n_fft) // hop`` of them (audio shorter than one window is
    continued by zeros to one frame). What lies after the last frame, and the ends
    that only the tail of one window reaches, cannot be recovered: `recoverable`
    says which samples are exact; the others fade to zero.

    Inverse: weighted overlap-add, sum_k w x_k / sum_k w^2, the least-squares
    inverse of Griffin and Lim, "Signal estimation from modified short-time
    Fourier transform", IEEE TASSP 1984, equation 6.

    Parameters
    ----------
    n_fft : int
        Window length in samples, at least 2.
    hop : int
        Samples from frame to frame.
    window : str
        One of `WINDOWS`, periodic.
    center : bool
        See above.

    Raises
    ------
    SepkitError
        If window and hop cannot be inverted: some samples would be covered by no
        window, or by nothing but tails.

    Notes
    -----
    Nothing is stored in checkpoints. Device and dtype follow the input: float64
    audio gives complex128; half precision is transformed in float32.
    """

    def __init__(
        self, n_fft: int = 4096, hop: int = 1024, window: str = "hann", center: bool = True
    ):
        super().__init__()
        for name, value, minimum in (("n_fft", n_fft, 2), ("hop", hop, 1)):
            if isinstance(value, bool) or int(value) != value or value < minimum:
                raise SepkitError(
                    f"STFT {name}={value!r}: expected a whole number of at least {minimum}"
                )
        self.n_fft, self.hop, self.window, self.center = int(n_fft), int(hop), window, bool(center)
        self._window64 = make_window(window, self.n_fft)
        self.register_buffer("_window32", self._window64.float(), persistent=False)
        envelope = (
            self._overlap_add((self._window64**2).reshape(1, 1, -1)).reshape(-1, self.hop).sum(0)
        )
        least, most = float(envelope.min()), float(envelope.max())
        self._needs_double = least < _DOUBLE_BELOW * most
        self._covered = _COVERED * least
        if self.hop > self.n_fft or least < _INVERTIBLE * most:
            raise SepkitError(
                f"STFT window {window!r} of {n_fft} samples with hop {hop} cannot be inverted: "
                "some samples are "
                f"covered by no window or only by its tails; use a hop of {self.n_fft // 2} or less"
            )

    def extra_repr(self) -> str:
        """What `repr` shows in the parentheses."""
        return f"n_fft={self.n_fft}, hop={self.hop}, window={self.window!r}, center={self.center}"

    @property
    def bins(self) -> int:
        """``n_fft // 2 + 1``, from 0 Hz to half the sample rate."""
        return self.n_fft // 2 + 1

    def frames(self, length: int) -> int:
        """How many frames `forward` makes from `length` samples."""
        if not self.center:
            return 1 + max(0, length - self.n_fft) // self.hop
        last = length // self.hop
        beyond = length - 1 - last * self.hop  # how far the last sample lies behind the last centre
        tails = range(self.n_fft // 2 + beyond, self.n_fft, self.hop) if beyond > 0 else ()
        uncovered = beyond > 0 and float((self._window64[list(tails)] ** 2).sum()) < self._covered
        return 1 + last + uncovered

    def recoverable(self, length: int) -> tuple[int, int]:
        """The range (start, stop) of samples that the inverse returns exactly.

        ``(0, length)`` with ``center=True``. Otherwise the ends are missing: with
        Hann, 4096 and 1024, the first 719 samples and as many at the end of the last frame.
        """
        if self.center:
            return 0, length
        count = self.frames(length)
        envelope = self._envelope(count, self._window64)
        good = torch.nonzero(envelope[:length] >= self._covered).flatten()
        return (int(good[0]), int(good[-1]) + 1) if len(good) else (0, 0)

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Transform real audio (..., channels, samples) to a complex (..., channels, bins, frames).

        Raises
        ------
        SepkitError
            If the audio is empty or not floating point.
        """
        if not audio.is_floating_point():
            raise SepkitError(
                f"STFT: expected floating-point audio, got {audio.dtype}; scale integers to +-1 "
                "first"
            )
        if audio.numel() == 0:
            raise SepkitError(
                f"STFT: the audio is empty, of shape {tuple(audio.shape)}; expected (..., "
                "channels, samples)"
            )
        if audio.dtype in (torch.float16, torch.bfloat16):
            audio = audio.float()
        length = audio.shape[-1]
        left = self.n_fft // 2 if self.center else 0
        right = max(0, (self.frames(length) - 1) * self.hop + self.n_fft - left - length)
        padded = (
            _reflect(audio, left, right) if self.center else nn.functional.pad(audio, (0, right))
        )
        flat = self._in_double_if_needed(padded.reshape(-1, padded.shape[-1]))
        spectrum = torch.stft(
            flat,
            self.n_fft,
            self.hop,
            window=self._window(flat),
            center=False,
            onesided=True,
            return_complex=True,
        )
        return spectrum.reshape(*audio.shape[:-1], *spectrum.shape[-2:]).to(
            audio.dtype.to_complex()
        )

    def inverse(self, spectrogram: torch.Tensor, length: int | None = None) -> torch.Tensor:
        """Turn a complex (..., channels, bins, frames) into audio (..., channels, length).

        Parameters
        ----------
        spectrogram : complex tensor
            As `forward` makes it, changed or not.
        length : int, optional
            Samples wanted: those that went into `forward`. By default what the
            frames span.

        Raises
        ------
        SepkitError
            If the bins do not fit `n_fft`, or the frames do not reach `length`.
        """
        if (
            not spectrogram.is_complex()
            or spectrogram.ndim < 2
            or spectrogram.shape[-2] != self.bins
        ):
            raise SepkitError(
                f"STFT inverse: got {spectrogram.dtype} of shape {tuple(spectrogram.shape)}; "
                f"expected complex (..., {self.bins} bins, frames) for n_fft {self.n_fft}"
            )
        count = spectrogram.shape[-1]
        start = self.n_fft // 2 if self.center else 0
        if length is None:
            length = (count - 1) * self.hop + self.n_fft - 2 * start
        if count == 0 or not 0 <= length < count * self.hop + self.n_fft - start:
            raise SepkitError(
                f"STFT inverse: {count} frames with hop {self.hop} cannot make {length} samples"
            )
        frames = torch.fft.irfft(
            self._in_double_if_needed(spectrogram).transpose(-1, -2), n=self.n_fft
        )
        window = self._window(frames)
        audio = self._overlap_add((frames * window).reshape(-1, count, self.n_fft))[
            :, start : start + length
        ]
        envelope = self._envelope(count, window)[start : start + length]
        audio = audio / envelope.clamp(min=self._covered)
        audio = nn.functional.pad(audio, (0, length - audio.shape[-1]))
        return audio.reshape(*spectrogram.shape[:-2], length).to(spectrogram.dtype.to_real())

    def _in_double_if_needed(self, x):
        """Double precision for the pairs that need it, where the device has it."""
        if not self._needs_double or x.device.type == "mps":
            return x
        return x.to(torch.complex128 if x.is_complex() else torch.float64)

    def _window(self, like):
        if like.dtype == self._window32.dtype == torch.float32:
            return self._window32.to(like.device)
        return self._window64.to(like.dtype).to(like.device)

    def _envelope(self, count, window):
        """Sum of the squared windows of `count` frames, by position."""
        return self._overlap_add((window**2).expand(1, count, -1))[0]

    def _overlap_add(self, frames):
        """(batch, frames, n_fft) to (batch, samples), the last hop filled up with zeros."""
        batch, count, size = frames.shape
        pieces = -(-size // self.hop)
        if size % self.hop:
            frames = nn.functional.pad(frames, (0, pieces * self.hop - size))
        out = frames.new_zeros(batch, count + pieces - 1, self.hop)
        for piece in range(pieces):
            out[:, piece : piece + count] += frames[..., piece * self.hop : (piece + 1) * self.hop]
        return out.reshape(batch, -1)


def _reflect(audio, left, right):
    """Continue audio by reflection, again and again where it is shorter than the padding."""
    length = audio.shape[-1]
    if max(left, right) < length and audio.ndim <= 3:
        flat = audio.reshape(-1, 1, length)
        return nn.functional.pad(flat, (left, right), mode="reflect").reshape(*audio.shape[:-1], -1)
    period = max(1, 2 * (length - 1))
    positions = torch.arange(-left, length + right, device=audio.device) % period
    return audio[..., torch.minimum(positions, period - positions) if length > 1 else positions * 0]
