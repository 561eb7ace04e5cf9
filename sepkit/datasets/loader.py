"""Loading: tracks decoded once, and batches of chunks faster than a network uses them up.

Worker processes share decoded tracks, and stay from epoch to epoch. Chapter 04 trains with both;
chapter 07 measures what workers and batches do (`throughput`).
"""

import math
import signal
import time
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from ..errors import SepkitError
from ..files import atomic_path, digest, free_bytes
from ..runtime.processes import end_with_parent
from ..runtime.threads import in_threads
from .chunks import Chunks
from .track import Track

__all__ = ["DecodedTrack", "Examples", "decoded", "loader", "throughput"]

#: 16-bit samples per full scale of 1.0.
FULL_SCALE = 32768
#: Part of every cached file's name: another layout is another file.
LAYOUT = "stems, channels, samples; 2"
#: The worker processes of chunks that are still in use.
_WORKERS: weakref.WeakKeyDictionary[Chunks, "_Workers"] = weakref.WeakKeyDictionary()


class DiskSpace(UserWarning):
    """Disk space is about to be taken."""


def warn(message: str) -> None:
    """Issue a `DiskSpace` warning."""
    warnings.warn(message, DiskSpace, stacklevel=3)


def loader(
    chunks: Chunks, recipe: Any, skip: int = 0, rank: int = 0, world: int = 1, pin: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of the chunks' current epoch.

    Which examples a batch holds depends on its number alone: with `world` processes
    batch number n of process `rank` is part `rank` of the n-th batch of `world` times the size.

    Parameters
    ----------
    chunks : Chunks
        Its worker processes, if there are any, live as long as it does.
    recipe : Recipe
        Its `batch` (examples per process) and `workers` are used.
    skip : int
        Batches to leave out, because a run had them before it was interrupted.
    rank, world : int
        Number of this process, and of all. With several, an incomplete batch at the
        end of an epoch is left out, since all must take equally many steps.
    pin : bool
        Put batches into pinned memory, from where a GPU fetches them faster.

    Yields
    ------
    stems : Tensor
        (batch, stems, channels, frames), float32
    indices : Tensor
        (batch,), the examples' numbers

    Raises
    ------
    SepkitError
        As reading tracks does; when an epoch has less than one batch for each process;
        when a worker process dies.
    """
    requests = _Requests(len(chunks), recipe.batch, rank, world)
    requests.begin(chunks.epoch, skip)
    if recipe.workers:
        source = _Workers.of(chunks).batches(chunks, requests, recipe.workers, pin)
    else:
        source = map(_Fetch(chunks).__getitem__, requests)
    while True:
        try:
            batch = next(source, None)
        except (RuntimeError, EOFError, ConnectionError) as error:
            if (
                not recipe.workers
                or str(error).startswith("Caught ")
                or (isinstance(error, RuntimeError) and "DataLoader worker" not in str(error))
            ):
                raise
            reason = "a process that prepares batches died, perhaps for want of memory"
            raise SepkitError(
                f"{reason}; use fewer workers (now {recipe.workers}) or a smaller batch "
                f"(now {recipe.batch})"
            ) from None
        if isinstance(batch, SepkitError):
            raise batch
        if batch is None:
            return
        yield batch


class _Requests(Sampler):
    """(epoch, example numbers) for every batch of the rest of an epoch."""

    def __init__(self, examples, batch, rank, world):
        self.batch, self.rank, self.whole = batch, rank, batch * world
        self.examples = examples if world == 1 else examples - examples % self.whole
        if not self.examples:
            raise SepkitError(
                f"an epoch of {examples} examples is less than a batch of {batch} for each of "
                f"{world} processes; use a smaller batch or more samples_per_track"
            )

    def begin(self, epoch, skip):
        self.epoch, self.skip = epoch, skip

    def __iter__(self):
        epoch, begin = self.epoch, self.skip * self.whole + self.rank * self.batch
        for first in range(begin, self.examples, self.whole):
            yield epoch, list(range(first, min(first + self.batch, self.examples)))


class _Fetch(Dataset):
    """One request, one batch: what a worker process does. A `SepkitError` is passed on as it is."""

    def __init__(self, chunks):
        # Weak, or chunks and their workers would keep each other alive.
        self.chunks = weakref.ref(chunks)

    def __getstate__(self):
        return self.chunks()

    def __setstate__(self, chunks):
        self.chunks = lambda: chunks

    def __getitem__(self, request):
        epoch, indices = request
        chunks = self.chunks()
        chunks.set_epoch(epoch)
        try:
            allocate = _shared if get_worker_info() else torch.empty
            return chunks.stack(indices, allocate), torch.tensor(indices)
        except SepkitError as error:
            return error


def _shared(shape):
    """A tensor in shared memory, so that a batch is not copied on its way to the training loop.

    Made as torch's own `default_collate` does.
    """
    return torch.empty(0).set_(torch.UntypedStorage._new_shared(4 * math.prod(shape)), 0, shape)


class _Workers:
    """The worker processes of some chunks, kept from epoch to epoch."""

    key = loader = None

    @classmethod
    def of(cls, chunks):
        if chunks not in _WORKERS:
            _WORKERS[chunks] = workers = cls()
            # Processes end when the chunks do, also where these are part of a cycle.
            weakref.finalize(chunks, workers.close)
        return _WORKERS[chunks]

    def batches(self, chunks, requests, workers, pin):
        key = (requests.batch, requests.rank, requests.whole, workers, pin)
        if key != self.key:
            self.close()
            self.key = key
            self.loader = DataLoader(
                _Fetch(chunks),
                batch_size=None,
                sampler=requests,
                num_workers=workers,
                persistent_workers=True,
                pin_memory=pin,
                worker_init_fn=_ignore_interrupts,
                # Its own generator, or the loader would draw from that of dropout.
                generator=torch.Generator().manual_seed(0),
            )
        self.loader.sampler.begin(requests.epoch, requests.skip)
        return iter(self.loader)

    def close(self):
        self.key = self.loader = None


def _ignore_interrupts(worker):
    """Ctrl-C reaches all processes of a terminal; the training loop finishes its step first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


class Examples(Dataset):
    """Finished examples one by one: pairs (mixture, target), (channels, frames) each.

    To look at them, and for small training loops; `loader` gives whole batches.

    Parameters
    ----------
    chunks : Chunks
    mix : callable
        What `sepkit.datasets.remix.pipeline` returns.
    """

    def __init__(self, chunks: Chunks, mix: Callable):
        self.chunks, self.mix = chunks, mix

    def __len__(self):
        return len(self.chunks)

    def __getitem__(self, index):
        mixture, target = self.mix(
            self.chunks.stack([index]), torch.tensor([index]), self.chunks.epoch
        )
        return mixture[0], target[0]


class DecodedTrack(Track):
    """A track whose stems lie decoded in memory or in a mapped file.

    Parameters
    ----------
    track : Track
        Gives name, rate and stems.
    identity : str
        What ``track.identity()`` was when the samples were read.
    samples : ndarray or Path
        int16 or float32, (stems, channels, samples), or the ``.npy`` file that holds
        them. A file is mapped: reading a part touches only its bytes, and a process
        that gets the track maps the file again instead of copying it.
    """

    def __init__(self, track: Track, identity: str, samples: np.ndarray | Path):
        super().__init__(track.name, track.stems, track.sample_rate, track.samples, track.channels)
        self.seekable = True
        self.paths, self._identity = track.paths, identity
        self._file = samples if isinstance(samples, Path) else None
        self._samples = _mapped(samples) if self._file else samples

    def identity(self) -> str:
        """What the identity of the track was when its samples were read."""
        return self._identity

    def __getstate__(self):
        return {**self.__dict__, "_samples": None} if self._file else self.__dict__

    def __setstate__(self, state):
        self.__dict__.update(state)
        if self._file:
            self._samples = _mapped(self._file)

    def _read_file(self, name, start, frames):
        if name == "mixture":
            return sum(self._read_file(stem, start, frames) for stem in self.stems)
        stem = self.stems.index(name)
        part = self._samples[stem, :, start : start + frames]  # (channels, frames)
        scale = 1 / FULL_SCALE if part.dtype == np.int16 else 1.0
        return torch.from_numpy(np.multiply(part, scale, dtype=np.float32))


def _mapped(path):
    try:
        return np.load(path, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise SepkitError(
            f"{path}: a damaged file of decoded samples ({error}); delete it to have it made again"
        ) from None


def decoded(
    tracks: Sequence[Track],
    folder: str | Path | None = None,
    workers: int | None = None,
    notice: Callable[[str], None] | None = warn,
) -> list[DecodedTrack]:
    """Decode tracks once, so that cutting chunks costs next to nothing.

    Training a small network otherwise spends a third of its time on reading
    and resampling files.

    Parameters
    ----------
    tracks : list of Track
    folder : str or Path, optional
        Keep the samples in files there and map them into memory (for data
        sets larger than the memory, or for several runs over the same
        tracks). By default they are held in memory: 10 MB per minute and
        stem in stereo at 44.1 kHz.
    workers : int, optional
        Songs decoded at a time; by default one per core, at most 8.
    notice : callable or None
        Gets one line about the disk space needed, before it is taken.

    Returns
    -------
    list of DecodedTrack
        Samples are 16-bit, which changes nothing in data sets that are, as
        MUSDB18-HQ and the band; a track that goes beyond full scale is kept
        as float. The mixture is the sum of the stems.

    Raises
    ------
    SepkitError
        As reading the tracks; if the disk has no room for them, before anything
        is written; if a file of the cache is damaged.
    """
    if folder is None:
        return in_threads(_in_memory, tracks, workers)
    folder = Path(folder)
    identities = in_threads(lambda track: track.identity(), tracks, workers)
    paths = [folder / f"{digest(LAYOUT, identity)}.npy" for identity in identities]
    missing = {path: track for track, path in zip(tracks, paths) if not path.exists()}
    if missing:
        need = sum(in_threads(_bytes, missing.values(), workers))
        free = free_bytes(folder)
        message = (
            f"{folder}: {len(missing)} songs to decode need {need / 1e9:.2f} GB on disk; "
            f"{free / 1e9:.2f} GB are free"
        )
        if need > free:
            raise SepkitError(f"{message}; free some space or choose another folder")
        if notice:
            notice(message)
        in_threads(lambda path: _write(missing[path], path), missing, workers)
    return [DecodedTrack(*found) for found in zip(tracks, identities, paths)]


def _in_memory(track):
    return DecodedTrack(track, track.identity(), _samples(track))


def _bytes(track):
    return 2 * len(track.stems) * track.channels * track.samples


class _BeyondFullScale(Exception):
    pass


def _stems(track, dtype):
    """The stems one after another, (channels, samples) each."""
    for name in track.stems:
        stem = track.stem(name)
        if dtype == np.int16:
            if stem.abs().max() > 1:
                raise _BeyondFullScale
            stem = stem.mul(FULL_SCALE).round_().clamp_(-FULL_SCALE, FULL_SCALE - 1).to(torch.int16)
        yield stem.numpy()


def _samples(track):
    try:
        return np.stack(list(_stems(track, np.int16)))
    except _BeyondFullScale:
        return np.stack(list(_stems(track, np.float32)))


def _write(track, path):
    """The decoded stems as a .npy file; one stem is in memory at a time."""
    for dtype in (np.int16, np.float32):
        try:
            with atomic_path(path) as temporary, open(temporary, "wb") as file:
                shape = len(track.stems), track.channels, track.samples
                header = {
                    "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
                    "fortran_order": False,
                    "shape": shape,
                }
                np.lib.format.write_array_header_1_0(file, header)
                for stem in _stems(track, dtype):
                    file.write(np.ascontiguousarray(stem))
            return
        except _BeyondFullScale:
            continue


def throughput(
    tracks: Sequence[Track],
    workers: Sequence[int] = (0, 1, 2),
    batches: Sequence[int] = (1, 4, 16),
    seconds: float = 6.0,
    step: Callable[[Tensor], object] | None = None,
    lasting: float = 2.0,
) -> list[dict]:
    """Examples per second, by worker processes and batch size.

    Without a step, this is what the loader can give. With one, it is what a training gets,
    and the share of the time in which the step was at work instead of waiting for data
    (the third report, section 3.3: less than 10 % to 40 % of a GPU). Chapter 07 shows the table.

    Parameters
    ----------
    tracks : list of Track
    workers, batches : sequence of int
        Tried in all combinations.
    seconds : float
        Length of a chunk.
    step : callable, optional
        What is done with a batch of stems (B, S, C, T). On a GPU it must wait for its end.
    lasting : float
        Seconds for each combination. The first batch, which waits for the processes to start,
        is not counted.

    Returns
    -------
    list of dict
        workers, batch, examples_per_second, busy (0 to 1; NaN without a step)
    """
    return [
        dict(workers=count, batch=batch, **_measured(tracks, count, batch, seconds, step, lasting))
        for count in workers
        for batch in batches
    ]


@dataclass(frozen=True)
class _Sizes:
    batch: int
    workers: int


def _measured(tracks, workers, batch, seconds, step, lasting):
    chunks = Chunks(tracks, seconds, per_track=10_000)  # an epoch that does not end before its time
    began, examples, working = None, 0, 0.0
    for stems, _ in loader(chunks, _Sizes(batch, workers)):
        arrived = time.perf_counter()
        if step:
            step(stems)
        done = time.perf_counter()
        if began is None:
            began = done
            continue
        examples, working = examples + len(stems), working + done - arrived
        if done - began >= lasting:
            break
    return dict(
        examples_per_second=examples / (done - began),
        busy=working / (done - began) if step else float("nan"),
    )
