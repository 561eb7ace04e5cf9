"""Trained networks as a Separator, joined by the multichannel Wiener filter."""

import math
from functools import cached_property

import torch

from ..device import resolve_device
from ..errors import SepkitError
from ..files import digest
from ..models.base import Model
from ..models.checkpoints import hash_weights
from ..models.precision import runner
from ..stems import STEMS
from ..wiener import wiener
from .base import Separator, share_remainder

#: Target sets that make up a whole mixture: nothing is left for an unnamed source.
COMPLETE = (
    frozenset(STEMS),
    frozenset(("vocals", "accompaniment")),
    frozenset(("speech", "noise")),
)


class ModelSeparator(Separator):
    """Trained networks, one per target, joined by the multichannel Wiener filter.

    Spectral networks (with ``stft`` and ``magnitude``) are joined: each estimates
    a magnitude, and `sepkit.wiener.wiener` makes the complex spectrograms. Others
    are simply run. If the targets do not make up a whole mixture (`COMPLETE`), or
    a residual target is asked for, the filter gets one more source for the rest.

    Parameters
    ----------
    models : Module or dict of str to Module
        As `sepkit.models.load` returns them. All of one sample rate and channel count.
    name : str, optional
        By default the model's.
    device : str or torch.device
    niter : int, optional
        Rounds of the filter. 0: magnitudes with the phase of the mixture. By default
        1 where the targets make up a whole mixture, else 0.
    softmask : bool
        Start the filter from magnitude ratios instead; for complete targets only.
    residual : None, "spread" or "residual"
    frames_per_window : int or None
        Of the filter.
    precision, compile
        How the networks are run, see `sepkit.models.precision.runner`.

    Raises
    ------
    SepkitError
        If the networks do not fit together, the device is missing, or an option
        does not apply.
    """

    def __init__(
        self,
        models: Model | dict[str, Model],
        name: str | None = None,
        device: str | torch.device = "auto",
        niter: int | None = None,
        softmask: bool = False,
        residual: str | bool | None = None,
        frames_per_window: int | None = 300,
        precision: str | None = None,
        compile: bool = False,
    ):
        nets = _fitting_networks(models)
        targets = _ordered_targets(nets)
        super().__init__(
            name or nets[0].name, targets, nets[0].sample_rate, nets[0].channels, residual
        )
        self.nets = [net.eval() for net in nets]
        self.to(device)
        self.spectral, self.complete = joinable(nets), frozenset(targets) in COMPLETE
        self.precision, method = precision, "magnitude" if self.spectral else "forward"
        self.runners = [runner(net, method, precision, compile) for net in self.nets]
        self.niter = self._checked_rounds(niter)
        self.softmask, self.frames_per_window = softmask, frames_per_window
        if softmask and not (self.spectral and self.complete):
            raise SepkitError(
                f"softmask shares the mixture among all targets, but {self.name} has only "
                f"{', '.join(targets)}; leave it out"
            )
        hop = math.lcm(*(net.step for net in self.nets))
        self.steps = (hop * frames_per_window, hop) if self.niter and frames_per_window else (hop,)

    def to(self, device: str | torch.device) -> None:
        """Move the networks; see `Separator.to`."""
        self.device = resolve_device(device)
        for net in self.nets:
            net.to(self.device)

    def _checked_rounds(self, niter):
        if niter is None:
            return int(self.complete and self.spectral)
        if niter != int(niter) or niter < 0:
            raise SepkitError(f"niter={niter}: expected a whole number of 0 or more")
        return int(niter)

    @torch.no_grad()
    def separate(self, mixture, references=None):
        """Estimates of all targets; audio shorter than one window is padded, and cut back."""
        self._check(mixture)
        samples = mixture.shape[-1]
        x = mixture.to(self.device, torch.float32)  # (C, T)
        estimates = self._filtered(x) if self.spectral else self._direct(x)
        estimates = {
            target: estimates[target][..., :samples].to(mixture) for target in self.targets
        }
        return share_remainder(mixture, estimates, self.residual)

    def _filtered(self, x):
        """{target: (C, T)} by the Wiener filter over the networks' magnitudes."""
        stft, x = self.nets[0].stft, self.nets[0].pad(x)  # (C, T), at least one window
        spectrum = stft(x).contiguous()  # (C, F, N), complex
        magnitude = spectrum.abs()
        # (J, C, F, N), filled one by one: each network needs as much memory again.
        magnitudes = magnitude.new_empty(len(self.nets), *magnitude.shape)
        for run, estimate in zip(self.runners, magnitudes):
            estimate.copy_(run(magnitude[None])[0])
        del magnitude
        rest = self.niter > 0 and (self.residual == "residual" or not self.complete)
        # (J, C, F, N), with one more source if there is a rest
        separated = wiener(
            magnitudes, spectrum, self.niter, self.softmask, rest, self.frames_per_window
        )
        del magnitudes, spectrum
        names = [net.targets[0] for net in self.nets]
        # Channel by channel, for half the memory.
        return {
            name: torch.cat([stft.inverse(c[None], x.shape[-1]) for c in y])  # (C, T)
            for name, y in zip(names, separated)
        }

    def _direct(self, x):
        """{target: (C, T)} as the networks give them."""
        estimates = {}
        for net, run in zip(self.nets, self.runners):
            out = run(x[None])  # {target: (1, C, T)}, or the one target's
            out = out if isinstance(out, dict) else {net.targets[0]: out}
            estimates.update({target: y[0] for target, y in out.items()})
        return estimates

    @cached_property
    def weights(self) -> str:
        """The first 16 digits of the SHA-256 of all weights."""
        entries = (
            (f"{net.targets} {key}", value)
            for net in self.nets
            for key, value in net.state_dict().items()
        )
        return hash_weights(entries)[:16]

    @property
    def _settings(self):
        """A digest of what the networks are built with: not all of it shows in the weights."""
        built = [[type(net).__name__, net.settings] for net in self.nets]
        return digest(built)[:16]

    def describe(self):
        """Weights and settings of the networks, the filter's options, and the models' cautions."""
        filtering = {
            "niter": self.niter,
            "softmask": self.softmask,
            "frames_per_window": self.frames_per_window,
        }
        cautions = sorted({net.caution for net in self.nets if net.caution})
        return {
            **super().describe(),
            "weights": self.weights,
            "settings": self._settings,
            "targets": list(self.targets),
            **(filtering if self.spectral else {}),
            **({"precision": self.precision} if self.precision else {}),
            **({"caution": "; ".join(cautions)} if cautions else {}),
        }


def _fitting_networks(models):
    """The networks as a list; refuses none, and those of different rates or channels."""
    if isinstance(models, Model):
        models = {"+".join(models.targets): models}
    if not models:
        raise SepkitError(
            "ModelSeparator: no models; expected a network, or a dict of target to network"
        )
    for attribute in ("sample_rate", "channels"):
        values = {target: getattr(net, attribute) for target, net in models.items()}
        if len(set(values.values())) > 1:
            found = ", ".join(f"{target}: {value}" for target, value in values.items())
            raise SepkitError(
                f"models of different {attribute.replace('_', ' ')} cannot be joined ({found}); "
                "use one kind for all targets"
            )
    return list(models.values())


def _ordered_targets(nets):
    """All targets, those of MUSDB18 first; refuses two networks for one."""
    targets = [target for net in nets for target in net.targets]
    if len(set(targets)) < len(targets):
        raise SepkitError(
            f"two models for one target among {', '.join(targets)}; give one a target"
        )
    return sorted(targets, key=lambda t: STEMS.index(t) if t in STEMS else len(STEMS))


def joinable(nets):
    """Whether all networks estimate one magnitude each, over one and the same STFT."""
    if not all(n.estimates_magnitude for n in nets):
        return False
    layouts = {(n.stft.n_fft, n.stft.hop, n.stft.window, n.stft.center) for n in nets}
    return len(layouts) == 1 and all(len(n.targets) == 1 for n in nets)
