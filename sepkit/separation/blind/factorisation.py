"""Non-negative matrix factorisation: a spectrogram as a few spectra that come and go.

``|X| = W H`` with K spectra in the columns of W (bins, K) and when they sound in the
rows of H (K, frames), none of it negative. Lee and Seung, "Learning the parts of
objects by non-negative matrix factorization", Nature 1999; for music Smaragdis and
Brown, WASPAA 2003. scikit-learn computes it. Chapter 03 uses it.
"""

import hashlib
import warnings

import torch

from ...errors import SepkitError
from ...files import digest
from ...stft import STFT
from ..base import share_remainder
from .assignment import ComponentSeparator
from .masking import MaskSeparator, loudness, wiener_masks


def factorise(
    magnitude: torch.Tensor, components: int, iterations: int = 100, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """``magnitude`` as ``W @ H`` with the least Kullback-Leibler divergence.

    Multiplicative updates (Lee and Seung, NIPS 2000) from a random start.

    Parameters
    ----------
    magnitude : Tensor (bins, frames), zero or more
    components : int
    iterations : int
    seed : int

    Returns
    -------
    W : Tensor (bins, components)
        The spectra; every column has unit sum, or is zero.
    H : Tensor (components, frames)

    Raises
    ------
    SepkitError
        If the magnitude is silent, negative or not finite, or `components` is below 1.
    """
    if components < 1:
        raise SepkitError(f"factorise: {components} components asked for; expected at least 1")
    from sklearn.decomposition import NMF

    v, scale = _normalised(magnitude, "factorise")
    model = NMF(
        components,
        init="random",
        solver="mu",
        beta_loss="kullback-leibler",
        max_iter=iterations,
        tol=0,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a fixed number of rounds did not settle
        H = torch.from_numpy(model.fit_transform(v.T)).T  # (K, N)
    W = torch.from_numpy(model.components_).T  # (F, K)
    total = W.sum(0).clamp(min=1e-30)
    return (W / total).to(magnitude), (H * (total * scale)[:, None]).to(magnitude)


def activations(
    magnitude: torch.Tensor, spectra: torch.Tensor, iterations: int = 50
) -> torch.Tensor:
    """When known spectra sound: H of ``magnitude = spectra @ H``, the spectra kept as they are.

    Parameters
    ----------
    magnitude : Tensor (bins, frames)
    spectra : Tensor (bins, components)
    iterations : int

    Returns
    -------
    Tensor (components, frames)

    Raises
    ------
    SepkitError
        As `factorise`; if bins differ.
    """
    from sklearn.decomposition import non_negative_factorization

    if spectra.ndim != 2 or spectra.shape[0] != magnitude.shape[0] or not (spectra >= 0).all():
        raise SepkitError(
            f"activations: spectra {tuple(spectra.shape)} for a magnitude "
            f"{tuple(magnitude.shape)}; expected values of 0 or more and the "
            "same number of bins: learn them with the same n_fft"
        )
    v, scale = _normalised(magnitude, "activations")
    options = {
        "solver": "mu",
        "beta_loss": "kullback-leibler",
        "update_H": False,
        "max_iter": iterations,
        "tol": 0,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        H = non_negative_factorization(
            v.T,
            H=spectra.T.contiguous().numpy().astype(v.dtype),
            n_components=spectra.shape[1],
            **options,
        )[0]
    return (torch.from_numpy(H).T * scale).to(magnitude)


def learn_dictionaries(
    recordings: dict[str, torch.Tensor | list[torch.Tensor]],
    components: int = 20,
    n_fft: int = 2048,
    hop: int = 1024,
    iterations: int = 100,
    seed: int = 0,
) -> dict[str, torch.Tensor]:
    """Learn the spectra of each target from recordings of it alone.

    Parameters
    ----------
    recordings : dict of str to Tensor (channels, samples), or list of such tensors
        For instance the stems of training songs; all of one sample rate.
    components : int
        Spectra per target.
    n_fft, hop, iterations, seed
        As for `SupervisedNMFSeparator`.

    Returns
    -------
    dict of str to Tensor (bins, components)

    Raises
    ------
    SepkitError
        If a target is silent in all its recordings.
    """
    stft, dictionaries = STFT(n_fft, hop), {}
    for target, audios in recordings.items():
        audios = [audios] if torch.is_tensor(audios) else audios
        magnitude = torch.cat([loudness(stft(audio)) for audio in audios], -1)  # (F, all frames)
        if not magnitude.any():
            raise SepkitError(
                f"learn_dictionaries: {target!r} is silent in all its recordings; give others, "
                "or leave it out"
            )
        dictionaries[target] = factorise(magnitude, components, iterations, seed)[0]
    return dictionaries


class NMFSeparator(ComponentSeparator):
    """Unsupervised NMF: components are masked out of the mixture, and named by the true stems.

    Each component is a Wiener mask over the spectrogram; which of them make up a stem
    is read off the true stems (`sepkit.separation.blind.assign`), for scoring only. The images
    sum to the mixture. Memory: one copy of the mixture for each component.

    Parameters
    ----------
    count : int
        How many components.
    n_fft, hop : int
    iterations : int
    power : float
        Of the masks, see `wiener_masks`.
    seed : int
    name : str
    residual : None, "spread" or "residual"
    """

    def __init__(
        self,
        count: int = 16,
        n_fft: int = 2048,
        hop: int = 1024,
        iterations: int = 100,
        power: float = 1.0,
        seed: int = 0,
        name: str = "nmf",
        residual: str | None = None,
    ):
        super().__init__(name, residual=residual)
        if count < 1:
            raise SepkitError(f"{name}: count={count}; expected at least 1 component")
        self.stft, self.steps = STFT(n_fft, hop), (hop,)
        self.settings = {
            "count": count,
            "n_fft": n_fft,
            "hop": hop,
            "iterations": iterations,
            "power": power,
            "seed": seed,
        }

    @torch.no_grad()
    def components(self, mixture):
        """One image per spectrum, by a Wiener mask."""
        spectrogram = self.stft(mixture)  # (C, F, N)
        W, H = factorise(
            loudness(spectrogram),
            self.settings["count"],
            self.settings["iterations"],
            self.settings["seed"],
        )
        masks = wiener_masks(W.T[:, :, None] * H[:, None, :], self.settings["power"])  # (K, F, N)
        return torch.stack(
            [self.stft.inverse(mask * spectrogram, mixture.shape[-1]) for mask in masks]
        )

    def _count(self, mixture):
        return self.settings["count"]

    def describe(self):
        """The settings, beside what every method of components says."""
        return {**super().describe(), **self.settings}


class SupervisedNMFSeparator(MaskSeparator):
    """NMF with known spectra for every target: only when they sound is estimated.

    Targets are those of the dictionaries. Without dictionaries they are learnt from
    the true stems of the very mixture, which makes the method an oracle: it knows
    the spectra, though not when they sound. `describe` says which it was.

    Parameters
    ----------
    dictionaries : dict of str to Tensor (bins, components), optional
        As `learn_dictionaries` makes them.
    sample_rate : int, optional
        Of the recordings they were learnt from.
    count : int
        Spectra per target, where they are learnt from the true stems.
    n_fft, hop : int
        Those of `learn_dictionaries`.
    iterations : int
    power : float
        Of the masks.
    seed : int
    name : str
    residual : None, "spread" or "residual"

    Raises
    ------
    SepkitError
        If dictionaries do not fit `n_fft`; when separating, if there are neither
        dictionaries nor references.
    """

    def __init__(
        self,
        dictionaries: dict[str, torch.Tensor] | None = None,
        sample_rate: int | None = None,
        count: int = 20,
        n_fft: int = 2048,
        hop: int = 1024,
        iterations: int = 50,
        power: float = 1.0,
        seed: int = 0,
        name: str = "nmf-supervised",
        residual: str | None = None,
    ):
        super().__init__(
            name,
            tuple(dictionaries) if dictionaries else None,
            n_fft,
            hop,
            sample_rate,
            residual=residual,
        )
        for target, spectra in (dictionaries or {}).items():
            if spectra.ndim != 2 or spectra.shape[0] != self.stft.bins:
                raise SepkitError(
                    f"{name}: the dictionary of {target!r} has shape {tuple(spectra.shape)}; "
                    f"expected ({self.stft.bins} bins, components) "
                    f"for n_fft {n_fft}"
                )
        self.dictionaries, self.uses_references = dictionaries, not dictionaries
        self.settings = {"count": count, "iterations": iterations, "power": power, "seed": seed}

    def separate(self, mixture, references=None):
        """Estimates of the dictionaries' targets, or of the references'."""
        self._check(mixture)
        if not self.dictionaries and not references:
            raise SepkitError(
                f"{self.name} knows no spectra; give dictionaries=learn_dictionaries(...), or "
                "references to learn them from"
            )
        if not mixture.any():
            silent = {target: torch.zeros_like(mixture) for target in self.targets or references}
            return share_remainder(mixture, silent, self.residual)
        return super().separate(mixture, references)

    def masks(self, spectrogram, references=None):
        """Wiener masks from the spectra and when they sound."""
        dictionaries = self.dictionaries or self._learn_from(references, spectrogram)
        magnitude = loudness(spectrogram)  # (F, N)
        spectra = list(dictionaries.values())  # J times (F, K)
        H = activations(magnitude, torch.cat(spectra, 1), self.settings["iterations"])  # (all K, N)
        parts = H.split([W.shape[1] for W in spectra])  # J times (K, N)
        modelled = torch.stack([W @ part for W, part in zip(spectra, parts)])  # (J, F, N)
        masks = wiener_masks(modelled, self.settings["power"])
        return dict(list(zip(dictionaries, masks))[:-1])

    def _learn_from(self, references, like):
        options = (
            self.settings["count"],
            self.stft.n_fft,
            self.stft.hop,
            self.settings["iterations"],
            self.settings["seed"],
        )
        sounding = {name: audio for name, audio in references.items() if audio.any()}
        learnt = learn_dictionaries(sounding, *options)
        silent = torch.zeros(self.stft.bins, 1)
        return {name: learnt.get(name, silent) for name in references}

    def describe(self):
        """The settings, and where the spectra come from."""
        facts = {**super().describe(), **self.settings}
        if not self.dictionaries:
            source = "learnt from the true stems of each mixture: an oracle"
            return {**facts, "dictionaries": source}
        given = self.dictionaries.items()
        known = {name: hashlib.sha256(x.contiguous().numpy()).hexdigest() for name, x in given}
        return {**facts, "dictionaries": "given", "spectra": digest(list(known.items()))}


def _normalised(magnitude, name):
    """float32 array with a mean of one, and the scale taken out."""
    if magnitude.is_complex() or magnitude.ndim != 2 or magnitude.numel() == 0:
        raise SepkitError(
            f"{name}: expected a real magnitude (bins, frames), not {magnitude.dtype} "
            f"{tuple(magnitude.shape)}"
        )
    if not (torch.isfinite(magnitude).all() and (magnitude >= 0).all() and magnitude.any()):
        raise SepkitError(
            f"{name}: the magnitude is silent, negative, NaN or infinite; expected values of 0 "
            "or more that are not all 0"
        )
    scale = magnitude.double().mean()
    return (magnitude.double() / scale).float().cpu().numpy(), float(scale)
