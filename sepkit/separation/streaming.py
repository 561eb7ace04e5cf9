"""Any rate, any length: how a separator meets recordings that are not made for it.

A separator works at its own sample rate, with its own number of channels, and
on as much audio as fits into memory. `separate_at` bridges the first two;
`stream` the third, by overlapping chunks. Chapter 04 compares chunked with whole.
"""

import math
from dataclasses import dataclass

import torch

from .. import audio
from ..errors import SepkitError, warn
from .base import check_mixture, share_remainder

#: Seconds separated at once, and by how much neighbours overlap. Open-Unmix needs 14 MB for a second of
#: stereo; from 0.75 s after an edge on, where fades begin, its estimates differ from those of the whole by
#: less than -35 dB, from 2 s on by less than -70 dB. See tests/bench/bench_separation.py.
CHUNK = 30.0
OVERLAP = 3.0


@dataclass(frozen=True)
class Chunk:
    """Samples [start, stop) are separated at once; over `fade` the chunk takes over from the one before."""

    start: int
    stop: int
    fade: tuple


def plan(total, chunk=None, overlap=0, grid=1):
    """Divide a recording into overlapping chunks of about equal length.

    Of each overlap, only the middle half is cross-faded: the outer quarters give
    the separator context, and are where resamplers and STFTs have their edges.

    Parameters
    ----------
    total : int
        Samples of the recording.
    chunk : int, optional
        Longest chunk. None: the whole recording at once.
    overlap : int
        Samples shared by neighbours, at most half a chunk.
    grid : int
        Chunks start at multiples of this; they can get longer than `chunk` by less than it.

    Returns
    -------
    list of Chunk
        They cover every sample, and at most two are heard at any place.

    Raises
    ------
    SepkitError
        For a chunk or overlap out of range.
    """
    if chunk is None or total <= chunk:
        return [Chunk(0, total, (0, 0))]
    if chunk < 1 or not 0 <= overlap <= chunk / 2:
        raise SepkitError(
            f"chunk of {chunk} samples, overlap of {overlap}: the overlap must be 0 or more, and at most half a chunk"
        )
    count = math.ceil((total - overlap) / (chunk - overlap))
    stride = math.ceil((total - overlap) / count / grid) * grid
    starts = range(0, max(1, total - overlap), stride)
    quarter = overlap // 4
    return [
        Chunk(
            start,
            min(start + stride + overlap, total),
            (start + quarter, start + overlap - quarter) if start else (0, 0),
        )
        for start in starts
    ]


def join(chunks, separate):
    """Cross-fade the estimates of overlapping chunks, with a gain of exactly one.

    The fades are linear and add up to one: where two estimates agree, as those of
    a separator that returns its input, the result is that estimate.

    Parameters
    ----------
    chunks : list of Chunk
    separate : callable
        ``separate(start, stop)`` gives {target: (channels, stop - start)}.

    Yields
    ------
    dict of str to Tensor (channels, n)
        Finished stretches, in order: end to end they are the recording.
    """
    held = {}  # the end of the chunk before, which the next one fades into
    for chunk, following in zip(chunks, [*chunks[1:], None]):
        estimates = separate(chunk.start, chunk.stop)
        first, settled = chunk.fade
        end, last = following.fade if following else (chunk.stop, chunk.stop)
        rise = (torch.arange(settled - first, dtype=torch.float32) + 0.5) / max(1, settled - first)
        finished = {}
        for target, estimate in estimates.items():
            at = estimate[..., first - chunk.start : end - chunk.start]
            if held:
                before = held[target]
                faded = before + rise * (at[..., : before.shape[-1]] - before)
                at = torch.cat([faded, at[..., before.shape[-1] :]], -1)
            finished[target] = at
        held = {
            target: estimate[..., end - chunk.start : last - chunk.start].clone()
            for target, estimate in estimates.items()
        }
        yield finished


def stream(separator, track, chunk=CHUNK, overlap=OVERLAP, progress=None):
    """Separate a recording of any length and rate, stretch by stretch.

    Parameters
    ----------
    separator : Separator
    track : Track
        Or anything with ``name``, ``sample_rate``, ``samples``, ``mixture(start,
        frames)``, ``stems`` and ``references(start, frames)``. The true stems are read
        only for separators that use them.
    chunk, overlap : float or None
        In seconds; ``chunk=None`` separates the whole at once.
    progress : callable, optional
        Called with the seconds done and the seconds in all.

    Yields
    ------
    dict of str to Tensor (channels, n)
        At the track's rate and with its channels, in order, as they are finished.

    Raises
    ------
    SepkitError
        For a chunk or overlap out of range, and as `separate_at`.
    """
    rate = track.sample_rate
    if chunk is not None and not (chunk > 0 and 0 <= overlap <= chunk / 2):
        raise SepkitError(
            f"chunk {chunk} s, overlap {overlap} s: expected a chunk above 0, and an overlap of at most half of it"
        )
    size = None if chunk is None else max(2, round(chunk * rate))
    shared = 0 if chunk is None else min(size // 2, round(overlap * rate))
    chunks = plan(
        track.samples, size, shared, 1 if chunk is None else _grid(separator, rate, size // 4)
    )
    informed = separator.uses_references and track.stems

    def separate(start, stop):
        references = track.references(start, stop - start) if informed else None
        return separate_at(
            separator, track.mixture(start, stop - start), rate, references, notice=None
        )

    done = 0
    for finished in join(chunks, separate):
        yield finished
        done += next(iter(finished.values())).shape[-1]
        if progress:
            progress(done / rate, track.samples / rate)


def _grid(separator, rate, longest):
    """The distance between places where a chunk may start, in samples of the recording.

    Each is a whole number of the separator's steps (its hop, its filter's window), so
    that all chunks are cut into the frames that the whole would be cut into: away from
    their edges, chunked and whole estimates are then equal. Steps that the two rates
    make longer than `longest` are given up; whole samples at both rates never are.
    """
    own = separator.sample_rate or rate
    common = math.gcd(rate, own)
    up, down = (
        own // common,
        rate // common,
    )  # `down` samples of the recording last as long as `up` of the separator's
    grids = (down * step // math.gcd(up, step) for step in separator.steps)
    return next((grid for grid in grids if grid <= longest), down)


def separate_at(separator, mixture, sample_rate, references=None, notice=warn):
    """Separate audio of any rate, mono or stereo, with any separator.

    The audio is resampled to the separator's rate and the estimates back. Mono is
    duplicated for a stereo separator and its estimates averaged; of stereo, a mono
    separator gets each channel by itself.

    Parameters
    ----------
    separator : Separator
    mixture : Tensor (channels, samples)
    sample_rate : int
        Of `mixture` and `references`, in Hz.
    references : dict of str to Tensor, optional
        The true stems, for oracles.
    notice : callable or None
        Told in one line what was changed on the way; by default a Python warning.

    Returns
    -------
    dict of str to Tensor (channels, samples)
        At `sample_rate`. With the separator's `residual` option they sum to `mixture`
        at that rate, so what the resampling lost is in the remainder.

    Raises
    ------
    SepkitError
        If the mixture is empty, not finite, or has more than two channels; and as
        the separator raises.
    """
    check_mixture(mixture)
    if notice and (message := conversions(separator, sample_rate, mixture.shape[0])):
        notice(message)
    channels, samples = mixture.shape
    if separator.channels == 1 and channels == 2:
        sides = [
            separate_at(
                separator,
                mixture[c : c + 1],
                sample_rate,
                _each(references, lambda x, c=c: x[c : c + 1]),
                None,
            )
            for c in (0, 1)
        ]
        return {target: torch.cat([side[target] for side in sides]) for target in sides[0]}
    rate = separator.sample_rate or sample_rate

    def there(x):
        return audio.to_channels(
            audio.resample(x, sample_rate, rate), separator.channels or channels
        )

    def back(x):
        x = audio.resample(audio.to_channels(x, channels), rate, sample_rate)[..., :samples]
        return torch.nn.functional.pad(x, (0, samples - x.shape[-1]))

    estimates = _each(separator.separate(there(mixture), _each(references, there)), back)
    return share_remainder(mixture, estimates, separator.residual)


def conversions(separator, sample_rate, channels):
    """What `separate_at` will change for this separator, in one line, or None."""
    told = []
    if separator.sample_rate not in (None, sample_rate):
        told.append(f"{sample_rate} Hz is resampled to {separator.sample_rate} Hz and back")
    if (channels, separator.channels) == (1, 2):
        told.append("mono is duplicated to stereo, and averaged back")
    if (channels, separator.channels) == (2, 1):
        told.append("each channel is separated by itself")
    return f"for {separator.name}, {' and '.join(told)}" if told else None


def _each(audios, change):
    return None if audios is None else {name: change(x) for name, x in audios.items()}
