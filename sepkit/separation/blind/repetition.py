"""Music repeats, the voice does not: REPET and REPET-SIM.

What comes again and again in the spectrogram is background; what is left of the
mixture is foreground, the voice. Rafii and Pardo, "REpeating Pattern Extraction
Technique (REPET): a simple method for music/voice separation", IEEE TASLP 2013, and
"Music/voice separation using the similarity matrix", ISMIR 2012. Chapter 03 uses both.
"""

import math

import numpy as np
import torch

from ...errors import SepkitError
from .masking import MaskSeparator, loudness


def beat_spectrum(magnitude: torch.Tensor) -> torch.Tensor:
    """How alike the spectrogram is to itself by lag: it peaks where the music repeats.

    The autocorrelation over time of each bin's power, unbiased, averaged over bins
    and divided by its value at lag 0 (Rafii and Pardo 2013, section II-A).

    Parameters
    ----------
    magnitude : Tensor (bins, frames)

    Returns
    -------
    Tensor (frames,)
        By lag in frames. All zero for silence.
    """
    frames = magnitude.shape[-1]
    power = magnitude.double().square()  # (F, N)
    size = 1 << (2 * frames - 1).bit_length()
    spectrum = torch.fft.rfft(power, size).abs().square().sum(0)
    lags = torch.fft.irfft(spectrum, size)[:frames]  # sum over bins of the autocorrelation
    lags = lags / torch.arange(frames, 0, -1, dtype=lags.dtype, device=lags.device)
    return (lags / lags[0] if lags[0] > 0 else torch.zeros_like(lags)).to(magnitude.dtype)


def repeating_period(
    beat: torch.Tensor, shortest: int, longest: int | None = None, tolerance: int = 2
) -> int:
    """The lag whose whole multiples are peaks of the beat spectrum.

    For a candidate p, at every multiple ``k p`` (the largest lags left out, being
    averages of little): if the largest value within `tolerance` frames is the largest
    within 3/4 p as well, it is a peak, and counts by its height above the mean there.
    The candidate with the largest mean over its multiples wins (Rafii and Pardo 2013,
    algorithm 1).

    Parameters
    ----------
    beat : Tensor (frames,)
        From `beat_spectrum`.
    shortest, longest : int
        Frames; `longest` is by default, and at most, a third of all: a pattern must
        come three times for a median to mean anything.
    tolerance : int

    Returns
    -------
    int
        Frames. `shortest` where nothing repeats.

    Raises
    ------
    SepkitError
        If there is no room for three patterns of the shortest length.
    """
    b = beat.double().cpu().numpy()
    longest = min(longest or len(b), len(b) // 3)
    if not 1 <= shortest <= longest:
        raise SepkitError(
            f"REPET: {len(b)} frames are too short for a pattern of {shortest} frames or more "
            "to come three times; "
            "use a longer recording, a smaller `shortest`, or hpss"
        )
    b = b[: len(b) - len(b) // 4]
    scores = []
    for period in range(shortest, longest + 1):
        centres, reach = range(period, len(b), period), 3 * period // 4
        score = 0.0
        for centre in centres:
            low = max(0, centre - reach)
            around = b[low : centre + reach + 1]
            near = b[max(0, centre - tolerance) : centre + tolerance + 1].max()
            if near == around.max():
                score += near - around.mean()
        scores.append(score / len(centres))
    return shortest + int(np.argmax(scores))


def repet_mask(magnitude: torch.Tensor, period: int) -> torch.Tensor:
    """The share of every bin that repeats with a period.

    The median over all repetitions of a frame is the repeating model W; no larger than
    the mixture V itself, ``min(W, V) / V`` is the mask of the background (Rafii and
    Pardo 2013, sections II-B and II-C).

    Parameters
    ----------
    magnitude : Tensor (bins, frames)
    period : int
        Frames.

    Returns
    -------
    Tensor (bins, frames)
        0 (all foreground) to 1 (all background); 1 in silence.

    Raises
    ------
    SepkitError
        If the period is below 1 or longer than the spectrogram.
    """
    bins, frames = magnitude.shape
    if not 1 <= period <= frames:
        raise SepkitError(
            f"repet_mask: a period of {period} in {frames} frames; expected 1 to {frames}"
        )
    repeats = math.ceil(frames / period)
    padded = torch.full((bins, repeats * period), float("nan"), dtype=magnitude.dtype)
    padded[:, :frames] = magnitude.cpu()
    model = np.nanmedian(padded.reshape(bins, repeats, period).numpy(), axis=1)  # (F, period)
    return _explained_share(
        torch.from_numpy(model).to(magnitude).repeat(1, repeats)[:, :frames], magnitude
    )


def similar_frames(magnitude: torch.Tensor, apart: int = 22, neighbours: int = 10):
    """For every frame the frames most like it, as a sparse matrix.

    Likeness is the cosine between two frames. Of one frame's likenesses only those
    count that are the largest within `apart` frames, so that neighbours are different
    moments and not one long note; of these the `neighbours` largest. A frame is always
    its own best neighbour. (librosa's ``recurrence_matrix`` would keep the earliest
    of many candidates, and lose exact copies.)

    Parameters
    ----------
    magnitude : Tensor (bins, frames)
    apart : int
        Frames: half a second or so.
    neighbours : int
        At most; Rafii and Pardo 2012 took up to 100 per song, a second apart.

    Returns
    -------
    scipy.sparse.csc_matrix (frames, frames)
        1 in row i of column j where frame i is similar to frame j, as
        `librosa.decompose.nn_filter` takes it.

    Raises
    ------
    SepkitError
        If there are not three such distances in the recording.
    """
    from scipy.sparse import csc_matrix

    frames = magnitude.shape[-1]
    if apart < 1 or neighbours < 1 or frames < 3 * apart:
        raise SepkitError(
            f"REPET-SIM: {frames} frames with similar ones {apart} apart, {neighbours} "
            f"neighbours; expected at least {3 * max(apart, 1)} "
            "frames and 1 neighbour: use a longer recording, or hpss"
        )
    magnitude = magnitude.cpu()
    tiny = torch.finfo(magnitude.dtype).tiny
    unit = magnitude / magnitude.norm(dim=0).clamp(min=tiny)  # (F, N)
    likeness = (unit.T @ unit).fill_diagonal_(2.0)  # (N, N), nothing more like a frame than itself
    largest = torch.nn.functional.max_pool1d(
        likeness[None], 2 * apart + 1, stride=1, padding=apart
    )[0]
    likeness = torch.where(likeness == largest, likeness, 0.0)
    values, rows = likeness.topk(min(neighbours, frames))  # (N, neighbours)
    kept = values > 0
    ends = torch.nn.functional.pad(kept.sum(1).cumsum(0), (1, 0))
    return csc_matrix(
        (np.ones(int(ends[-1])), rows[kept].numpy(), ends.numpy()), shape=(frames, frames)
    )


def repet_sim_mask(magnitude: torch.Tensor, apart: int = 22, neighbours: int = 10) -> torch.Tensor:
    """The share of every bin that comes again in similar frames, wherever they are.

    Each frame is modelled by the median over its `similar_frames`
    (`librosa.decompose.nn_filter`), the mask is as in `repet_mask`: Rafii and Pardo
    2012. Patterns need no fixed period.

    Parameters
    ----------
    magnitude, apart, neighbours
        As for `similar_frames`.

    Returns
    -------
    Tensor (bins, frames)
        As `repet_mask`.

    Raises
    ------
    SepkitError
        As `similar_frames`.
    """
    from librosa.decompose import nn_filter

    model = nn_filter(
        magnitude.cpu().numpy(),
        rec=similar_frames(magnitude, apart, neighbours),
        aggregate=np.median,
    )
    return _explained_share(torch.from_numpy(model).to(magnitude), magnitude)


class _RepetitionSeparator(MaskSeparator):
    """Vocals are what does not repeat, and lies above `lowest` Hz."""

    def __init__(self, name, pattern_seconds, lowest, n_fft, hop, sample_rate, residual):
        super().__init__(
            name, ("vocals", "accompaniment"), n_fft, hop, sample_rate, residual=residual
        )
        # A recording must hold three patterns; what lies below `lowest` Hz does not count.
        self.pattern_seconds, self.lowest = pattern_seconds, lowest

    def separate(self, mixture, references=None):
        self._check(mixture)
        seconds = mixture.shape[-1] / self.sample_rate
        if seconds < 3 * self.pattern_seconds:
            raise SepkitError(
                f"{self.name}: {seconds:.2f} s are too short to find what repeats; "
                f"use a recording of {3 * self.pattern_seconds:.1f} s or more, or hpss"
            )
        return super().separate(mixture, references)

    def background(self, magnitude):
        raise NotImplementedError

    def masks(self, spectrogram, references=None):
        magnitude = loudness(spectrogram)
        vocals = 1 - self.background(magnitude) if magnitude.any() else torch.zeros_like(magnitude)
        vocals[self._below(self.lowest)] = 0
        return {"vocals": vocals}

    def _in_frames(self, seconds):
        return max(1, round(seconds * self.sample_rate / self.stft.hop))

    def describe(self):
        return {**super().describe(), "lowest": self.lowest}


class REPETSeparator(_RepetitionSeparator):
    """Vocals as what does not repeat with the music's period, found in the beat spectrum.

    A recording that is separated by chunks gets a period for every chunk, as the
    paper's extension to full songs has it. Targets: ``vocals`` and ``accompaniment``.

    Parameters
    ----------
    shortest, longest : float
        Bounds of the period, in seconds; never more than a third of the audio.
    lowest : float
        Hz: what lies below is accompaniment (Rafii and Pardo 2013 use 100).
    n_fft, hop, sample_rate : int
    name : str
    residual : None, "spread" or "residual"

    Raises
    ------
    SepkitError
        When separating less than three times `shortest`.
    """

    def __init__(
        self,
        shortest: float = 0.8,
        longest: float = 8.0,
        lowest: float = 100.0,
        n_fft: int = 2048,
        hop: int = 1024,
        sample_rate: int = 44100,
        name: str = "repet",
        residual: str | None = None,
    ):
        super().__init__(name, shortest, lowest, n_fft, hop, sample_rate, residual)
        self.shortest, self.longest = shortest, longest

    def background(self, magnitude):
        """The mask of what repeats."""
        period = repeating_period(
            beat_spectrum(magnitude), self._in_frames(self.shortest), self._in_frames(self.longest)
        )
        return repet_mask(magnitude, period)

    def describe(self):
        """Bounds of the period, beside what both methods say."""
        return {**super().describe(), "shortest": self.shortest, "longest": self.longest}


class REPETSIMSeparator(_RepetitionSeparator):
    """Vocals as what has no likeness elsewhere in the recording, `repet_sim_mask`.

    Targets: ``vocals`` and ``accompaniment``.

    Parameters
    ----------
    apart : float
        Seconds, see `similar_frames`.
    neighbours : int
    lowest : float
        Hz: what lies below is accompaniment.
    n_fft, hop, sample_rate : int
    name : str
    residual : None, "spread" or "residual"

    Raises
    ------
    SepkitError
        When separating less than three times `apart`.
    """

    def __init__(
        self,
        apart: float = 0.5,
        neighbours: int = 10,
        lowest: float = 100.0,
        n_fft: int = 2048,
        hop: int = 1024,
        sample_rate: int = 44100,
        name: str = "repet-sim",
        residual: str | None = None,
    ):
        super().__init__(name, apart, lowest, n_fft, hop, sample_rate, residual)
        self.apart, self.neighbours = apart, neighbours

    def background(self, magnitude):
        """The mask of what comes again."""
        return repet_sim_mask(magnitude, self._in_frames(self.apart), self.neighbours)

    def describe(self):
        """What similar frames are, beside what both methods say."""
        return {**super().describe(), "apart": self.apart, "neighbours": self.neighbours}


def _explained_share(model, magnitude):
    """The part of a magnitude that its model explains, 1 where there is nothing to explain."""
    sounds = magnitude > 0
    return torch.where(
        sounds, torch.minimum(model, magnitude) / torch.where(sounds, magnitude, 1.0), 1.0
    )
