"""BSSEval v4: SDR, ISR, SIR and SAR of images, framewise, as SiSEC 2018 scored.

Vincent, Gribonval and Févotte, "Performance measurement in blind audio source
separation", IEEE TASLP 2006; version 4: Stöter, Liutkus and Ito, "The 2018 Signal
Separation Evaluation Campaign", LVA/ICA 2018. Chapter 08 takes it apart.

An estimate is split by two least-squares fits: onto its own reference, and onto all
references, each allowed 512 delays. The values are museval's; the work is not:

- The fits need correlations at 512 lags only. Products of short FFT blocks, summed
  over the blocks before one inverse FFT, give them without transforms of a whole song.
- All fits onto all references share one matrix: it is factored once, by Cholesky,
  for the channels of all estimates together; so does one small matrix a source.
- Energies are all that is asked of the fitted signals. By Parseval's theorem they are
  sums over the spectra of a frame, so nothing is ever transformed back.
- Channels that others already explain (a stem with two equal channels) would make the
  matrix singular. They add nothing to a fit, and are found and left out.
"""

import math
import shutil
import warnings

import torch
from scipy.fft import next_fast_len
from scipy.linalg.lapack import dpstrf

from ..errors import SepkitError
from .sdr import frame_samples, framewise_sdr, pair

TAPS = 512
_BLOCK = 4096  # FFT length of the correlations
_BLOCKS_AT_ONCE = 64
_SMALLEST_PIVOT = 1e-13  # of the largest: below it Cholesky's answer is rounding error


def ffmpeg_available():
    """Whether ffmpeg and ffprobe are on the PATH; museval and musdb cannot be imported without them."""
    return shutil.which("ffmpeg") is not None and shutil.which("ffprobe") is not None


def bss_eval(references, estimates, sample_rate, window=1.0, hop=1.0):
    """SDR, ISR, SIR and SAR of sources that are scored together.

    One set of 512-tap filters for the whole track; frames and silence by the rules of
    `framewise_sdr`, which gives the same SDR far faster. Equal to museval 0.4.1 (its
    `evaluate`, mode v4) within 1e-6 dB, and where references are linearly dependent
    within 1e-4 dB, museval's own rounding.

    Parameters
    ----------
    references, estimates : (sources, channels, samples)
        Tensors or arrays, in the same order. Estimates are cut or continued by
        zeros to the length of the references. Computed on the device of the
        references, in float64.
    sample_rate : int
        In Hz.
    window, hop : float
        In seconds.

    Returns
    -------
    SDR, ISR, SIR, SAR : float64 arrays (sources, frames)
        In dB. inf where an error is exactly zero: SIR of a single source, SDR of a
        perfect estimate. All NaN, with a warning, where a source is silent
        throughout: museval refuses such a track.

    Raises
    ------
    SepkitError
        If shapes do not fit, a signal is empty or not finite.
    """
    references, estimates = pair(references, estimates, double=False)
    if references.ndim != 3:
        raise SepkitError(f"bss_eval: expected (sources, channels, samples), got shape {tuple(references.shape)}")
    references, estimates = (x.detach().cpu() if x.device.type == "mps" else x.detach() for x in (references, estimates))
    size, step = frame_samples(sample_rate, window, hop)
    sdr = framewise_sdr(references, estimates, sample_rate, window, hop)  # (J, frames); NaN where any source is silent
    scored = (~sdr.isnan().all(0)).nonzero().flatten()
    ratios = torch.full((3, *sdr.shape), torch.nan, dtype=torch.float64, device=sdr.device)
    if not len(scored):
        _warn_of_silence(references, estimates)
    else:
        size = min(size, references.shape[-1])  # shorter audio is one frame
        filters = [torch.fft.rfft(taps, _transform_length(size)) for taps in _filters(references, estimates)]
        for frame in scored.tolist():  # one by one: a frame's spectra fit into a processor's cache
            part = slice(frame * step, frame * step + size)
            ratios[..., frame] = _ratios(references[..., part].double(), estimates[..., part].double(), *filters)
    return tuple(x.cpu().numpy() for x in (sdr, *ratios))


def _warn_of_silence(references, estimates):
    silent = []
    for what, sources in (("reference", references), ("estimate", estimates)):
        for index in (sources.sum(1) == 0).all(-1).nonzero().flatten().tolist():
            why = "has channels that cancel (BSSEval takes that for silence)" if sources[index].any() else "is silent"
            silent.append(f"{what} {index} {why} throughout")
    if silent:
        warnings.warn(f"bss_eval: {', '.join(silent)}; every score of this track is NaN", stacklevel=3)


def _filters(references, estimates):
    """Least-squares filters from the references to every channel of the estimates.

    Returns
    -------
    alone : (J, C, C, TAPS)
        From the channels of source j to those of estimate j.
    together : (J C, J C, TAPS)
        From all channels to all channels of the estimates.
    """
    sources, channels, _ = references.shape
    everything = sources * channels
    auto, cross = _correlations(references.flatten(0, 1), estimates.flatten(0, 1))
    kept = _telling(references.flatten(0, 1), auto)
    together = _fit(auto, cross, kept)
    if sources == 1:
        return together[None], together
    alone = []
    for first in range(0, everything, channels):
        own = slice(first, first + channels)
        alone.append(_fit(auto[own, own], cross[own, own], [k - first for k in kept if first <= k < first + channels]))
    return torch.stack(alone), together


def _correlations(x, y):
    """Correlations of channels at lags 0 to TAPS - 1: sum over n of x_a(n) x_b(n + lag), and with y_b.

    x (A, T), y (B, T) -> (A, A, TAPS), (A, B, TAPS)
    """
    length = _BLOCK - TAPS + 1  # of x in one FFT: what it meets in y fills the rest
    samples = x.shape[-1]
    count = -(-samples // length)
    total = 0
    for first in range(0, count, _BLOCKS_AT_ONCE):
        blocks = min(_BLOCKS_AT_ONCE, count - first)
        start, stop = first * length, (first + blocks) * length + TAPS - 1
        pieces = []
        for signal in (x, y):
            part = signal[:, start:stop].double()
            part = torch.nn.functional.pad(part, (0, stop - start - part.shape[-1]))
            pieces.append(part.unfold(-1, _BLOCK, length))  # (A, blocks, BLOCK)
        later = torch.fft.rfft(torch.cat(pieces))  # (A + B, blocks, F)
        now = torch.fft.rfft(pieces[0][..., :length], _BLOCK)  # (A, blocks, F)
        total = total + now.permute(2, 0, 1).conj() @ later.permute(2, 1, 0)  # (F, A, A + B)
    lags = torch.fft.irfft(total.permute(1, 2, 0), _BLOCK)[..., :TAPS]
    return lags[:, : len(x)], lags[:, len(x) :]


def _telling(channels, auto):
    """Those of the channels (K, T) that are neither silent nor equal to an earlier one."""
    kept, energies = [], auto[..., 0].diagonal().tolist()
    for k, energy in enumerate(energies):
        alike = (other for other in kept if math.isclose(energy, energies[other], rel_tol=1e-9))
        if energy > 0 and not any(torch.equal(channels[k], channels[other]) for other in alike):
            kept.append(k)
    return kept


def _fit(auto, cross, kept):
    """Filters (A, B, TAPS) from the kept channels, zero for the others, to the channels of the estimates."""
    filters = torch.zeros_like(cross)
    if kept:
        count, matrix = len(kept), _normal_matrix(auto[kept][:, kept])
        right = cross[kept].transpose(1, 2).reshape(count * TAPS, -1)  # (channels and lags, B)
        filters[kept] = _solve(matrix, right).reshape(count, TAPS, -1).transpose(1, 2)
    return filters


def _normal_matrix(auto):
    """The Gram matrix of all delayed channels: (A, A, TAPS) -> (A TAPS, A TAPS), a Toeplitz matrix for each pair."""
    count = len(auto)
    matrix = auto.new_empty(count, TAPS, count, TAPS)
    falling = torch.cat([auto.flip(-1), auto.transpose(0, 1)[..., 1:]], -1)  # lags TAPS - 1 ... -TAPS + 1
    for row in range(TAPS):
        matrix[:, row] = falling[..., TAPS - 1 - row : 2 * TAPS - 1 - row]  # column k has lag row - k
    return matrix.view(count * TAPS, count * TAPS)


def _solve(matrix, right):
    """Solve by Cholesky; with the dependent rows left out where the matrix is singular as far as float64 can tell."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    pivots = factor.diagonal().square()
    if not failed and pivots.min() > _SMALLEST_PIVOT * pivots.max():
        return torch.cholesky_solve(right, factor)
    del factor
    factor, order, rank, _ = dpstrf(matrix.cpu().numpy(), lower=1)  # pivoted: the rows that tell most come first
    order = torch.as_tensor(order[:rank] - 1, dtype=torch.long, device=right.device)
    factor = torch.as_tensor(factor[:rank, :rank], device=right.device)
    solution = torch.zeros_like(right)
    solution[order] = torch.cholesky_solve(right[order], factor)
    return solution


def _ratios(references, estimates, alone, together):
    """ISR, SIR and SAR (3, J) of one frame (J, C, size), already cut from its signals.

    alone (J, C, C, F) and together (J C, J C, F) are spectra of the filters, of as many
    points as leave room for their tails.
    """
    length = _transform_length(references.shape[-1])
    truth, estimate = (_half_spectrum(x, length) for x in (references, estimates))  # (J, C, F)
    own = torch.einsum("jabf,jaf->jbf", alone, truth)  # what the estimate has of its reference, filtered
    every = torch.einsum("abf,af->bf", together, truth.flatten(0, 1)).view_as(own)  # and of all references
    pairs = (truth, own - truth), (own, every - own), (every, estimate - every)
    return torch.stack([20 * torch.log10(_norm(signal) / _norm(error)) for signal, error in pairs])


def _transform_length(size):
    return next_fast_len(size + TAPS - 1, real=True)


def _half_spectrum(signals, length):
    """The spectrum (..., F) that an rfft keeps, weighted so that its energy is half of the whole one's."""
    spectrum = torch.fft.rfft(signals, length)
    unpaired = [0, -1] if length % 2 == 0 else [0]  # the bins that are not there twice
    spectrum[..., unpaired] *= math.sqrt(0.5)
    return spectrum


def _norm(spectra):
    """(J, C, F) -> (J,)"""
    return torch.linalg.vector_norm(torch.view_as_real(spectra), dim=(1, 2, 3))
