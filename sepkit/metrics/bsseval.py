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

import numpy as np
import torch
from scipy.fft import next_fast_len
from scipy.linalg.lapack import dpstrf

from ..errors import SepkitError
from .sdr import frame_samples, frame_sdr, pair
from .signals import Signals

TAPS = 512
_BLOCK = 4096  # FFT length of the correlations
_BLOCKS_AT_ONCE = 32
_SMALLEST_PIVOT = 1e-13  # of the largest: below it Cholesky's answer is rounding error
_SAMPLES_AT_ONCE = 1 << 18  # of frames that are read together


def ffmpeg_available() -> bool:
    """Whether ffmpeg and ffprobe are on the PATH; museval and musdb need them to be imported."""
    return shutil.which("ffmpeg") is not None and shutil.which("ffprobe") is not None


def bss_eval(
    references, estimates, sample_rate: int, window: float = 1.0, hop: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """SDR, ISR, SIR and SAR of sources that are scored together.

    One set of 512-tap filters for the whole track; frames and silence by the rules of
    `framewise_sdr`, which gives the same SDR far faster. SDR and ISR are those of
    museval 0.4.1 (its `evaluate`, mode v4) within 1e-6 dB; SIR and SAR too, where the
    delayed references are told apart in float64. Elsewhere museval solves a system that
    is singular up to rounding, and here the directions that only rounding tells are left
    out. Two mono references of 2000 samples beside a QR solution (LAPACK's gelsy), SIR
    in dB of the two sources, as tests/metrics/test_bsseval.py measures it:

    ==============================================  ============  ==============  ============
    references                                      here          museval         QR
    ==============================================  ============  ==============  ============
    white noise                                     as QR         as QR           to 1e-9
    nothing above 0.9 of Nyquist, float32           11.31, 11.62  11.32, 11.64    11.34, 11.64
    nothing above 0.5 of Nyquist, float32           11.57, 11.62  -19.62, -33.02  11.44, 11.50
    the second a delayed copy of the first          36.87, 8.65   36.87, 8.65     36.87, 8.65
    the same, rounded to float32                    36.87, 8.65   -0.20, -31.10   24.43, 8.42
    the same, with noise at 1e-6 of it beside it    24.25, 8.45   24.25, 8.45     24.24, 8.45
    the second 0.3 times the first, float32         > 150         13.71, 10.89    27.55, 22.18
    ==============================================  ============  ==============  ============

    With noise at 1e-6 the processor decides the second decimal. For references that lack
    a band, as resampled ones do, these values are within 0.2 dB of QR's while museval's
    may lie 40 dB below. For copies that differ by rounding alone, QR fits the estimates to
    the rounding; here the copies count as one signal, as exact ones do.
    `sepkit.metrics.examine` names such references.

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
        raise SepkitError(
            f"bss_eval: expected (sources, channels, samples), got shape {tuple(references.shape)}"
        )
    frame_samples(sample_rate, window, hop)  # complains, where it must, before the work
    named = [{str(k): x for k, x in enumerate(sources)} for sources in (references, estimates)]
    signals = Signals(named[0], named[1])
    correlations = Correlations()
    for start in range(0, signals.samples, correlations.block):
        correlations.add(signals.read(start, correlations.block + correlations.ahead))
    sdr, silent, ratios = frame_by_frame(
        signals, sample_rate, window, hop, filters(signals, correlations)
    )
    if silent.any(0).any(0).all():
        _warn_of_silence(references, estimates)
    return tuple(x.cpu().numpy() for x in (sdr, *ratios))


def _warn_of_silence(references, estimates):
    silent = []
    for what, sources in (("reference", references), ("estimate", estimates)):
        for index in (sources.sum(1) == 0).all(-1).nonzero().flatten().tolist():
            why = (
                "has channels that cancel (BSSEval takes that for silence)"
                if sources[index].any()
                else "is silent"
            )
            silent.append(f"{what} {index} {why} throughout")
    if silent:
        warnings.warn(
            f"bss_eval: {', '.join(silent)}; every score of this track is NaN", stacklevel=3
        )


def frame_by_frame(
    signals: Signals, sample_rate: int, window: float = 1.0, hop: float = 1.0, filters=None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """All framewise ratios of a song, a few frames at a time.

    Parameters
    ----------
    signals : Signals
    sample_rate : int
        In Hz.
    window, hop : float
        In seconds.
    filters : optional
        What `filters` returns; without them there is no ISR, SIR and SAR.

    Returns
    -------
    sdr : (sources, frames)
        NaN where any source is silent.
    silent : bool (2, sources, frames)
        Of references and estimates, by the rule of `sepkit.metrics.framewise_sdr`.
    ratios : (3, sources, frames)
        ISR, SIR, SAR.
    """
    size, step = frame_samples(sample_rate, window, hop)
    size = min(size, signals.samples)  # shorter audio is one frame
    count = 1 + (signals.samples - size) // step
    together = max(1, (_SAMPLES_AT_ONCE - size) // step + 1)
    spectra = None
    if filters is not None:
        spectra = [torch.fft.rfft(taps, _transform_length(size)) for taps in filters]
    # Filled in place: small results made between large parts would keep the parts' memory in use.
    sources = len(signals.names)
    sdr = torch.full((sources, count), torch.nan, dtype=torch.float64)
    silent = torch.zeros(2, sources, count, dtype=torch.bool)
    ratios = torch.full((3, sources, count), torch.nan, dtype=torch.float64)
    for first in range(0, count, together):
        here = slice(first, first + min(together, count - first))
        frames = here.stop - first
        whole = signals.read(first * step, (frames - 1) * step + size)
        framed = whole.unfold(-1, size, step)  # (2, J, C, frames, size)
        values, quiet = frame_sdr(*framed)  # (J, frames), (2, J, frames)
        left_out = quiet.any(0).any(0)
        sdr[:, here], silent[..., here] = values.masked_fill(left_out, torch.nan), quiet
        if spectra is None:
            continue
        for frame in (~left_out).nonzero().flatten().tolist():
            ratios[..., first + frame] = _ratios(*framed[..., frame, :], *spectra)
    device = values.device
    return sdr.to(device), silent.to(device), ratios.to(device)


def filters(signals: Signals, correlations: "Correlations") -> tuple[torch.Tensor, torch.Tensor]:
    """Least-squares filters from the references to every channel of the estimates.

    Parameters
    ----------
    signals : Signals
    correlations : Correlations
        Of all its samples.

    Returns
    -------
    alone : (J, C, C, TAPS)
        From the channels of source j to those of estimate j.
    together : (J C, J C, TAPS)
        From all channels to all channels of the estimates.
    """
    sources, channels = len(signals.names), signals.channels
    everything = sources * channels
    auto, cross = correlations.at_lags()
    kept = _distinct_channels(signals, auto)
    together = _fit(auto, cross, kept)
    if sources == 1:
        return together[None], together
    alone = []
    for first in range(0, everything, channels):
        own = slice(first, first + channels)
        kept_here = [k - first for k in kept if first <= k < first + channels]
        alone.append(_fit(auto[own, own], cross[own, own], kept_here))
    return torch.stack(alone), together


class Correlations:
    """Correlations of the references at lags 0 to TAPS - 1, with themselves and with the estimates.

    Of the channels x and y: the sum over n of x_a(n) x_b(n + lag), and of x_a(n) y_b(n + lag).
    Parts are to start `block` samples apart, and to hold `ahead` samples more.
    """

    _length = _BLOCK - TAPS + 1  # of x in one FFT: what it meets in y fills the rest
    block, ahead = _BLOCKS_AT_ONCE * _length, TAPS - 1

    def __init__(self):
        self._total = None

    def add(self, part: torch.Tensor) -> None:
        """Take a part (2, sources, channels, samples) into account; zeros follow the last."""
        part = part[..., : self.block + self.ahead].flatten(1, 2)  # (2, K, samples)
        blocks = min(_BLOCKS_AT_ONCE, -(-part.shape[-1] // self._length))
        part = torch.nn.functional.pad(
            part, (0, max(0, blocks * self._length + TAPS - 1 - part.shape[-1]))
        )
        pieces = part.unfold(-1, _BLOCK, self._length)[:, :, :blocks]  # (2, K, blocks, BLOCK)
        # (F, blocks, 2 K), (F, K, blocks)
        later = torch.fft.rfft(pieces).flatten(0, 1).permute(2, 1, 0).contiguous()
        now = torch.fft.rfft(pieces[0, ..., : self._length], _BLOCK).permute(2, 0, 1).contiguous()
        if self._total is None:
            self._total = later.new_zeros(len(later), now.shape[1], later.shape[2])
        self._total.baddbmm_(now.conj(), later)

    def at_lags(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Of references with references, and with estimates: (K, K, TAPS) each."""
        lags = torch.fft.irfft(self._total.permute(1, 2, 0), _BLOCK)[..., :TAPS]
        return lags[:, : len(lags)], lags[:, len(lags) :]


def _distinct_channels(signals, auto):
    """The numbers of the channels that are neither silent nor equal to an earlier one."""
    kept, energies = [], auto[..., 0].diagonal().tolist()
    for k, energy in enumerate(energies):
        alike = (other for other in kept if math.isclose(energy, energies[other], rel_tol=1e-9))
        if energy > 0 and not any(_equal(signals, k, other) for other in alike):
            kept.append(k)
    return kept


def _equal(signals, *numbers):
    """Whether two channels of the references, counted through all of them, are the same."""
    sources = list(signals.references.values())
    places = [divmod(number, signals.channels) for number in numbers]
    for start in range(0, signals.samples, _SAMPLES_AT_ONCE):
        frames = min(_SAMPLES_AT_ONCE, signals.samples - start)
        one, other = (sources[source].read(start, frames)[channel] for source, channel in places)
        if not torch.equal(one, other):
            return False
    return True


def _fit(auto, cross, kept):
    """Filters (A, B, TAPS) from the kept channels (zero from others) to those of the estimates."""
    filters = torch.zeros_like(cross)
    if kept:
        count, matrix = len(kept), _normal_matrix(auto[kept][:, kept])
        right = cross[kept].transpose(1, 2).reshape(count * TAPS, -1)  # (channels and lags, B)
        filters[kept] = _solve(matrix, right).reshape(count, TAPS, -1).transpose(1, 2)
    return filters


def _normal_matrix(auto):
    """The Gram matrix of delayed channels: (A, A, TAPS) -> (A TAPS, A TAPS), Toeplitz blocks."""
    count = len(auto)
    matrix = auto.new_empty(count, TAPS, count, TAPS)
    # lags TAPS - 1 ... -TAPS + 1
    falling = torch.cat([auto.flip(-1), auto.transpose(0, 1)[..., 1:]], -1)
    for row in range(TAPS):  # column k has lag row - k
        matrix[:, row] = falling[..., TAPS - 1 - row : 2 * TAPS - 1 - row]
    return matrix.view(count * TAPS, count * TAPS)


def _solve(matrix, right):
    """Solve by Cholesky; without the dependent rows where the matrix is singular in float64."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    pivots = factor.diagonal().square()
    if not failed and pivots.min() > _SMALLEST_PIVOT * pivots.max():
        return torch.cholesky_solve(right, factor)
    del factor
    # pivoted: the rows that tell most come first
    factor, order, rank, _ = dpstrf(matrix.cpu().numpy(), lower=1)
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
    # what the estimate has of its reference, and of all references, (J, C, F)
    own = torch.stack([_filtered(x, taps) for x, taps in zip(truth, alone)])
    every = _filtered(truth.flatten(0, 1), together).view_as(own)
    pairs = (truth, own - truth), (own, every - own), (every, estimate - every)
    return torch.stack([20 * torch.log10(_norm(signal) / _norm(error)) for signal, error in pairs])


def _filtered(spectra, filters):
    """(A, F), (A, B, F) -> (B, F). Spectrum by spectrum fits the cache: half the time of einsum."""
    results = torch.empty_like(filters[0])
    for b, result in enumerate(results):
        torch.mul(filters[0, b], spectra[0], out=result)
        for spectrum, taps in zip(spectra[1:], filters[1:, b]):
            result.addcmul_(taps, spectrum)
    return results


def _transform_length(size):
    return next_fast_len(size + TAPS - 1, real=True)


def _half_spectrum(signals, length):
    """The spectrum (..., F) that an rfft keeps, weighted to half of the whole spectrum's energy."""
    spectrum = torch.fft.rfft(signals, length)
    unpaired = [0, -1] if length % 2 == 0 else [0]  # the bins that are not there twice
    spectrum[..., unpaired] *= math.sqrt(0.5)
    return spectrum


def _norm(spectra):
    """(J, C, F) -> (J,)"""
    return torch.linalg.vector_norm(torch.view_as_real(spectra), dim=(1, 2, 3))
