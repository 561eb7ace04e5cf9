"""Unmixing by statistics: principal and independent components of the channels.

The instantaneous model: ``x(t) = A s(t)``, with channels x, sources s and a fixed
mixing matrix A. PCA finds directions that are uncorrelated, ICA directions that are
independent; both need at least as many channels as sources. Chapter 03 builds ICA
from these functions, step by step.

Following Hyvärinen and Oja, "Independent component analysis: algorithms and
applications", Neural Networks 2000 (cited as H&O). For mixtures with echoes see
`sepkit.separation.blind.iva`.
"""

import math
import warnings

import torch

from ...errors import SepkitError, unknown, warn
from .assignment import ComponentSeparator, project_back

#: An eigenvalue of the channels' correlation matrix below this counts as zero. Rounding a copy of a
#: channel to single precision leaves 1e-15, to 16 bits about 1e-8.
SINGULAR = 1e-12
#: E[log cosh v] of a standard normal v
_LOG_COSH = 0.3745672075
MEASURES = ("negentropy", "kurtosis")


def whiten(
    x: torch.Tensor, name: str = "whiten"
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Make the channels uncorrelated, of zero mean and unit variance.

    With the covariance ``E D E^T`` of x: ``z = V (x - mean)``, ``V = D^(-1/2) E^T``
    (H&O, section 5.2). The rows of V are ordered by variance, the largest first;
    the largest entry of each is positive. What is left to find is a rotation.

    Parameters
    ----------
    x : Tensor (channels, samples)
    name : str
        Who asks, for messages.

    Returns
    -------
    z : Tensor (channels, samples)
        Of the kind of x.
    V : Tensor (channels, channels)
    mean : Tensor (channels, 1)

    Raises
    ------
    SepkitError
        If the covariance is singular: a channel is silent or constant, channels are
        copies of each other, or there are too few samples; if samples are not finite.
    """
    deviations, directions, mean = _principal_directions(x, name)
    V = directions.T / deviations[:, None]  # (C, C)
    z = V @ (x.double() - mean)  # (C, T)
    return z.to(x.dtype), V.to(x.dtype), mean.to(x.dtype)


def rotate(z: torch.Tensor, angle: float) -> torch.Tensor:
    """Turn two channels: rows ``(cos a, sin a)`` and ``(-sin a, cos a)``, times z.

    Whitened channels stay white whatever the angle: ICA of two channels is the
    search for this one number.

    Parameters
    ----------
    z : Tensor (2, samples)
    angle : float
        In radians. A quarter turn exchanges the two, but for a sign.
    """
    if z.ndim != 2 or z.shape[0] != 2:
        raise SepkitError(
            f"rotate: expected two channels (2, samples), not {tuple(z.shape)}; fast_ica takes more"
        )
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, s], [-s, c]], dtype=z.dtype, device=z.device) @ z


def non_gaussianity(y: torch.Tensor, measure: str = "negentropy") -> torch.Tensor:
    """How far from Gaussian each signal is: zero for a Gaussian, larger for speech and music.

    Signals are first given zero mean and unit variance, so the scale plays no part.

    Parameters
    ----------
    y : Tensor (..., samples)
    measure : str
        ``"negentropy"``: ``(E[log cosh y] - E[log cosh v])^2`` with v Gaussian, the
        approximation of H&O section 4.2.3 that FastICA maximises. ``"kurtosis"``:
        ``|E[y^4] - 3|``, H&O section 4.2.1, which single loud samples can decide.

    Returns
    -------
    float64 tensor (...)
        NaN where a signal is constant.
    """
    if measure not in MEASURES:
        raise unknown("measure of non-Gaussianity", measure, MEASURES)
    y = y.double()
    y = y - y.mean(-1, keepdim=True)
    y = y / y.square().mean(-1, keepdim=True).sqrt()
    if measure == "kurtosis":
        return (y.pow(4).mean(-1) - 3).abs()
    size = y.abs()
    log_cosh = size + torch.log1p(torch.exp(-2 * size)) - math.log(2)  # of large y too
    return (log_cosh.mean(-1) - _LOG_COSH).square()


def fast_ica(
    x: torch.Tensor,
    sources: int | None = None,
    seed: int = 0,
    iterations: int = 200,
    tolerance: float = 1e-5,
    name: str = "fast_ica",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Independent components of an instantaneous mixture.

    By scikit-learn's FastICA on whitened channels.

    Symmetric FastICA with the log cosh contrast (H&O, section 6). Order, sign and
    scale of the sources cannot be known: ``A s = (A P) (P^-1 s)``. By convention they
    have unit variance, the first is the one farthest to the first channel, and each
    is positive in the channel where it is loudest.

    Parameters
    ----------
    x : Tensor (channels, samples)
    sources : int, optional
        How many to find, at most as many as channels; with fewer, the channels'
        largest principal components are unmixed. By default as many as channels.
    seed : int
        Of the first guess.
    iterations, tolerance
        Rounds at most, and the change of direction below which it stops.
    name : str
        Who asks, for messages.

    Returns
    -------
    sources : Tensor (J, samples)
        ``unmixing @ (x - mean)``.
    unmixing : Tensor (J, channels)

    Raises
    ------
    SepkitError
        If there are fewer channels than sources; as `whiten`.

    Warns
    -----
    Notice
        If it did not settle, as with Gaussian sources: the components are then the
        last guess.
    """
    channels = x.shape[0]
    sources = channels if sources is None else sources
    if not 1 <= sources <= channels:
        raise SepkitError(
            f"{name}: {sources} sources asked of {channels} channel(s); expected 1 to {channels}: "
            "ICA needs at least as many channels as sources"
        )
    z, V, mean = whiten(x.double(), name)
    z, V = z[:sources], V[:sources]
    unmixing = _rotation(z, seed, iterations, tolerance, name) @ V  # (J, C)
    mixing = torch.linalg.pinv(unmixing)  # (C, J)
    loudest = mixing.gather(0, mixing.abs().argmax(0, keepdim=True))[0]  # (J,)
    first = mixing[0].square() / mixing.square().sum(0)  # share of the first channel
    order = first.argsort(descending=True)
    unmixing = (unmixing * loudest.sign()[:, None])[order]
    return (unmixing @ (x.double() - mean)).to(x.dtype), unmixing.to(x.dtype)


class PCASeparator(ComponentSeparator):
    """Principal components: the directions between the channels with most and least power.

    Uncorrelated is less than independent: for two sources of like power the
    directions are not theirs. The components' images in the channels (see
    `sepkit.separation.blind.project_back`) sum to the mixture.

    Parameters
    ----------
    name : str
    residual : None, "spread" or "residual"
    """

    def __init__(self, name: str = "pca", residual: str | None = None):
        super().__init__(name, residual=residual)

    def components(self, mixture):
        """One image per direction, of the largest variance first."""
        directions = _principal_directions(multichannel(mixture, self.name), self.name)[1]  # (C, C)
        return project_back(directions.T, mixture)


class ICASeparator(ComponentSeparator):
    """Independent components of the channels, `fast_ica`.

    Nearly perfect where as many sources as channels were only scaled and added. Music
    in stereo is not like that: more sources than channels, echoes, effects.
    The components' images in the channels sum to the mixture.

    Parameters
    ----------
    seed : int
    name : str
    residual : None, "spread" or "residual"
    """

    def __init__(self, seed: int = 0, name: str = "ica", residual: str | None = None):
        super().__init__(name, residual=residual)
        self.seed = seed

    def components(self, mixture):
        """One image per independent component."""
        _, unmixing = fast_ica(
            multichannel(mixture, self.name).double(), seed=self.seed, name=self.name
        )
        return project_back(unmixing, mixture)

    def describe(self):
        """The seed, beside what every method of components says."""
        return {**super().describe(), "seed": self.seed}


def _principal_directions(x, name):
    """Of the channels, float64: deviations (C,), directions (C, C) in columns, means (C, 1)."""
    if x.ndim != 2 or not x.is_floating_point() or x.shape[-1] == 0:
        raise SepkitError(
            f"{name}: expected a float tensor (channels, samples), not {tuple(x.shape)}"
        )
    if not torch.isfinite(x).all():
        raise SepkitError(
            f"{name}: the channels hold NaN or infinite samples; mend the audio first"
        )
    x = x.double()
    mean = x.mean(-1, keepdim=True)  # (C, 1)
    centred = x - mean
    covariance = centred @ centred.T / x.shape[-1]  # (C, C)
    check_covariance(covariance, x, name)
    variances, directions = torch.linalg.eigh(covariance)
    variances, directions = variances.flip(0), directions.flip(1)  # largest first
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))
    return variances.sqrt(), directions * largest.sign(), mean


def check_covariance(covariance, x, name):
    """Refuse channels that hold less than one signal each, saying which case it is."""
    level = covariance.diagonal()
    flat = [c + 1 for c in range(len(level)) if level[c] <= 1e-14 * x[c].square().mean()]
    if flat:
        what = "silent" if all(not x[c - 1].any() for c in flat) else "constant"
        which = "every channel" if len(flat) == len(level) else f"channel {flat[0]}"
        raise SepkitError(
            f"{name}: {which} is {what}; expected sound in each channel, since one channel "
            "alone cannot be unmixed"
        )
    correlation = covariance / (level[:, None] * level[None, :]).sqrt()
    if torch.linalg.eigvalsh(correlation)[0] < SINGULAR * len(level):
        why = (
            "there are too few samples"
            if x.shape[-1] <= x.shape[0]
            else "they are copies of each other, as in a mono recording"
        )
        raise SepkitError(
            f"{name}: the channels' covariance is singular, because {why}; expected as many "
            "different channels as sources"
        )


def multichannel(mixture, name):
    """The mixture; one of a single channel is refused."""
    if mixture.shape[0] < 2:
        raise SepkitError(
            f"{name}: 1 channel cannot be unmixed into 2 or more sources; use a stereo "
            "recording, or hpss, repet or nmf"
        )
    return mixture


def _rotation(z, seed, iterations, tolerance, name):
    """The rotation (J, J) of whitened z (J, T) towards independence."""
    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    if len(z) == 1:
        return torch.ones(1, 1, dtype=z.dtype)
    model = FastICA(whiten=False, random_state=seed, max_iter=iterations, tol=tolerance)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(z.T.numpy())
    if any(issubclass(w.category, ConvergenceWarning) for w in caught):
        warn(
            f"{name} has not settled after {iterations} rounds: the sources may be Gaussian, or "
            "more than the channels"
        )
    return torch.from_numpy(model.components_).to(z.dtype)
