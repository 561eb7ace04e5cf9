"""The multichannel Wiener filter: from magnitudes of all sources to their complex spectrograms.

A mask treats each channel alone. This filter also learns where every source lies
between the channels, and shares the mixture out so that the estimates fit both.
Open-Unmix joins its four networks with it (chapter 04).
"""

import torch

from .errors import SepkitError

EPS = 1e-10
_PEAK = 10.0  # the mixture is scaled to this peak, if it is above
# Elements of the estimates worked on at a time. On a CPU what torch does on one thread, in the
# cache: threads that meet after every small step are slower as soon as the cores are shared.
_BLOCK = {"cpu": 1 << 15, "other": 1 << 23}


def wiener(
    magnitudes: torch.Tensor,
    mixture: torch.Tensor,
    niter: int = 1,
    softmask: bool = False,
    residual: bool = False,
    frames_per_window: int | None = 300,
) -> torch.Tensor:
    """Separate a mixture by magnitude estimates and multichannel expectation maximisation.

    1. First estimate: each magnitude with the phase of the mixture; or, with
       `softmask`, the mixture times the ratio ``magnitude / (EPS + sum of magnitudes)``.
    2. With `residual`: one more source, the mixture less all estimates.
    3. `niter` rounds of `expectation_maximization`.

    As in Open-Unmix (Stöter, Uhlich, Liutkus, Mitsufuji 2019) and norbert; the
    filter is that of Nugraha, Liutkus and Vincent, "Multichannel music separation
    with deep neural networks", EUSIPCO 2016.

    Parameters
    ----------
    magnitudes : real tensor (..., sources, channels, bins, frames)
        Zero or more. `channels` may be 1 for a magnitude that all channels share.
    mixture : complex tensor (..., channels, bins, frames)
    niter : int
        Rounds. 0 returns the first estimate.
    softmask, residual : bool
        See above. With `residual` the result sums to the mixture: what the
        filter's regularisation leaves over is the residual's.
    frames_per_window : int or None
        The sources' places are learnt afresh every so many frames. None: once
        for the whole signal.

    Returns
    -------
    complex tensor (..., sources (+ 1), channels, bins, frames)
        New; the inputs are never changed. Zero wherever the mixture is zero.

    Raises
    ------
    SepkitError
        If shapes do not fit, a magnitude is negative or NaN, or `niter` is negative.
    """
    _check(magnitudes, mixture, niter, frames_per_window)

    def first(block):
        return _first_estimate(magnitudes[block], mixture[block], softmask, residual)

    if niter == 0:
        return first(...)
    sources = magnitudes.shape[-4] + residual
    estimates = _refine(first, sources, mixture, niter, frames_per_window)
    if residual:
        estimates[..., -1, :, :, :] = mixture - estimates[..., :-1, :, :, :].sum(-4)
    return estimates


def expectation_maximization(
    estimates: torch.Tensor,
    mixture: torch.Tensor,
    niter: int = 1,
    frames_per_window: int | None = 300,
) -> torch.Tensor:
    """Refine complex estimates with the multichannel local Gaussian model.

    For every source j of J, per bin f, with y_j its estimate (a vector over
    channels) and sums over the frames t of a window:

    - power ``v_j(f, t)`` = mean over channels of ``|y_j|^2``
    - spatial covariance ``R_j(f) = sum_t y_j y_j^H / (EPS + sum_t v_j)``
    - ``Cxx(f, t) = sum_j v_j R_j + sqrt(EPS) I``
    - new estimate ``y_j = v_j R_j Cxx^-1 x``

    (Duong, Vincent and Gribonval, IEEE TASLP 2010; weighted as in Nugraha et al.
    2016.) Mixture and estimates are first divided by ``max(1, max |x| / 10)`` of the
    window, and multiplied again at the end: EPS is not relative to the level.
    Given the true sources as `estimates`, one round is the oracle multichannel
    Wiener filter (MWF of SiSEC 2018).

    Computed in double precision (where the device has it), block by block of
    bins: the working memory does not grow with the signal.

    Parameters
    ----------
    estimates : complex tensor (..., sources, channels, bins, frames)
    mixture : complex tensor (..., channels, bins, frames)
    niter, frames_per_window
        As in `wiener`.

    Returns
    -------
    complex tensor of the shape of `estimates`, new
    """
    if niter == 0:
        return estimates.clone()
    return _refine(
        lambda block: estimates[block], estimates.shape[-4], mixture, niter, frames_per_window
    )


def _refine(first, sources, mixture, niter, frames_per_window):
    """`niter` rounds; ``first(block)`` gives the first estimates, of some bins and frames."""
    bins, frames = mixture.shape[-2:]
    double = torch.complex64 if mixture.device.type == "mps" else torch.complex128
    window = frames_per_window or max(1, frames)
    elements = _BLOCK["cpu" if mixture.device.type == "cpu" else "other"]
    step = max(1, elements // max(1, sources * mixture[..., :1, :window].numel()))  # bins at a time
    out = mixture.new_empty(*mixture.shape[:-3], sources, *mixture.shape[-3:])
    for start in range(0, frames, window):
        now = slice(start, start + window)
        peak = mixture[..., now].abs().amax((-3, -2, -1), keepdim=True)
        scale = (peak / _PEAK).clamp(min=1).to(double.to_real())
        for low in range(0, bins, step):
            block = (..., slice(low, low + step), now)
            x = mixture[block].to(double) / scale
            y = first(block).to(double) / scale.unsqueeze(-4)
            for _ in range(niter):
                y = _em_step(y, x)
            out[block] = (y * scale.unsqueeze(-4)).to(out.dtype)
    return out


def _em_step(y, x):
    """One round on a block: y (..., J, C, F, N), x (..., C, F, N)."""
    v = _power(y).mean(-3)  # (..., J, F, N)
    weight = EPS + v.sum(-1)  # (..., J, F)
    if x.shape[-3] == 2:
        return _em_step_stereo(y, x, v, weight)
    # covariance (..., J, F, C, C), total (..., F, N, C, C), whitened (..., F, N, C)
    covariance = torch.einsum("...cfn,...dfn->...fcd", y, y.conj()) / weight[..., None, None]
    total = torch.einsum("...jfn,...jfcd->...fncd", v.to(y.dtype), covariance)
    total = total + EPS**0.5 * torch.eye(x.shape[-3], dtype=y.dtype, device=y.device)
    whitened = torch.linalg.solve(total, x.movedim(-3, -1).unsqueeze(-1)).squeeze(-1)
    return v.unsqueeze(-3) * torch.einsum("...jfcd,...fnd->...jcfn", covariance, whitened)


def _em_step_stereo(y, x, v, weight):
    """`_em_step` for two channels, where the 2 x 2 Hermitian inverse is written out."""
    left, right = y.unbind(-3)
    weight = weight.unsqueeze(-1)
    # R_j = [[a, b], [b*, d]], each (..., J, F, 1)
    a = _power(left).sum(-1, keepdim=True) / weight
    d = _power(right).sum(-1, keepdim=True) / weight
    b = (left * right.conj()).sum(-1, keepdim=True) / weight
    # Cxx = [[p, q], [q*, s]], each (..., F, N)
    p = (v * a).sum(-3) + EPS**0.5
    s = (v * d).sum(-3) + EPS**0.5
    q = (v * b).sum(-3)
    determinant = p * s - _power(q)
    x_left, x_right = x.unbind(-3)
    z_left = ((s * x_left - q * x_right) / determinant).unsqueeze(-3)
    z_right = ((p * x_right - q.conj() * x_left) / determinant).unsqueeze(-3)
    return torch.stack(
        [v * (a * z_left + b * z_right), v * (b.conj() * z_left + d * z_right)], dim=-3
    )


def _power(z):
    return z.real**2 + z.imag**2


def _first_estimate(magnitudes, mixture, softmask, residual):
    x = mixture.unsqueeze(-4)
    if softmask:
        y = x * (magnitudes / (EPS + magnitudes.sum(-4, keepdim=True)))
    else:
        y = magnitudes * torch.sgn(x)  # sgn(0) is 0: no phase, no estimate
    return torch.cat([y, x - y.sum(-4, keepdim=True)], dim=-4) if residual else y


def _check(magnitudes, mixture, niter, frames_per_window):
    shape, expected = tuple(magnitudes.shape), tuple(mixture.shape)
    fits = (
        len(shape) >= 4
        and shape[:-4] + shape[-2:] == expected[:-3] + expected[-2:]
        and shape[-3] in (1, expected[-3])
        and shape[-4] > 0
    )
    if magnitudes.is_complex() or not mixture.is_complex() or not fits:
        raise SepkitError(
            f"wiener: got {magnitudes.dtype} magnitudes {shape} and {mixture.dtype} mixture "
            f"{expected}; expected real "
            "(..., sources, channels, bins, frames) and complex (..., channels, bins, frames)"
        )
    if magnitudes.numel() and not bool(magnitudes.detach().min() >= 0):
        raise SepkitError(
            "wiener: a magnitude is negative or NaN; every magnitude must be 0 or more"
        )
    if niter < 0 or (frames_per_window is not None and frames_per_window < 1):
        raise SepkitError(
            f"wiener: niter {niter} must be 0 or more, frames_per_window {frames_per_window} 1 "
            "or more"
        )
