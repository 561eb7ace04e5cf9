"""Separators that need no training: the mixture itself (the floor) and oracles (the ceilings)."""

import torch

from ..datasets.track import NOT_THE_SUM, left_over, rest_level
from ..errors import SepkitError, unknown, warn
from ..masks import KINDS, oracle_masks
from ..stems import STEMS
from ..stft import STFT
from ..wiener import expectation_maximization
from .base import Separator, share_remainder

#: The masks of `sepkit.masks`, and the multichannel Wiener filter.
ORACLES = (*KINDS, "mwf")


class MixtureSeparator(Separator):
    """The mixture as the estimate of every stem: the floor that any method must beat.

    Without references it claims the targets given here, by default the four of MUSDB18.
    """

    uses_references = True  # only their names

    def __init__(self, targets=STEMS, name: str = "mixture", residual: str | None = None):
        super().__init__(name, targets, residual=residual)

    def separate(self, mixture, references=None):
        """The mixture under the name of each reference, or of each target."""
        self._check(mixture)
        estimates = {target: mixture.clone() for target in references or self.targets}
        return share_remainder(mixture, estimates, self.residual)


class OracleSeparator(Separator):
    """Masks, or a Wiener filter, computed from the true stems: the ceiling of their kind.

    Parameters
    ----------
    kind : str
        One of `ORACLES`. ``"mwf"`` is one round of the multichannel Wiener filter over the
        true spectrograms, each source's place learnt from all the audio given at once.
    n_fft, hop : int
        Hann window and hop. 2048 and 1024 are those of SiSEC 2018's oracles
        (Stöter, Liutkus and Ito 2018); a hop of 512 gives slightly other ceilings.
    name : str, optional
        By default the kind.
    residual : None, "spread" or "residual"
    """

    uses_references = True

    def __init__(
        self,
        kind: str,
        n_fft: int = 2048,
        hop: int = 1024,
        name: str | None = None,
        residual: str | None = None,
    ):
        if kind not in ORACLES:
            raise unknown("oracle", kind, ORACLES)
        super().__init__(name or kind, residual=residual)
        self.kind, self.stft, self.steps = kind, STFT(n_fft, hop), (hop,)

    @torch.no_grad()
    def separate(self, mixture, references=None):
        """Estimates by the best masks or filters of this kind, which the references give."""
        self._check(mixture)
        self._check_references(mixture, references)
        spectrum = self.stft(mixture)  # (C, F, N)
        sources = torch.stack(
            [self.stft(r.to(mixture)) for r in references.values()]
        )  # (J, C, F, N)
        if self.kind == "mwf":
            separated = expectation_maximization(sources, spectrum, niter=1, frames_per_window=None)
        else:
            separated = oracle_masks(self.kind, sources, spectrum) * spectrum
        estimates = dict(zip(references, self.stft.inverse(separated, mixture.shape[-1])))
        return share_remainder(mixture, estimates, self.residual)

    def _check_references(self, mixture, references):
        if not references:
            raise SepkitError(
                f"{self.name} is an oracle: it needs the true stems; use sepkit evaluate "
                "with a data set, or a trained model"
            )
        for target, reference in references.items():
            if reference.shape != mixture.shape:
                raise SepkitError(
                    f"{self.name}: the reference {target!r} has shape {tuple(reference.shape)}, "
                    f"the mixture {tuple(mixture.shape)}; they must be equal"
                )
        # Masks share the mixture among the stems: what is in none of them ends up somewhere.
        level = rest_level(mixture, references.values())
        if level > NOT_THE_SUM:
            warn(left_over(level))

    def describe(self):
        """The kind of oracle and its STFT, beside what every separator says."""
        return {
            **super().describe(),
            "oracle": self.kind,
            "n_fft": self.stft.n_fft,
            "hop": self.stft.hop,
        }
