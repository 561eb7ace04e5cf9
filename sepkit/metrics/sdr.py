"""Signal ratios that need no filters: framewise SDR, uSDR, SI-SDR and SI-SAR.

All compute in float64, take torch tensors or numpy arrays of shape
(..., channels, samples), and return float64 tensors; gradients flow back to
tensors that ask for them. Estimates are cut or continued by zeros to the length
of the reference. Chapter 08 takes them apart.
"""

import math

import torch

from ..errors import SepkitError

USDR_DELTA = 1e-7  # the Music Demixing Challenge's and Demucs's; others use 1e-8
SI_SDR_MODES = ("joint", "per_channel", "mono")
_FRAMES_AT_ONCE = 8  # bounds the memory of the float64 copies


def sdr(reference, estimate, delta: float = 0.0) -> torch.Tensor:
    """Signal-to-distortion ratio over channels and time, in dB.

    ``10 log10((sum s^2 + delta) / (sum (s - s_hat)^2 + delta))``. With delta 0 this
    is the SDR of BSSEval v4 images on one frame: no filters are involved.

    Parameters
    ----------
    reference, estimate : (..., channels, samples)
    delta : float
        Added to both energies.

    Returns
    -------
    float64 tensor (...)
        With delta 0: inf for a perfect estimate, -inf for a silent reference, NaN
        when both hold.

    Raises
    ------
    SepkitError
        If the shapes do not fit, a signal is empty, or holds NaN or infinity.
    """
    reference, estimate = pair(reference, estimate)
    signal = reference.square().sum((-2, -1)) + delta
    distortion = (reference - estimate).square().sum((-2, -1)) + delta
    return 10 * torch.log10(signal / distortion)


def usdr(reference, estimate, delta: float = USDR_DELTA) -> torch.Tensor:
    """The Music Demixing Challenge's SDR: `sdr` of a whole song with delta 1e-7.

    Mitsufuji et al., "Music Demixing Challenge 2021", Frontiers in Signal Processing
    2022; the mean over songs makes "uSDR". A perfect estimate is as high as `delta`
    allows. For a silent reference only `delta` would be left above the line, and the
    value (-94 dB, say) would decide the mean over songs: such a song counts as not scored,
    as in the other metrics.
    Parameters and errors as for `sdr`.

    Returns
    -------
    float64 tensor (...)
        NaN where the reference is silent.
    """
    reference, estimate = pair(reference, estimate)
    silent = (reference == 0).all(-1).all(-1)
    return sdr(reference, estimate, delta).masked_fill(silent, torch.nan)


def si_sdr(reference, estimate, mode: str = "joint", zero_mean: bool = False) -> torch.Tensor:
    """Scale-invariant SDR, in dB.

    ``a = <s_hat, s> / |s|^2``, then ``10 log10(|a s|^2 / |a s - s_hat|^2)``: Le Roux,
    Wisdom, Erdogan and Hershey, "SDR, half-baked or well done?", ICASSP 2019. The
    paper is about one channel; for more there are three conventions, and they differ
    by decibels as soon as one channel is scaled otherwise than the other.

    Parameters
    ----------
    reference, estimate : (..., channels, samples)
    mode : str
        ``"joint"``: one a over channels and time. ``"per_channel"``: one a, and one
        value, a channel; the mean of the values. ``"mono"``: of the mean channel.
    zero_mean : bool
        Take the mean over time out of every channel first.

    Returns
    -------
    float64 tensor (...)
        NaN where reference or estimate is silent, inf for a perfect estimate.

    Raises
    ------
    SepkitError
        As for `sdr`; or for an unknown mode.
    """
    if mode not in SI_SDR_MODES:
        raise SepkitError(f"si_sdr mode {mode!r}: choose from {', '.join(SI_SDR_MODES)}")
    reference, estimate = pair(reference, estimate)
    if mode == "mono":
        reference, estimate = reference.mean(-2, keepdim=True), estimate.mean(-2, keepdim=True)
    if zero_mean:
        reference = reference - reference.mean(-1, keepdim=True)
        estimate = estimate - estimate.mean(-1, keepdim=True)
    axes = -1 if mode == "per_channel" else (-2, -1)
    scale = (estimate * reference).sum(axes, keepdim=True) / reference.square().sum(
        axes, keepdim=True
    )
    target = scale * reference
    ratio = target.square().sum(axes) / (target - estimate).square().sum(axes)
    value = 10 * torch.log10(ratio)
    return value.mean(-1) if mode == "per_channel" else value


def si_sar(references, estimates) -> torch.Tensor:
    """Scale-invariant signal-to-artefacts ratio, in dB: what no mix of the stems explains.

    With a as in `si_sdr`, and e_artif what is left of the estimate after the best sum of the
    references, one gain each: ``10 log10(|a s|^2 / |e_artif|^2)``; Le Roux, Wisdom, Erdogan
    and Hershey, ICASSP 2019, section 2. SAR with filters of one tap; one gain a stem for all
    its channels, as in the mode "joint" of `si_sdr`.

    Parameters
    ----------
    references, estimates : (sources, channels, samples)
        In the same order: every stem of the mixture, or two that add up to it.

    Returns
    -------
    float64 tensor (sources,)
        NaN where reference or estimate is silent. An estimate that is a sum of stems, such as
        the mixture, has a value beyond 100 dB that only rounding decides.

    Raises
    ------
    SepkitError
        As for `sdr`.
    """
    references, estimates = (x.flatten(1) for x in pair(references, estimates))  # (J, C T)
    gram, products = references @ references.T, references @ estimates.T  # (J, J)
    artefacts = estimates - fitted_gains(gram, products).T @ references
    # |a s|^2, NaN where the reference is silent
    target = products.diagonal().square() / gram.diagonal()
    return 10 * torch.log10(target / artefacts.square().sum(-1))


def fitted_gains(gram: torch.Tensor, products: torch.Tensor) -> torch.Tensor:
    """The gains whose weighted sum of signals comes nearest to others, from inner products.

    Signals that others explain but for -100 dB, and silent ones, are no obstacle.

    Parameters
    ----------
    gram : (signals, signals)
    products : (signals, ...)
        Of the signals with what they are to explain.

    Returns
    -------
    Tensor of the shape of `products`
    """
    size = gram.diagonal().sqrt()
    size = torch.where(size > 0, size, 1.0)
    inverse = torch.linalg.pinv(gram / size[:, None] / size, rtol=1e-10, hermitian=True)
    return torch.tensordot(inverse / size[:, None] / size, products, 1)


def framewise_sdr(
    references, estimates, sample_rate: int, window: float = 1.0, hop: float = 1.0
) -> torch.Tensor:
    """SDR of BSSEval v4, frame by frame, of sources that are scored together.

    Equals museval 0.4.1 (its `evaluate`, mode v4) to 1e-9 dB with its rules:

    - ``floor((T - win + hop) / hop)`` frames: what is left at the end is dropped;
      audio of one window or less is one frame.
    - If any reference or estimate is silent in a frame, every source has NaN there.
      Silent means that the channels add up to zero at each sample, so a frame in
      which the right channel is minus the left counts as silent.
    - A perfect frame is inf.

    museval refuses a source that is silent throughout; here all frames are NaN. It
    also writes inf as NaN into its files, so that it leaves perfect frames out of medians.
    The median over frames, NaN left out, is the track's cSDR.

    Parameters
    ----------
    references, estimates : (..., sources, channels, samples)
        In the same order. What is before the sources is a batch: silence in one
        example leaves no frame of another out.
    sample_rate : int
        In Hz.
    window, hop : float
        In seconds.

    Returns
    -------
    float64 tensor (..., sources, frames)

    Raises
    ------
    SepkitError
        As for `sdr`; or if window or hop is shorter than one sample.
    """
    references, estimates = pair(references, estimates, double=False)
    if references.ndim < 3:
        raise SepkitError(
            "framewise_sdr: expected (..., sources, channels, samples), "
            f"got shape {tuple(references.shape)}"
        )
    settings = sample_rate, window, hop
    parts = [
        frame_sdr(*both)
        for both in zip(_frames(references, *settings), _frames(estimates, *settings))
    ]
    values, silent = (torch.cat(part, -1) for part in zip(*parts))
    return values.masked_fill(silent.any(0).any(-2, keepdim=True), float("nan"))


def frame_sdr(reference, estimate):
    """SDR of frames, and which of them are silent.

    reference, estimate (..., sources, channels, frames, window)
    -> (..., sources, frames), and (2, ..., sources, frames)
    """
    signal, error = (
        torch.linalg.vector_norm(x, dim=(-3, -1)) for x in (reference, reference - estimate)
    )
    silent = torch.stack([_silent(x.detach()) for x in (reference, estimate)])
    return 20 * torch.log10(signal / error), silent


def silent_frames(
    audio: torch.Tensor, sample_rate: int, window: float = 1.0, hop: float = 1.0
) -> torch.Tensor:
    """Which frames of which source are silent by the rule of `framewise_sdr`.

    Parameters
    ----------
    audio : float tensor (..., sources, channels, samples)
    sample_rate : int
        In Hz.
    window, hop : float
        In seconds.

    Returns
    -------
    bool tensor (..., sources, frames)

    Raises
    ------
    SepkitError
        If window or hop is shorter than one sample.
    """
    return torch.cat(
        [_silent(frames) for frames in _frames(audio.detach(), sample_rate, window, hop)], -1
    )


def _silent(frames):
    """(..., channels, frames, window) -> (..., frames)"""
    # Most frames are told apart by a few samples.
    suspect = (frames[..., ::64].sum(-3) == 0).all(-1)
    return suspect & (frames.sum(-3) == 0).all(-1) if suspect.any() else suspect


def _frames(audio, sample_rate, window, hop):
    """(..., channels, a few frames, window) in float64, block by block; short audio: one frame."""
    size, step = frame_samples(sample_rate, window, hop)
    framed = audio.unfold(-1, min(size, audio.shape[-1]), step)  # a view
    for start in range(0, framed.shape[-2], _FRAMES_AT_ONCE):
        yield _double(framed[..., start : start + _FRAMES_AT_ONCE, :])


def frame_samples(sample_rate: int, window: float, hop: float) -> tuple[int, int]:
    """Window and hop in whole samples, cut off as museval does it."""
    sizes = window * sample_rate, hop * sample_rate
    if not all(math.isfinite(size) and size >= 1 for size in sizes):
        raise SepkitError(
            f"window {window} s and hop {hop} s at {sample_rate} Hz: "
            "expected at least one sample each, and finite lengths"
        )
    return int(sizes[0]), int(sizes[1])


def pair(reference, estimate, double=True):
    """Check a reference and its estimate, and bring them to one kind and length.

    Returns
    -------
    Two tensors of the reference's shape, float64 unless told otherwise.
    """
    reference, estimate = _tensor("reference", reference), _tensor("estimate", estimate)
    estimate = estimate.to(reference.device)
    if reference.ndim < 2 or reference.shape[:-1] != estimate.shape[:-1]:
        raise SepkitError(
            f"the reference has shape {tuple(reference.shape)}, "
            f"the estimate {tuple(estimate.shape)}; "
            "expected (..., channels, samples) with equal channels"
        )
    for name, audio in (("reference", reference), ("estimate", estimate)):
        if audio.numel() == 0 and (name == "reference" or audio.shape[-1] > 0):
            raise SepkitError(
                f"the {name} is empty, of shape {tuple(audio.shape)}; expected at least one sample"
            )
        if audio.numel() and not torch.stack(audio.detach().aminmax()).isfinite().all():
            raise SepkitError(f"the {name} holds NaN or infinity; mend the audio before scoring it")
    missing = reference.shape[-1] - estimate.shape[-1]
    estimate = (
        estimate[..., : reference.shape[-1]]
        if missing <= 0
        else torch.nn.functional.pad(estimate, (0, missing))
    )
    return (_double(reference), _double(estimate)) if double else (reference, estimate)


def _tensor(name, audio):
    audio = torch.as_tensor(audio)
    if not audio.is_floating_point():
        raise SepkitError(
            f"the {name} is of type {audio.dtype}; "
            "expected floating-point audio with full scale 1.0"
        )
    return audio


def _double(audio):
    return (audio.cpu() if audio.device.type == "mps" else audio).double()
