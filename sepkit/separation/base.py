"""The base of all separators, and what each of them does with a mixture and what is left of it."""

from typing import Any

import torch

from .. import audio
from ..errors import SepkitError, unknown

RESIDUALS = ("spread", "residual")


class Separator:
    """The base of every separator; a kind of separator fills in `separate`.

    Attributes
    ----------
    name : str
        What tables call it.
    targets : tuple of str or None
        The stems it estimates; None for "those of the references".
    sample_rate, channels : int or None
        What `separate` takes; None for any.
    residual : None, "spread" or "residual"
        What becomes of the part of the mixture that no estimate has; see `share_remainder`.
    uses_references : bool
        Whether `separate` makes use of true stems, where there are any.
    steps : tuple of int
        Periods of its view of the audio, in samples, the preferred one first: chunks that
        start at multiples of it are framed as the whole would be.
    rest : str or None
        The target that is the mixture less all others, at any sample rate.
    device : torch.device
    """

    uses_references = False
    steps: tuple[int, ...] = ()
    rest: str | None = None

    def __init__(
        self,
        name: str,
        targets=None,
        sample_rate: int | None = None,
        channels: int | None = None,
        residual: str | bool | None = None,
    ):
        self.name, self.targets = name, None if targets is None else tuple(targets)
        self.sample_rate, self.channels = sample_rate, channels
        self.residual = residual_option(residual)
        self.device = torch.device("cpu")

    def __repr__(self):
        targets = ", ".join(self.targets or ["the references"])
        rate = f"{self.sample_rate} Hz" if self.sample_rate else "any rate"
        return f"{type(self).__name__}({self.name!r}, {targets}, {rate})"

    def to(self, device: str | torch.device) -> None:
        """Work on this device from now on, if there is something to move: networks."""

    def separate(
        self, mixture: torch.Tensor, references: dict[str, torch.Tensor] | None = None
    ) -> dict[str, torch.Tensor]:
        """Estimate the stems of a mixture that has this separator's rate and channels.

        Other rates and channels: `separate_at`. Long recordings: `stream`, `separate_file`.

        Parameters
        ----------
        mixture : Tensor (channels, samples)
        references : dict of str to Tensor (channels, samples), optional
            The true stems. Only oracles read them; the mixture as an estimate takes
            their names.

        Returns
        -------
        dict of str to Tensor (channels, samples)

        Raises
        ------
        SepkitError
            If the mixture is empty, not finite or of another number of channels; if
            an oracle gets no references, or they do not fit the mixture.
        """
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """All that decides the estimates, as JSON can hold it: part of every score's provenance."""
        return {"kind": type(self).__name__, "name": self.name, "residual": self.residual}

    def _check(self, mixture):
        check_mixture(mixture)
        if self.channels not in (None, mixture.shape[0]):
            raise SepkitError(
                f"{self.name} takes {self.channels} channel(s), the mixture has "
                f"{mixture.shape[0]}; use separation.separate_at"
            )


def check_mixture(mixture: torch.Tensor, name: str = "the mixture") -> None:
    """Raise a `SepkitError` unless `mixture` is audio (1 or 2 channels, samples) without NaN."""
    if (
        not isinstance(mixture, torch.Tensor)
        or not mixture.is_floating_point()
        or mixture.ndim != 2
    ):
        found = tuple(mixture.shape) if hasattr(mixture, "shape") else type(mixture).__name__
        raise SepkitError(f"{name}: expected a float tensor (channels, samples), not {found}")
    if not 1 <= mixture.shape[0] <= audio.MAX_CHANNELS:
        raise SepkitError(
            f"{name} has {mixture.shape[0]} channels; "
            "expected (channels, samples) with 1 or 2 channels"
        )
    if mixture.shape[1] == 0:
        raise SepkitError(f"{name} holds no samples (zero length)")
    if not torch.isfinite(mixture).all():
        raise SepkitError(f"{name} holds NaN or infinite samples; mend the audio first")


def share_remainder(
    mixture: torch.Tensor, estimates: dict[str, torch.Tensor], residual: str | None
) -> dict[str, torch.Tensor]:
    """Put what the estimates leave of the mixture where the option says.

    Parameters
    ----------
    mixture : Tensor
    estimates : dict of str to Tensor
    residual : None, "spread" or "residual"
        None changes nothing. ``"spread"`` adds an equal part of the remainder to
        every estimate, ``"residual"`` makes it a target of that name: either way
        the estimates then sum to the mixture.
    """
    if residual is None:
        return estimates
    estimates = {target: estimate for target, estimate in estimates.items() if target != "residual"}
    rest = mixture - sum(estimates.values())
    if residual == "residual":
        return {**estimates, "residual": rest}
    return {target: estimate + rest / len(estimates) for target, estimate in estimates.items()}


def residual_option(value: str | bool | None) -> str | None:
    """None, "spread" or "residual"; True means "spread"."""
    value = {True: "spread", False: None}[value] if isinstance(value, bool) else value
    if value is not None and value not in RESIDUALS:
        raise unknown("residual option", value, RESIDUALS)
    return value
