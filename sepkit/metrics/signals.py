"""References and estimates that are read part by part, so that no song is too long to be scored."""

import torch

from ..errors import SepkitError


class Held:
    """A signal that lies in memory, as what reads it part by part: a tensor (channels, samples)."""

    def __init__(self, audio):
        self.audio = audio
        self.channels, self.samples = audio.shape

    def read(self, start, frames):
        """(channels, frames) from sample `start`."""
        return self.audio[..., start : start + frames]


class Signals:
    """The references and estimates of one song, of one length and number of channels.

    Parameters
    ----------
    references, estimates : dict of str to signal
        Of the same names. A signal is a tensor (channels, samples), or anything with
        ``channels``, ``samples`` and ``read(start, frames)``.
    mixture : signal, optional
        By default the sum of the references.
    """

    def __init__(self, references, estimates, mixture=None):
        self.names = list(references)
        self.references = {name: _signal(x) for name, x in references.items()}
        self.estimates = {name: _signal(estimates[name]) for name in self.names}
        self.own_mixture = None if mixture is None else _signal(mixture)
        first, *others = [*self.references.values(), *self.estimates.values()]
        if any((x.channels, x.samples) != (first.channels, first.samples) for x in others):
            raise SepkitError(
                "references and estimates of one song need one length and channel count"
            )
        self.channels, self.samples = first.channels, first.samples

    def read(self, start, frames):
        """References and estimates, (2, sources, channels, frames) in float64; fewer frames at the end."""
        frames = min(frames, self.samples - start)
        parts = [
            x.read(start, frames).detach()
            for x in (*self.references.values(), *self.estimates.values())
        ]
        device = (
            "cpu" if parts[0].device.type == "mps" else parts[0].device
        )  # which knows no float64
        whole = torch.empty(len(parts), *parts[0].shape, dtype=torch.float64, device=device)
        for row, part in zip(whole, parts):
            row.copy_(part)
        return whole.unflatten(0, (2, -1))

    def mixture(self, start, frames):
        """(channels, frames)"""
        parts = self.references.values() if self.own_mixture is None else [self.own_mixture]
        return sum(x.read(start, min(frames, self.samples - start)) for x in parts)


def _signal(x):
    return x if hasattr(x, "read") else Held(x)
