"""Networks that hear mono, and at a lower rate, as a separator of stereo at 44.1 kHz."""

from typing import Any

import torch

from .. import audio
from ..errors import SepkitError
from ..models.base import Model
from ..stems import STEMS
from ..stft import STFT
from ..validation import Number, checked
from .base import share_remainder
from .networks import ModelSeparator, joinable

RATE = 44100
#: RMS that the network hears, whatever the recording's: near that of its training mixtures.
LEVEL = 0.06
#: Quieter recordings are not made louder any further.
_FAINT = 1e-3
#: Exponent of the mask, whose base is at most 1. With 2 it is a ratio of energies, as a Wiener
#: filter's, and lets less of the instruments through where the network is in doubt.
EXPONENT = 2.0
#: Share of the network's band that a resampler leaves whole.
_WHOLE = 0.9
#: From this share of the band on, its mean mask stands for what the network does not hear.
_TOP = 0.73
#: Masks with a smaller sum do not say whose a bin is: it is shared evenly.
_NOTHING = 1e-12


class MonoMaskSeparator(ModelSeparator):
    """One target and the rest, or four stems, by masks that all channels share.

    The networks hear the mean of the channels at their own rate, at an RMS of `LEVEL`. A mask, at
    most 1, is raised to `EXPONENT` and scales the bins of every channel in a spectrogram of the
    recording with a window and hop as long in seconds, so that frames and bins fall on each
    other. Above what a network hears, its mask is the root of the energy that it lets through
    from 8 to 10 kHz. The rest is the mixture less the target. With a network for each of four
    stems the vocals are the same as without the other three, which share the rest: each in the
    proportion of its mask.

    On the eight mixes of `sepkit.datasets.real_mixes` the vocals of open-unmix-voices have a
    uSDR of 7.1 dB that way, 5.6 with an exponent of 1, and 4.5 channel by channel. With an
    earlier training, at 4.8 and 4.1, the mean of the channels, where a singer in the middle
    stands out most, was worth 0.3 dB, the level that the network knows 0.3, the mask's bound
    0.1, what becomes of the highest band 0.02.

    Parameters
    ----------
    models : Model, or dict of str to Model
        Networks as `fits` wants them.
    name, device, residual, precision, compile
        As for `ModelSeparator`.
    niter : None or 0
        There is no Wiener filter: with the earlier training it took away 0.2 dB.
    exponent : float
        Of the mask: 1 leaves it as the network gives it.

    Raises
    ------
    SepkitError
        As `ModelSeparator`; and for a network that does not fit, or another `niter`.
    """

    def __init__(
        self,
        models: Model | dict[str, Model],
        name: str | None = None,
        device: str | torch.device = "auto",
        niter: int | None = None,
        residual: str | bool | None = None,
        precision: str | None = None,
        compile: bool = False,
        exponent: float = EXPONENT,
    ):
        super().__init__(
            models, name, device, 0, residual=residual, precision=precision, compile=compile
        )
        self.exponent = float(checked("exponent", exponent, Number(0.25, 4, whole=False)))
        if not fits(self.nets):
            raise SepkitError(
                f"{self.name} is no mono network of one target at a part of {RATE} Hz that masks a "
                "magnitude, nor one for each of four stems; use ModelSeparator"
            )
        if niter:
            raise SepkitError(
                f"niter={niter}: {self.name} masks all channels alike, without a Wiener filter; "
                "leave it out"
            )
        net = self.nets[0]
        self.times = RATE // net.sample_rate
        self.stft = STFT(net.stft.n_fft * self.times, net.stft.hop * self.times)
        self.sample_rate, self.channels = RATE, None
        if len(self.nets) == 1:
            (target,) = net.targets
            self.rest = "accompaniment" if target == "vocals" else f"no_{target}"
            self.targets = (target, self.rest)
        self.steps = (net.step * self.times,)

    @torch.no_grad()
    def separate(self, mixture, references=None):
        """Estimates of all targets, which sum to the mixture."""
        self._check(mixture)
        samples, net = mixture.shape[-1], self.nets[0]
        x = mixture.to(self.device, torch.float32)  # (C, T)
        # At both rates a whole number of hops: as many frames in both spectrograms.
        hops = -(-max(samples, net.min_samples * self.times) // self.stft.hop)
        x = torch.nn.functional.pad(x, (0, hops * self.stft.hop - samples))  # (C, T')
        spectrum = self.stft(x)  # (C, F, N), complex
        estimates = {}
        for net, mask in zip(self.nets, self._masks(x.mean(0, keepdim=True))):  # (F, N)
            masked = self.stft.inverse(spectrum * mask, x.shape[-1])  # (C, T')
            estimates[net.targets[0]] = masked[..., :samples].to(mixture)
        if self.rest:
            estimates[self.rest] = mixture - estimates[self.targets[0]]
        estimates = {target: estimates[target] for target in self.targets}
        return share_remainder(mixture, estimates, self.residual)

    def _masks(self, mono):
        """The masks of all bins of the recording, (J, F, N), from its mono mean (1, T)."""
        level = mono.square().mean().sqrt().clamp_min(_FAINT)
        heard = audio.resample(LEVEL / level * mono, RATE, self.nets[0].sample_rate)  # (1, T / k)
        magnitude = self.nets[0].stft(heard).abs()  # (1, F / k, N)
        estimates = [run(magnitude[None])[0] for run in self.runners]  # J times (1, F / k, N)
        ratios = torch.cat(estimates) / magnitude.clamp_min(1e-8)  # (J, F / k, N)
        masks = self._shared(ratios.clamp(0, 1) ** self.exponent)  # (J, F / k, N)
        whole, top = (int(share * masks.shape[1]) for share in (_WHOLE, _TOP))
        energy = magnitude[0, top:whole].square()  # (F', N), of the networks' highest frequencies
        through = (masks[:, top:whole].square() * energy).sum(1)  # (J, N)
        above = self._shared((through / energy.sum(0).clamp_min(1e-12)).sqrt())  # (J, N)
        above = above[:, None].expand(-1, self.stft.bins - whole, -1)  # (J, F - F', N)
        return torch.cat([masks[:, :whole], above], 1)

    def _shared(self, masks):
        """Masks (J, ...) that add up to 1: the vocals keep theirs, the others share the rest."""
        if len(masks) == 1:
            return masks
        vocals = torch.tensor([net.targets[0] == "vocals" for net in self.nets])
        others = masks[~vocals]  # (J - 1, ...)
        total = others.sum(0)  # (...)
        even = torch.full_like(others, 1 / len(others))
        shares = torch.where(total > _NOTHING, others / total.clamp_min(_NOTHING), even)
        masks = masks.clone()
        masks[~vocals] = (1 - masks[vocals]) * shares  # (J - 1, ...)
        return masks

    def describe(self) -> dict[str, Any]:
        """As `ModelSeparator.describe`, with how the masks are used."""
        mask = f"of the mean at {LEVEL} RMS, over all channels, to the power of {self.exponent:g}"
        return {**super().describe(), "mask": mask}


def fits(networks: list[Model]) -> bool:
    """Whether these are mono networks that mask a magnitude, at a whole part of 44.1 kHz.

    One of any target; or one for each of four stems, all with the same STFT.
    """
    if not joinable(networks):
        return False
    net = networks[0]
    targets = {target for net in networks for target in net.targets}
    return (
        (len(networks) == 1 or targets == set(STEMS))
        and net.channels == 1
        and net.sample_rate < RATE
        and RATE % net.sample_rate == 0
    )
