"""Open-Unmix while the music plays: audio in, the target out a fixed time later.

Only the unidirectional network can do this: its LSTM carries what it has heard from
frame to frame. What delays the output is the window of the STFT alone. Chapter 04.
"""

import torch
from torch import Tensor, nn

from ..errors import SepkitError
from ..stft import make_window
from .open_unmix import OpenUnmix, with_phase


class OpenUnmixStream:
    """Separate audio as it arrives, by one network.

    Everything that was put out, end to end, equals ``model(whole)`` to about 1e-6:
    the network's magnitude with the phase of the mixture, without the Wiener filter,
    which learns from whole windows of frames.

    Parameters
    ----------
    model : OpenUnmix
        Built with ``unidirectional=True``. It is put into evaluation mode.

    Attributes
    ----------
    delay : int
        Samples by which the output lies behind the input, for input in blocks of one hop.
    latency_ms : float
        From a sample going in to the same sample coming out, at most and without the time
        for computing: the window (`delay`, plus one hop to collect the block).

    Raises
    ------
    SepkitError
        If the network looks ahead.

    Notes
    -----
    C, n: channels, samples of a block; F, N: bins, frames; W: samples of the STFT's window.

    Examples
    --------
    >>> stream = OpenUnmixStream(model)                      # doctest: +SKIP
    >>> for block in blocks:                                 # doctest: +SKIP
    ...     play(stream.push(block))
    >>> play(stream.finish())                                # doctest: +SKIP
    """

    def __init__(self, model: OpenUnmix):
        if not model.unidirectional:
            raise SepkitError(
                "only a model built with unidirectional=True can be streamed; this one looks ahead"
            )
        self.model = model.eval()
        self.size, self.hop = model.stft.n_fft, model.stft.hop
        self._window = make_window(model.stft.window, self.size).to(model.input_mean)  # (W,)
        self.delay, self.latency_ms = self.size - self.hop, 1e3 * self.size / model.sample_rate
        self._reset()

    def _reset(self):
        device, channels = self.model.input_mean.device, self.model.channels
        self._state, self._received, self._sent = None, 0, 0
        self._pending = torch.zeros(
            channels, 0, device=device
        )  # input that later frames still need
        self._recent = self._pending  # the last window of input, to mirror the end
        self._begun = False  # whether the start has been mirrored
        self._skip = self.size // 2  # output before the first sample
        # Overlap-add, from the next frame's start.
        self._sum = torch.zeros(channels, self.size, device=device)
        self._envelope = torch.zeros(self.size, device=device)

    def push(self, audio: Tensor) -> Tensor:
        """Take the next samples, of any number, and return those that are finished.

        Parameters
        ----------
        audio : Tensor (C, n)

        Returns
        -------
        Tensor (C, m)
            Possibly none (m = 0).

        Raises
        ------
        SepkitError
            For another number of channels.
        """
        if audio.ndim != 2 or audio.shape[0] != self.model.channels:
            raise SepkitError(
                f"the stream takes blocks of shape ({self.model.channels}, samples), not "
                f"{tuple(audio.shape)}"
            )
        self._received += audio.shape[-1]
        block = audio.to(self._pending)
        self._pending = torch.cat([self._pending, block], -1)
        self._recent = torch.cat([self._recent, block], -1)[:, -self.size :]
        if not self._begun:
            if self._pending.shape[-1] <= self.size // 2:  # too little to be reflected
                return audio[:, :0]
            mirrored = self._pending[:, 1 : self.size // 2 + 1].flip(-1)
            self._pending = torch.cat([mirrored, self._pending], -1)
            self._begun = True
        return self._frames().to(audio)

    def finish(self) -> Tensor:
        """The rest of the output, after which the stream starts anew with `push`.

        Returns
        -------
        Tensor (C, m)
        """
        total, left = self._received, self._received - self._sent
        if not total:
            return self._pending
        length = max(total, self.size)  # as `forward`: at least one window
        out = [self.push(self._pending.new_zeros(self.model.channels, length - total))]
        last = (self.model.stft.frames(length) - 1) * self.hop  # the centre of the last frame
        missing = last + self.size // 2 - length
        mirrored = self._recent[:, -missing - 1 : -1].flip(-1)
        self._pending = torch.cat([self._pending, mirrored], -1)
        out += [self._frames(), self._counted(self._sum / self._envelope.clamp_min(1e-12))]
        self._reset()
        return torch.cat(out, -1)[:, :left]

    @torch.no_grad()
    def _frames(self):
        """Separate all complete frames, and return the samples that no later frame touches."""
        count = 1 + (self._pending.shape[-1] - self.size) // self.hop
        if count < 1:
            return self._pending[:, :0]
        # Frames without padding, as in training.
        spectrum = self.model.training_stft(self._pending)  # (C, F, N), complex
        magnitude, self._state = self.model.stream(spectrum.abs()[None], self._state)
        estimate = with_phase(magnitude[0], spectrum)  # (C, F, N), complex
        frames = torch.fft.irfft(estimate.transpose(-1, -2), n=self.size)  # (C, N, W)
        frames = frames * self._window  # (C, N, W)
        finished = []
        for frame in frames.unbind(1):  # (C, W)
            self._sum += frame
            self._envelope += self._window.square()
            finished.append(self._sum[:, : self.hop] / self._envelope[: self.hop].clamp_min(1e-12))
            self._sum = nn.functional.pad(self._sum[:, self.hop :], (0, self.hop))
            self._envelope = nn.functional.pad(self._envelope[self.hop :], (0, self.hop))
        self._pending = self._pending[:, count * self.hop :]
        return self._counted(torch.cat(finished, -1))

    def _counted(self, audio):
        """Leave out what lies before the first sample, and keep count of the rest."""
        skipped = min(self._skip, audio.shape[-1])
        self._skip -= skipped
        self._sent += audio.shape[-1] - skipped
        return audio[:, skipped:]
