"""The base of all separators, and those that need no training: the floor and the ceilings.

Everything here is offered by `sepkit.separation`.
"""

import torch

from ..datasets.track import NOT_THE_SUM, left_over, rest_level
from ..errors import SepkitError, unknown, warn
from ..masks import KINDS, oracle_masks
from ..stems import STEMS
from ..stft import STFT
from ..wiener import expectation_maximization
from .streaming import check, residual_option, share_remainder


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
        What becomes of the part of the mixture that no estimate has; see
        `sepkit.separation.streaming.share_remainder`.
    uses_references : bool
        Whether `separate` makes use of true stems, where there are any.
    steps : tuple of int
        Samples after which its view of the audio repeats, the preferred first: chunks
        that start there are framed as the whole would be.
    device : torch.device
    """

    uses_references = False
    steps = ()

    def __init__(self, name, targets=None, sample_rate=None, channels=None, residual=None):
        self.name, self.targets = name, None if targets is None else tuple(targets)
        self.sample_rate, self.channels = sample_rate, channels
        self.residual = residual_option(residual)
        self.device = torch.device("cpu")

    def __repr__(self):
        rate = f"{self.sample_rate} Hz" if self.sample_rate else "any rate"
        return f"{type(self).__name__}({self.name!r}, {', '.join(self.targets or ['the references'])}, {rate})"

    def separate(self, mixture, references=None):
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

    def describe(self):
        """All that decides the estimates, as JSON can hold it: part of every score's provenance."""
        return {"kind": type(self).__name__, "name": self.name, "residual": self.residual}

    def _check(self, mixture):
        check(mixture)
        if self.channels not in (None, mixture.shape[0]):
            raise SepkitError(
                f"{self.name} takes {self.channels} channel(s), the mixture has {mixture.shape[0]}; use separation.separate_at"
            )


class MixtureSeparator(Separator):
    """The mixture as the estimate of every stem: the floor that any method must beat.

    Without references it claims the targets given here, by default the four of MUSDB18.
    """

    uses_references = True  # only their names

    def __init__(self, targets=STEMS, name="mixture", residual=None):
        super().__init__(name, targets, residual=residual)

    def separate(self, mixture, references=None):
        self._check(mixture)
        estimates = {target: mixture.clone() for target in references or self.targets}
        return share_remainder(mixture, estimates, self.residual)


class OracleSeparator(Separator):
    """Masks, or a Wiener filter, computed from the true stems: the ceiling of their kind.

    Parameters
    ----------
    kind : str
        One of `sepkit.masks.KINDS`; or ``"mwf"``, one round of the multichannel
        Wiener filter over the true spectrograms, each source's place learnt from
        all the audio given at once.
    n_fft, hop : int
        Hann window and hop. 2048 and 1024 are those of SiSEC 2018's oracles
        (Stöter, Liutkus and Ito 2018); a hop of 512 gives slightly other ceilings.
    name : str, optional
        By default the kind.
    residual : None, "spread" or "residual"
    """

    uses_references = True

    def __init__(self, kind, n_fft=2048, hop=1024, name=None, residual=None):
        if kind not in (*KINDS, "mwf"):
            raise unknown("oracle", kind, (*KINDS, "mwf"))
        super().__init__(name or kind, residual=residual)
        self.kind, self.stft, self.steps = kind, STFT(n_fft, hop), (hop,)

    @torch.no_grad()
    def separate(self, mixture, references=None):
        self._check(mixture)
        if not references:
            raise SepkitError(
                f"{self.name} is an oracle: it needs the true stems; use sepkit evaluate with a data set, or a trained model"
            )
        for target, reference in references.items():
            if reference.shape != mixture.shape:
                raise SepkitError(
                    f"{self.name}: the reference {target!r} has shape {tuple(reference.shape)}, "
                    f"the mixture {tuple(mixture.shape)}; they must be equal"
                )
        _tell_the_rest(mixture, references)
        spectrum = self.stft(mixture)
        sources = torch.stack(
            [self.stft(reference.to(mixture)) for reference in references.values()]
        )
        if self.kind == "mwf":
            separated = expectation_maximization(sources, spectrum, niter=1, frames_per_window=None)
        else:
            separated = oracle_masks(self.kind, sources, spectrum) * spectrum
        estimates = dict(zip(references, self.stft.inverse(separated, mixture.shape[-1])))
        return share_remainder(mixture, estimates, self.residual)

    def describe(self):
        return {
            **super().describe(),
            "oracle": self.kind,
            "n_fft": self.stft.n_fft,
            "hop": self.stft.hop,
        }


def _tell_the_rest(mixture, references):
    """Masks share the mixture among the stems: what is not in them is in no estimate's reference."""
    level = rest_level(mixture, references.values())
    if level > NOT_THE_SUM:
        warn(left_over(level))
