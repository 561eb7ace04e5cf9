"""Loading: decoded tracks, and batches of their chunks, faster than a network uses them up.

Tracks are decoded once into 16-bit samples, in memory or in files that are mapped
into it. Worker processes share them, and stay from epoch to epoch. Chapter 04 trains
with a cache, chapter 07 measures what workers and batches do (`throughput`).
"""

import hashlib
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ..errors import SepkitError
from ..files import atomic_path, free_bytes
from .track import Track

FULL_SCALE = 32768
#: Part of every cached file's name: another layout is another file.
LAYOUT = "stems, channels, samples; 2"
#: Songs decoded at a time, at most: each holds a stem in memory.
THREADS = 8


class DecodedTrack(Track):
    """A track whose stems lie decoded in memory or in a mapped file.

    Parameters
    ----------
    track : Track
        Gives name, rate and stems.
    samples : ndarray or Path
        int16 or float32, (stems, channels, samples), or the ``.npy`` file that holds
        them. A file is mapped: reading a part touches only its bytes, and a process
        that gets the track maps the file again instead of copying it.
    """

    def __init__(self, track, samples):
        super().__init__(track.name, track.stems, track.sample_rate, track.samples, track.channels)
        self.paths = track.paths
        self._file = samples if isinstance(samples, Path) else None
        self._samples = _mapped(samples) if self._file else samples

    def __getstate__(self):
        return {**self.__dict__, "_samples": None} if self._file else self.__dict__

    def __setstate__(self, state):
        self.__dict__.update(state)
        if self._file:
            self._samples = _mapped(self._file)

    def _read_file(self, name, start, frames):
        if name == "mixture":
            return sum(self._read_file(stem, start, frames) for stem in self.stems)
        part = self._samples[self.stems.index(name), :, start : start + frames]  # (channels, frames)
        scale = 1 / FULL_SCALE if part.dtype == np.int16 else 1.0
        return torch.from_numpy(np.multiply(part, scale, dtype=np.float32))


def _mapped(path):
    try:
        return np.load(path, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise SepkitError(f"{path}: a damaged file of decoded samples ({error}); delete it to have it made again") from None


def decoded(tracks, folder=None, workers=None, notice=None):
    """Decode tracks once, so that cutting chunks costs next to nothing.

    Training a small network otherwise spends a third of its time on reading
    and resampling files.

    Parameters
    ----------
    tracks : list of Track
    folder : str or Path, optional
        Keep the samples in files there and map them into memory (for data
        sets larger than the memory, or for several runs over the same
        tracks). By default they are held in memory: 10 MB a minute a stem
        in stereo at 44.1 kHz.
    workers : int, optional
        Songs decoded at a time; by default one a core, at most 8.
    notice : callable, optional
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
        return in_threads(lambda track: DecodedTrack(track, _samples(track)), tracks, workers)
    folder = Path(folder)
    paths = [folder / f"{name}.npy" for name in in_threads(fingerprint, tracks, workers)]
    missing = [(track, path) for track, path in zip(tracks, paths) if not path.exists()]
    if missing:
        need = sum(in_threads(lambda job: _bytes(job[0]), missing, workers))
        free = free_bytes(folder)
        told = f"{folder}: {len(missing)} songs to decode need {need / 1e9:.2f} GB on disk; {free / 1e9:.2f} GB are free"
        if need > free:
            raise SepkitError(f"{told}; free some space or choose another folder")
        if notice:
            notice(told)
        in_threads(lambda job: _write(*job), missing, workers)
    return [DecodedTrack(track, path) for track, path in zip(tracks, paths)]


def in_threads(function, items, workers=None):
    """``[function(item) for item in items]``, several at a time; after an error no further one is begun."""
    pool = ThreadPoolExecutor(workers or min(THREADS, os.cpu_count() or 1))
    try:
        return list(pool.map(function, items))
    finally:
        pool.shutdown(cancel_futures=True)


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
                header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                for stem in _stems(track, dtype):
                    file.write(np.ascontiguousarray(stem))
            return
        except _BeyondFullScale:
            continue


def fingerprint(track, purpose=LAYOUT):
    """A name for what is derived from a track; it changes when the track does.

    Made of the sizes and times of the files the track is read from, or of its samples when there are none.
    """
    digest = hashlib.sha256(repr((purpose, track.name, track.sample_rate, track.channels, track.stems)).encode())
    for path in track.paths:
        state = path.stat()
        digest.update(repr((path.name, state.st_size, state.st_mtime_ns)).encode())
    for stem in () if track.paths else track.stems:
        digest.update(track.stem(stem).numpy().tobytes())
    return digest.hexdigest()[:20]


# --- batches ----------------------------------------------------------------------------------------------


def loader(chunks, recipe, skip=0, rank=0, world=1, pin=False):
    """The batches of the chunks' current epoch.

    Which examples a batch holds depends on its number alone: with `world` processes
    batch number n of process `rank` is part `rank` of the n-th batch of `world` times the size.

    Parameters
    ----------
    chunks : Chunks
        Its worker processes, if there are any, live as long as it does.
    recipe : Recipe
        Its `batch` (examples a process) and `workers` are used.
    skip : int
        Batches that are left out, because they have been seen before an interruption.
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
        source = _working(chunks, requests, recipe.workers, pin)
    else:
        source = map(_Fetch(chunks).__getitem__, requests)
    while True:
        try:
            batch = next(source, None)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            reason = "a process that prepares batches died, perhaps for want of memory"
            raise SepkitError(f"{reason}; use fewer workers (now {recipe.workers}) or a smaller batch (now {recipe.batch})") from None
        if isinstance(batch, SepkitError):
            raise batch
        if batch is None:
            return
        yield batch


class _Requests(Sampler):
    """What is to be fetched: (epoch, example numbers) for every batch of the rest of an epoch."""

    def __init__(self, examples, batch, rank, world):
        self.batch, self.rank, self.whole = batch, rank, batch * world
        self.examples = examples if world == 1 else examples - examples % self.whole
        if not self.examples:
            raise SepkitError(
                f"an epoch of {examples} examples is less than a batch of {batch} for each of {world} processes; "
                "use a smaller batch or more samples_per_track"
            )

    def begin(self, epoch, skip):
        self.epoch, self.skip = epoch, skip

    def __iter__(self):
        firsts = range(self.skip * self.whole + self.rank * self.batch, self.examples, self.whole)
        return iter([(self.epoch, list(range(first, min(first + self.batch, self.examples)))) for first in firsts])


class _Fetch(Dataset):
    """What a worker does: one request, one batch. An error of ours travels as itself, in one line."""

    def __init__(self, chunks):
        self.chunks = chunks

    def __getitem__(self, request):
        epoch, indices = request
        self.chunks.set_epoch(epoch)
        try:
            return self.chunks.stack(indices), torch.tensor(indices)
        except SepkitError as error:
            return error


def _working(chunks, requests, workers, pin):
    """The batches of `requests` from worker processes, which are kept with the chunks for the next epoch."""
    key = (requests.batch, requests.rank, requests.whole, workers, pin)
    kept = getattr(chunks, "_kept_loader", None)
    if kept is None or kept[0] != key:
        kept = key, DataLoader(
            _Fetch(chunks), batch_size=None, sampler=requests, num_workers=workers, persistent_workers=True, pin_memory=pin,
            worker_init_fn=_let_the_loop_stop_us,
            generator=torch.Generator().manual_seed(0),  # or the loader would draw from the generator of dropout
        )  # fmt: skip
        chunks._kept_loader = kept
    kept[1].sampler.begin(requests.epoch, requests.skip)
    return iter(kept[1])


def _let_the_loop_stop_us(worker):
    """Ctrl-C goes to all processes of a terminal; the loop wants to finish its step first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Examples(Dataset):
    """Finished examples one at a time: pairs (mixture, target), (channels, frames) each.

    For a look at them, and for small loops of one's own; `loader` gives whole batches.

    Parameters
    ----------
    chunks : Chunks
    mix : callable
        What `sepkit.datasets.remix.pipeline` returns.
    """

    def __init__(self, chunks, mix):
        self.chunks, self.mix = chunks, mix

    def __len__(self):
        return len(self.chunks)

    def __getitem__(self, index):
        mixture, target = self.mix(self.chunks.stack([index]), torch.tensor([index]), self.chunks.epoch)
        return mixture[0], target[0]
