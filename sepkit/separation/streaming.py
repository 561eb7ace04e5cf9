"""Recordings of any rate, channels and length through one separator.

A separator works at its own sample rate, with its own number of channels, and
on as much audio as fits into memory. `separate_at` converts rate and channels;
`stream` separates overlapping chunks. Chapter 04 compares chunked with whole.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from .. import audio
from ..errors import SepkitError, warn
from .base import Separator, check_mixture, share_remainder

#: Seconds separated at once, and by how much neighbours overlap: the defaults everywhere.
#: Open-Unmix needs 14 MB for a second of stereo; from 0.75 s after an edge on, where fades begin,
#: its estimates differ from those of the whole by less than -35 dB, from 2 s on by less than
#: -70 dB. See tests/bench/bench_separation.py.
CHUNK = 30.0
OVERLAP = 3.0

Estimates = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Chunk:
    """Samples [start, stop) are separated at once; over `fade`, (first, last), it fades in."""

    start: int
    stop: int
    fade: tuple[int, int]


def plan(total: int, chunk: int | None = None, overlap: int = 0, grid: int = 1) -> list[Chunk]:
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
        They cover every sample, and at most two overlap at any place.

    Raises
    ------
    SepkitError
        For a chunk or overlap out of range.
    """
    if chunk is None or total <= chunk:
        return [Chunk(0, total, (0, 0))]
    if chunk < 1 or not 0 <= overlap <= chunk / 2:
        raise SepkitError(
            f"chunk of {chunk} samples, overlap of {overlap}: "
            "the overlap must be 0 or more, and at most half a chunk"
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


def join(chunks: list[Chunk], separate: Callable[[int, int], Estimates]) -> Iterator[Estimates]:
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
        Finished parts, in order: end to end they are the recording.
    """
    tail: Estimates = {}  # the end of the chunk before, which the next one fades into
    for chunk, following in zip(chunks, [*chunks[1:], None]):
        estimates = separate(chunk.start, chunk.stop)
        fade_start, fade_stop = chunk.fade
        stop, tail_stop = following.fade if following else (chunk.stop, chunk.stop)
        fade = fade_stop - fade_start
        rise = (torch.arange(fade, dtype=torch.float32) + 0.5) / max(1, fade)  # (fade,), 0 to 1
        finished = {}
        for target, estimate in estimates.items():
            now = estimate[..., fade_start - chunk.start : stop - chunk.start]
            if tail:
                before = tail[target]
                faded = before + rise * (now[..., : before.shape[-1]] - before)
                now = torch.cat([faded, now[..., before.shape[-1] :]], -1)
            finished[target] = now
        tail = {
            target: estimate[..., stop - chunk.start : tail_stop - chunk.start].clone()
            for target, estimate in estimates.items()
        }
        yield finished


def stream(
    separator: Separator,
    track,
    chunk: float | None = CHUNK,
    overlap: float = OVERLAP,
    progress: Callable[[float, float], None] | None = None,
) -> Iterator[Estimates]:
    """Separate a recording of any length and rate, part by part.

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
            f"chunk {chunk} s, overlap {overlap} s: expected a chunk above 0, "
            "and an overlap of at most half of it"
        )
    if chunk is None:
        chunks = plan(track.samples)
    else:
        size = max(2, round(chunk * rate))
        shared = min(size // 2, round(overlap * rate))
        chunks = plan(track.samples, size, shared, _grid(separator, rate, size // 4))
    with_references = separator.uses_references and track.stems

    def separate(start, stop):
        frames = stop - start
        references = track.references(start, frames) if with_references else None
        return separate_at(separator, track.mixture(start, frames), rate, references, notice=None)

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
    # `down` samples of the recording last as long as `up` of the separator's
    up, down = own // common, rate // common
    grids = (down * step // math.gcd(up, step) for step in separator.steps)
    return next((grid for grid in grids if grid <= longest), down)


def separate_at(
    separator: Separator,
    mixture: torch.Tensor,
    sample_rate: int,
    references: Estimates | None = None,
    notice: Callable[[str], None] | None = warn,
) -> Estimates:
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
        Called with one line about what was converted; by default a Python warning.

    Returns
    -------
    dict of str to Tensor (channels, samples)
        At `sample_rate`. With the separator's `residual` option, or where one target is the
        `rest`, they sum to `mixture` at that rate: what the resampling lost is in the remainder.

    Raises
    ------
    SepkitError
        If the mixture is empty, not finite, or has more than two channels; and as
        the separator raises.
    """
    check_mixture(mixture)
    if notice and (message := conversions(separator, sample_rate, mixture.shape[0])):
        notice(message)
    if separator.channels == 1 and mixture.shape[0] == 2:
        return _channel_by_channel(separator, mixture, sample_rate, references)
    channels, samples = mixture.shape
    rate = separator.sample_rate or sample_rate

    def to_separator(x):
        return audio.to_channels(
            audio.resample(x, sample_rate, rate), separator.channels or channels
        )

    def to_recording(x):
        x = audio.resample(audio.to_channels(x, channels), rate, sample_rate)[..., :samples]
        return torch.nn.functional.pad(x, (0, samples - x.shape[-1]))

    if references is not None:
        references = {name: to_separator(x) for name, x in references.items()}
    estimates = separator.separate(to_separator(mixture), references)
    estimates = {target: to_recording(x) for target, x in estimates.items()}
    if separator.rest:  # what the resampling lost is no part of the others
        others = [
            x for target, x in estimates.items() if target not in (separator.rest, "residual")
        ]
        estimates[separator.rest] = mixture - sum(others)
    return share_remainder(mixture, estimates, separator.residual)


def _channel_by_channel(separator, mixture, sample_rate, references):
    """Stereo for a mono separator: it gets each channel by itself."""
    sides = []
    for c in range(mixture.shape[0]):
        side = {name: x[c : c + 1] for name, x in (references or {}).items()} or None
        sides.append(separate_at(separator, mixture[c : c + 1], sample_rate, side, notice=None))
    return {target: torch.cat([side[target] for side in sides]) for target in sides[0]}


def conversions(separator: Separator, sample_rate: int, channels: int) -> str | None:
    """What `separate_at` will convert for this separator, in one line, or None."""
    changes = []
    if separator.sample_rate not in (None, sample_rate):
        changes.append(f"{sample_rate} Hz is resampled to {separator.sample_rate} Hz and back")
    if (channels, separator.channels) == (1, 2):
        changes.append("mono is duplicated to stereo, and averaged back")
    if (channels, separator.channels) == (2, 1):
        changes.append("each channel is separated by itself")
    return f"for {separator.name}, {' and '.join(changes)}" if changes else None
