"""What every network of the kit is: the contract of `Model`, and the card that describes it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import SepkitError, unknown
from ..stft import STFT
from .checkpoints import fill
from .losses import LOSSES

MAGNITUDE, SPECTROGRAM, WAVEFORM = "magnitude spectrogram", "complex spectrogram", "waveform"


@dataclass(frozen=True)
class ModelCard:
    """What a network is, for ``sepkit models`` and ``sepkit train --model``."""

    #: Authors, where it was published, and the year.
    paper: str
    #: What it looks at: `MAGNITUDE`, `SPECTROGRAM`, `WAVEFORM`, or a few words.
    domain: str
    #: Number of parameters with the default settings.
    parameters: int
    #: Settings by the name of a size. The defaults are the paper's; "student" is for training one
    #: target on one CPU core in minutes.
    sizes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: How a size is trained: "student" as changes of `sepkit.training.STUDENT`, "paper" as changes
    #: of ``Recipe()``, which are Open-Unmix's.
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Why there is no recipe "paper": what of the authors' recipe the training loop cannot do.
    lacking: str = ""


class Model(nn.Module):
    """A network that separates: audio of a mixture in, audio of one or several targets out.

    A subclass hands all its arguments on, first of all: ``super().__init__(locals())``. Among
    them are ``sample_rate``, ``channels``, ``loss``, and ``target`` or ``targets``. It has
    `forward`, and `loss` where the loss is not one of waveforms.

    Parameters
    ----------
    arguments : dict
        The ``locals()`` of the subclass's constructor: what rebuilds the network.

    Attributes
    ----------
    settings : dict
        `arguments`, for checkpoints. JSON can hold them.
    targets : tuple of str
        The stems that the network estimates.
    sample_rate, channels : int
        The audio that the network is for.
    loss_name : str
        What training minimises, see `set_loss`.
    stft : STFT or None
        Of a network that works on spectrograms.
    min_samples : int
        Samples of one window: shorter audio is padded (`pad`), shorter training chunks refused.
    step : int
        Samples after which the network's view of the audio repeats: chunks of long audio start at
        multiples of it.
    caution : str or None
        What speaks against scores with these weights.

    Notes
    -----
    B, J, C, T: batch, targets, channels, samples.
    """

    #: Key in `sepkit.models.MODELS`.
    name: ClassVar[str]
    card: ClassVar[ModelCard]
    #: What `set_loss` takes.
    losses: ClassVar[tuple[str, ...]] = tuple(LOSSES)
    #: Kind and range of the settings that `sepkit.models.settings` does not know, or knows
    #: otherwise.
    kinds: ClassVar[Mapping[str, Any]] = {}
    #: Settings that say how the network is run, and may differ from those it was trained with.
    run_settings: ClassVar[tuple[str, ...]] = ()
    #: Whether there is a method ``magnitude``, from the mixture's magnitude (B, C, F, N) over
    #: `stft` to the target's: such networks are joined by the Wiener filter.
    estimates_magnitude: ClassVar[bool] = False
    #: What `set_precision` takes, of a network with a way of its own to compute faster.
    precisions: ClassVar[tuple[str, ...]] = ()

    def __init__(self, arguments: Mapping[str, Any]):
        super().__init__()
        self.settings = {
            name: _as_in_json(value)
            for name, value in arguments.items()
            if name not in ("self", "__class__")
        }
        self.sample_rate: int = self.settings["sample_rate"]
        self.channels: int = self.settings["channels"]
        self.targets: tuple[str, ...] = tuple(
            self.settings.get("targets") or [self.settings["target"]]
        )
        self.stft: STFT | None = None
        self.min_samples, self.step = 1, 1
        self.caution: str | None = None
        self.set_loss(self.settings["loss"])

    def set_loss(self, name: str) -> None:
        """Choose what training minimises, one of `losses`."""
        if name not in self.losses:
            raise unknown("loss", name, self.losses)
        self.settings["loss"] = self.loss_name = name

    def set_precision(self, precision: str) -> None:
        """Choose in which precision the network computes, one of `precisions`."""
        if precision not in self.precisions:
            raise unknown("precision", precision, self.precisions)
        self.settings["precision"] = self.precision = precision

    def forward(self, mixture: Tensor) -> Tensor | dict[str, Tensor]:
        """Separate.

        Parameters
        ----------
        mixture : Tensor
            (B, C, T), any T from 1 up.

        Returns
        -------
        Tensor (B, C, T), or dict of str to Tensor (B, C, T)
            The estimate of the one target; with several targets, one each by its name.

        Raises
        ------
        SepkitError
            If the mixture is empty, or has another number of channels.
        """
        raise NotImplementedError

    def loss(self, mixture: Tensor, target: Tensor) -> Tensor:
        """What training minimises, a scalar: here one of `sepkit.models.losses` on the waveforms.

        Parameters
        ----------
        mixture : Tensor
            (B, C, T), with T at least `min_samples`.
        target : Tensor
            (B, C, T) for a network with one target; (B, J, C, T) for one with several,
            in the order of ``targets``.
        """
        targets = self.check_target(mixture, target)  # (B, J, C, T)
        estimates = self(mixture)  # (B, C, T), or one such tensor per target
        if isinstance(estimates, dict):
            estimates = torch.stack([estimates[name] for name in self.targets], 1)
        return LOSSES[self.loss_name](estimates.view_as(targets), targets, mixture)

    def fit_input(self, mixtures: Iterable[Tensor]) -> None:
        """Take statistics of training mixtures, (C, T) each, before training; by default none."""

    def load_published(self, state: Mapping[str, Any]) -> None:
        """Take over a state dict in the layout of the authors' code.

        Raises
        ------
        SepkitError
            Naming what is missing, left over, of another shape, NaN or infinite.
        """
        fill(self, self.rename_published(state), "the published weights")

    def rename_published(self, state: Mapping[str, Any]) -> dict[str, Tensor]:
        """A state dict of the authors under the names of this network: by default they are equal.

        Names that are not known stay as they are, for `load_published` to complain about.
        """
        return dict(state)

    def check(self, mixture: Tensor) -> None:
        """Raise a `SepkitError` unless a mixture is (B, C, T) with the right C and T above 0."""
        if mixture.ndim != 3 or mixture.shape[1] != self.channels or mixture.numel() == 0:
            raise SepkitError(
                f"{self.name} was built for {self.channels} channel(s): got a mixture of shape "
                f"{tuple(mixture.shape)}, expected (batch, {self.channels}, samples)"
            )

    def check_target(self, mixture: Tensor, target: Tensor) -> Tensor:
        """The target of a training chunk as (B, J, C, T), after a look at both."""
        self.check(mixture)
        batch, channels, samples = mixture.shape
        count = len(self.targets)
        expected = (batch, channels, samples) if count == 1 else (batch, count, channels, samples)
        if target.shape != expected:
            raise SepkitError(
                f"{self.name} for {', '.join(self.targets)}: the loss takes a target of shape "
                f"{expected} with a mixture of shape {tuple(mixture.shape)}, not "
                f"{tuple(target.shape)}"
            )
        if samples < self.min_samples:
            raise SepkitError(
                f"chunks of {samples} samples are shorter than one window of {self.min_samples}; "
                "use longer chunks"
            )
        return target.view(batch, count, channels, samples)

    def pad(self, mixture: Tensor) -> Tensor:
        """A mixture with silence behind it, if it is shorter than one window."""
        return functional.pad(mixture, (0, max(0, self.min_samples - mixture.shape[-1])))


def _as_in_json(value: Any) -> Any:
    return [_as_in_json(part) for part in value] if isinstance(value, (list, tuple)) else value


def positive(name: str, value: Any) -> None:
    """Raise a `SepkitError` unless a setting is a whole number of 1 or more."""
    if isinstance(value, bool) or value != int(value) or value < 1:
        raise SepkitError(f"{name}={value}: a whole number of 1 or more was expected")


def one_of(name: str, value: str, known: Iterable[str]) -> None:
    """Raise a `SepkitError` unless a setting is one of those that exist."""
    if value not in known:
        raise unknown(name, value, known)
