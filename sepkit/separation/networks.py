"""Separators: whatever turns a mixture into estimates of its stems.

A trained network, an oracle mask and "the mixture itself" have the same shape,
so that the same players, metrics and tables take any of them. Chapter 02 uses
the oracles, chapter 04 the networks; `separate_file` takes files of any length.

>>> separator = get("open-unmix")                        # doctest: +SKIP
>>> separate_file("song.mp3", separator, "separated")    # doctest: +SKIP
"""

import hashlib
import inspect
import math
from functools import cached_property, partial
from pathlib import Path

import torch

from .. import models
from ..device import resolve_device
from ..errors import SepkitError, unknown
from ..files import digest
from ..masks import KINDS
from ..models.downloads import manifest
from ..models.precision import runner
from ..stft import STFT
from ..wiener import wiener
from . import blind
from .base import STEMS, MixtureSeparator, OracleSeparator, Separator
from .files import separate_file, separate_files
from .inputs import find_recordings, output_folders
from .streaming import separate_at, share_remainder, stream

__all__ = [
    "ModelSeparator",
    "MixtureSeparator",
    "OracleSeparator",
    "Separator",
    "find_recordings",
    "get",
    "known",
    "output_folders",
    "separate_at",
    "separate_file",
    "separate_files",
    "stream",
]

#: Target sets that make up a whole mixture: nothing is left for an unnamed source.
COMPLETE = (
    frozenset(STEMS),
    frozenset(("vocals", "accompaniment")),
    frozenset(("speech", "noise")),
)


class ModelSeparator(Separator):
    """Trained networks, one a target, joined by the multichannel Wiener filter.

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
        models,
        name=None,
        device="auto",
        niter=None,
        softmask=False,
        residual=None,
        frames_per_window=300,
        precision=None,
        compile=False,
    ):
        if isinstance(models, torch.nn.Module):
            models = {"+".join(models.targets): models}
        if not models:
            raise SepkitError(
                "ModelSeparator: no models; expected a network, or a dict of target to network"
            )
        nets = list(models.values())
        for what in ("sample_rate", "channels"):
            values = {target: getattr(net, what) for target, net in models.items()}
            if len(set(values.values())) > 1:
                told = ", ".join(f"{target}: {value}" for target, value in values.items())
                raise SepkitError(
                    f"models of different {what.replace('_', ' ')} cannot be joined ({told}); use one kind for all targets"
                )
        targets = tuple(target for net in nets for target in net.targets)
        if len(set(targets)) < len(targets):
            raise SepkitError(
                f"two models for one target among {', '.join(targets)}; give one a target"
            )
        targets = tuple(sorted(targets, key=lambda t: STEMS.index(t) if t in STEMS else len(STEMS)))
        super().__init__(
            name or getattr(nets[0], "name", "model"),
            targets,
            nets[0].sample_rate,
            nets[0].channels,
            residual,
        )
        self.device = resolve_device(device)
        self.nets = [net.to(self.device).eval() for net in nets]
        self.spectral, self.complete = _joinable(self.nets), frozenset(targets) in COMPLETE
        self.precision, method = precision, "magnitude" if self.spectral else "forward"
        self.runners = [runner(net, method, precision, compile) for net in self.nets]
        if niter is not None and (niter != int(niter) or niter < 0):
            raise SepkitError(f"niter={niter}: expected a whole number of 0 or more")
        self.niter = (1 if self.complete and self.spectral else 0) if niter is None else int(niter)
        self.softmask, self.frames_per_window = softmask, frames_per_window
        hop = math.lcm(
            *(
                net.stft.hop if hasattr(net, "stft") else getattr(net, "step", 1)
                for net in self.nets
            )
        )
        self.steps = (hop * frames_per_window, hop) if self.niter and frames_per_window else (hop,)
        if softmask and not (self.spectral and self.complete):
            raise SepkitError(
                f"softmask shares the mixture among all targets, but {self.name} has only {', '.join(targets)}; leave it out"
            )

    @torch.no_grad()
    def separate(self, mixture, references=None):
        self._check(mixture)
        samples = mixture.shape[-1]
        window = max((net.stft.n_fft for net in self.nets if hasattr(net, "stft")), default=1)
        x = torch.nn.functional.pad(
            mixture.to(self.device, torch.float32), (0, max(0, window - samples))
        )
        estimates = self._filtered(x) if self.spectral else self._direct(x)
        estimates = {
            target: estimates[target][..., :samples].to(mixture) for target in self.targets
        }
        return share_remainder(mixture, estimates, self.residual)

    def _filtered(self, x):
        stft = self.nets[0].stft
        spectrum = stft(x).contiguous()  # (C, F, N), complex
        heard = spectrum.abs()
        magnitudes = heard.new_empty(
            len(self.nets), *heard.shape
        )  # (J, C, F, N), filled one by one: each net needs as much again
        for run, magnitude in zip(self.runners, magnitudes):
            magnitude.copy_(run(heard[None])[0])
        del heard
        rest = self.niter > 0 and (self.residual == "residual" or not self.complete)
        separated = wiener(
            magnitudes, spectrum, self.niter, self.softmask, rest, self.frames_per_window
        )
        del magnitudes, spectrum
        names = [net.targets[0] for net in self.nets]
        # Channel by channel, for half the memory.
        return {
            name: torch.cat([stft.inverse(c[None], x.shape[-1]) for c in y])
            for name, y in zip(names, separated)
        }

    def _direct(self, x):
        estimates = {}
        for net, run in zip(self.nets, self.runners):
            out = run(x[None])
            out = out if isinstance(out, dict) else {net.targets[0]: out}
            estimates.update({target: y[0] for target, y in out.items()})
        return estimates

    @cached_property
    def weights(self):
        """The first 16 digits of the SHA-256 of all weights."""
        sha256 = hashlib.sha256()
        for net in self.nets:
            for key, value in net.state_dict().items():
                sha256.update(f"{net.targets} {key}".encode())
                sha256.update(value.detach().cpu().contiguous().numpy().tobytes())
        return sha256.hexdigest()[:16]

    @property
    def _settings(self):
        """A digest of what the networks are built with: not all of it shows in the weights."""
        made = [[type(net).__name__, getattr(net, "settings", None)] for net in self.nets]
        return digest(made)[:16]

    def describe(self):
        filtering = {
            "niter": self.niter,
            "softmask": self.softmask,
            "frames_per_window": self.frames_per_window,
        }
        cautions = sorted({net.caution for net in self.nets if getattr(net, "caution", None)})
        return {
            **super().describe(),
            "weights": self.weights,
            "settings": self._settings,
            "targets": list(self.targets),
            **(filtering if self.spectral else {}),
            **({"precision": self.precision} if self.precision else {}),
            **({"caution": "; ".join(cautions)} if cautions else {}),
        }


def _joinable(nets):
    """Whether all networks estimate one magnitude each, over one and the same STFT."""
    if not all(
        callable(getattr(n, "magnitude", None)) and isinstance(getattr(n, "stft", None), STFT)
        for n in nets
    ):
        return False
    layouts = {(n.stft.n_fft, n.stft.hop, n.stft.window, n.stft.center) for n in nets}
    return len(layouts) == 1 and all(len(n.targets) == 1 for n in nets)


#: name -> what makes it
METHODS = {
    "mixture": MixtureSeparator,
    **{kind: partial(OracleSeparator, kind) for kind in (*KINDS, "mwf")},
    **blind.METHODS,
}
_NETWORK_OPTIONS = ("niter", "softmask", "frames_per_window", "precision", "compile")


def known():
    """Every name that `get` takes."""
    return [*METHODS, *models.MODELS, *manifest()]


def get(name_or_path, device="auto", weights="shipped", **options):
    """A separator by its name, or from its checkpoints.

    Parameters
    ----------
    name_or_path : str or Path
        ``"mixture"``; an oracle (``"ibm"``, ``"irm1"``, ``"irm2"``, ``"psm"``,
        ``"crm"``, ``"mwf"``); a method of `sepkit.separation.blind`, such as ``"ica"``; a model's
        name, such as ``"open-unmix"``, for its checkpoints; a published set of weights,
        such as ``"umxhq"``; a checkpoint file; or a folder of them, one a target.
    device : str
        For networks; ``"auto"`` takes the fastest there is.
    weights : {"shipped", "published"}
        Which checkpoints a model's name stands for.
    **options
        Of the separator's class: ``name``, ``residual``; for networks also ``niter``,
        ``softmask``, ``frames_per_window``, ``precision`` and ``compile``, which the others ignore; for oracles
        ``n_fft`` and ``hop``; for blind methods those of their classes. A `residual` of True means ``"spread"``.

    Returns
    -------
    Separator

    Raises
    ------
    SepkitError
        For unknown names and options, listing what exists; for checkpoints that
        are missing or damaged.
    """
    name = str(name_or_path)
    if name in METHODS:
        make = METHODS[name]
        options = {key: value for key, value in options.items() if key not in _NETWORK_OPTIONS}
    elif Path(name_or_path).exists() or name in models.MODELS or name in manifest():
        given = name if not Path(name_or_path).exists() else _called(Path(name_or_path))
        loaded = models.load(name_or_path, weights)
        make, options = partial(ModelSeparator, loaded, device=device), {"name": given, **options}
    else:
        raise SepkitError(
            f"{unknown('separator', name, known())}; or give a checkpoint file or a folder of them"
        )
    allowed = [
        p for p in inspect.signature(make).parameters if p not in ("kind", "models", "device")
    ]
    for option in options:
        if option not in allowed:
            raise unknown(f"option of {name}", option, allowed)
    return make(**options)


def _called(path):
    """What tables call a checkpoint: a folder's name, or folder/file without suffix."""
    path = path.resolve()
    return path.name if path.is_dir() else f"{path.parent.name}/{path.stem}"
