"""Time-frequency masks that know the answer, and how to score a mask that does not.

An oracle mask is computed from the true sources: multiplied with the mixture
spectrogram it shows the best that masking of its kind can do. Spectrograms are
complex, (..., channels, bins, frames); every channel is masked by itself.
Chapter 02 derives the masks; sepkit.separation offers them as Separators.
"""

import numpy as np
import torch

from .errors import SepkitError, unknown

KINDS = ("ibm", "irm1", "irm2", "psm", "crm")


def oracle_mask(
    kind: str, target: torch.Tensor, mixture: torch.Tensor, others, truncate: bool = True
) -> torch.Tensor:
    """One oracle mask for one target.

    With target S, mixture X and the other sources S_k:

    ========  ========================================  ==============================
    kind      mask                                      source
    ========  ========================================  ==============================
    ``ibm``   1 where ``|S| >= |X| / 2``, else 0        SiSEC 2018's IBM1
    ``irm1``  ``|S| / (|S| + sum |S_k|)``               its IRM1; Liutkus & Badeau [1]_
    ``irm2``  ``|S|^2 / (|S|^2 + sum |S_k|^2)``         its IRM2, the Wiener gain [1]_
    ``psm``   ``Re(S / X) = |S| / |X| cos(S, X)``       Erdogan et al. [2]_
    ``crm``   ``S / X``, complex and unbounded          Williamson et al. [3]_
    ========  ========================================  ==============================

    SiSEC 2018 (Stöter, Liutkus, Ito) computed its oracles with a Hann window of 2048
    samples, hop 1024, each stem against all the others. `ideal_binary` is the other
    common binary mask, where exactly one source wins each bin.

    .. [1] "Generalized Wiener filtering with fractional power spectrograms", ICASSP 2015.
    .. [2] "Phase-sensitive and recognition-boosted speech separation using deep
       recurrent neural networks", ICASSP 2015.
    .. [3] "Complex ratio masking for monaural speech separation", IEEE/ACM TASLP 2016.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    target, mixture : complex tensor (..., channels, bins, frames)
    others : complex tensor, or a sequence of them
        The remaining sources, each by itself, or their sum as one tensor for "the
        target against the rest". The two differ for the ratio masks.
    truncate : bool
        Limit ``psm`` to [0, 1], as is usual. Without it the mask can be negative or large.

    Returns
    -------
    tensor of the target's shape
        Real for all kinds but ``crm``. Zero where there is nothing to share: bins
        in which the sources (ratio masks) or the mixture (the others) are silent.
        Never NaN for finite input.

    Raises
    ------
    SepkitError
        For an unknown kind, or spectrograms of different shapes.
    """
    if kind not in KINDS:
        raise unknown("oracle mask", kind, KINDS)
    others = [others] if torch.is_tensor(others) else list(others)
    for name, spectrogram in [
        ("mixture", mixture),
        *((f"other source {k}", o) for k, o in enumerate(others)),
    ]:
        if spectrogram.shape != target.shape:
            raise SepkitError(
                f"oracle mask: the {name} has shape {tuple(spectrogram.shape)}, the target "
                f"{tuple(target.shape)}; "
                "transform them with the same STFT"
            )
    if kind == "ibm":
        return ((target.abs() >= 0.5 * mixture.abs()) & (target != 0) & (mixture != 0)).to(
            target.real.dtype
        )
    if kind == "crm":
        return _quotient(target, mixture)
    if kind == "psm":
        mask = _quotient(target, mixture).real
        return mask.clamp(0, 1) if truncate else mask
    magnitude = target.abs()
    rest = torch.zeros_like(magnitude)
    # 1 / (1 + sum (|S_k| / |S|)^power): squaring quotients, faint bins do not underflow
    for other in others:
        rest += _power(other.abs() / magnitude, kind)
    return torch.where(magnitude > 0, 1 / (1 + rest), torch.zeros_like(magnitude))


def oracle_masks(kind: str, sources, mixture: torch.Tensor | None = None, truncate: bool = True):
    """`oracle_mask` for every source at once.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    sources : complex tensor (sources, ..., channels, bins, frames), or dict of name to tensor
    mixture : complex tensor, optional
        By default the sum of the sources.

    Returns
    -------
    tensor (sources, ..., channels, bins, frames), or dict
        As `sources`. Ratio masks sum to one wherever any source sounds; ``crm``
        sums to one wherever the mixture, being the sum of the sources, is not zero.
    """
    if isinstance(sources, dict):
        masks = oracle_masks(kind, torch.stack(tuple(sources.values())), mixture, truncate)
        return dict(zip(sources, masks))
    mixture = sources.sum(0) if mixture is None else mixture
    if kind in ("irm1", "irm2"):  # one denominator for all
        magnitude = sources.abs()
        loudest = magnitude.amax(0)
        share = _power(
            magnitude / torch.where(loudest > 0, loudest, torch.ones_like(loudest)), kind
        )
        return share / torch.where(loudest > 0, share.sum(0), torch.ones_like(loudest))
    return torch.stack([oracle_mask(kind, source, mixture, (), truncate) for source in sources])


def ideal_binary(target: torch.Tensor, others) -> torch.Tensor:
    """The bins that the target wins: ``|S| > |S_k|`` for every other source.

    Yilmaz and Rickard, "Blind separation of speech mixtures via time-frequency
    masking", IEEE TSP 2004; with the sum of the others as one tensor it is the
    ideal binary mask of Wang 2005 at 0 dB. Over all sources these masks sum to one,
    but for ties, which nobody wins, silence included. The ground truth of
    `precision_recall`.

    Parameters
    ----------
    target : complex or magnitude tensor (..., channels, bins, frames)
    others : tensor, or a sequence of them

    Returns
    -------
    bool tensor of the target's shape
    """
    others = [others] if torch.is_tensor(others) else list(others)
    magnitude = target.abs()
    wins = magnitude > 0
    for other in others:
        wins &= magnitude > other.abs()
    return wins


def precision_recall(
    mask: torch.Tensor, ideal: torch.Tensor, thresholds, weights: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Precision and recall of a mask against the ideal binary mask, over thresholds.

    A bin is taken as the target's where ``mask >= threshold``; the threshold is
    chosen beforehand, or swept to draw a curve. Precision is the share of the
    taken bins that are the target's, recall the share of the target's bins that
    are taken.

    Parameters
    ----------
    mask : real tensor
        An estimated mask, soft or binary.
    ideal : tensor of the same shape, bool or 0/1
        Such as `ideal_binary` gives.
    thresholds : float or sequence of floats, in any order
    weights : tensor, optional
        What a bin counts, such as the magnitude or power of the mixture. Without
        weights a bin in silence counts as much as a loud one.

    Returns
    -------
    precision, recall : float64 tensors, one value per threshold
        Precision is 1 where nothing is taken, recall is 1 where the target has no
        bin at all (as scikit-learn's curve has it).

    Raises
    ------
    SepkitError
        If the shapes differ, or a weight is negative.
    """
    if mask.shape != ideal.shape or (weights is not None and weights.shape != mask.shape):
        raise SepkitError(
            f"precision_recall: mask {tuple(mask.shape)}, ideal mask {tuple(ideal.shape)} and "
            "weights must be of one shape"
        )
    if weights is not None and not (weights >= 0).all():
        raise SepkitError("precision_recall: weights must be 0 or more; use magnitudes or powers")
    levels, order = torch.tensor(
        [*np.atleast_1d(thresholds)], dtype=mask.dtype, device=mask.device
    ).sort()
    # How many thresholds each bin reaches.
    passed = torch.bucketize(mask.detach().flatten().contiguous(), levels, right=True)
    weights = (
        torch.ones_like(passed, dtype=torch.float64)
        if weights is None
        else weights.flatten().double()
    )

    def taken(chosen):
        counts = torch.bincount(passed, weights=chosen, minlength=len(levels) + 1)
        return counts.flip(0).cumsum(0).flip(0)[1:]

    truth = weights * (ideal.flatten() != 0)
    hits, all_taken, relevant = taken(truth), taken(weights), truth.sum()
    precision = torch.where(all_taken > 0, hits / all_taken, 1.0)
    recall = torch.where(relevant > 0, hits / relevant, torch.ones_like(hits))
    back = order.argsort()
    return precision[back], recall[back]


def _power(magnitude, kind):
    return magnitude if kind == "irm1" else magnitude**2


def _quotient(numerator, denominator):
    """Complex division, zero where the denominator is.

    Both are scaled first, so that faint bins do not underflow.
    """
    size = torch.maximum(denominator.real.abs(), denominator.imag.abs())
    silent = size < 1e8 * torch.finfo(size.dtype).tiny
    size = torch.where(silent, torch.ones_like(size), size)
    bottom = torch.where(silent, torch.ones_like(denominator), denominator / size)
    top = torch.where(silent, torch.zeros_like(numerator), numerator / size)
    return top * bottom.conj() / (bottom.real**2 + bottom.imag**2)
