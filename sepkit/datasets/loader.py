"""Loading: batches of chunks, faster than a network uses them up.

Worker processes share decoded tracks (`sepkit.datasets.decoding`), and stay from epoch
to epoch. Chapter 07 measures what workers and batches do (`throughput`).
"""

import math
import signal
import time
import weakref
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from ..errors import SepkitError
from ..runtime.processes import end_with_parent
from .chunks import Chunks
from .decoding import DecodedTrack, decoded

__all__ = ["DecodedTrack", "Examples", "decoded", "loader", "throughput"]


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
                f"{reason}; use fewer workers (now {recipe.workers}) or a smaller batch (now {recipe.batch})"
            ) from None
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
        epoch, firsts = (
            self.epoch,
            range(self.skip * self.whole + self.rank * self.batch, self.examples, self.whole),
        )
        return (
            (epoch, list(range(first, min(first + self.batch, self.examples)))) for first in firsts
        )


class _Fetch(Dataset):
    """What a worker does: one request, one batch. An error of ours travels as itself, in one line."""

    def __init__(self, chunks):
        self.chunks = weakref.ref(
            chunks
        )  # or chunks would live as long as their workers, and the other way round

    def __getstate__(self):
        return self.chunks()

    def __setstate__(self, chunks):
        self.chunks = lambda: chunks

    def __getitem__(self, request):
        epoch, indices = request
        chunks = self.chunks()
        chunks.set_epoch(epoch)
        try:
            return chunks.stack(
                indices, _shared if get_worker_info() else torch.empty
            ), torch.tensor(indices)
        except SepkitError as error:
            return error


def _shared(shape):
    """A tensor in shared memory, made as torch's own `default_collate` does: the batch is not copied on its way to the loop."""
    return torch.empty(0).set_(torch.UntypedStorage._new_shared(4 * math.prod(shape)), 0, shape)


class _Workers:
    """The worker processes of some chunks, kept from epoch to epoch."""

    key = loader = None

    @classmethod
    def of(cls, chunks):
        if not hasattr(chunks, "_workers"):
            chunks._workers = cls()
            weakref.finalize(
                chunks, chunks._workers.close
            )  # also when chunks end as part of a cycle: in good order
        return chunks._workers

    def batches(self, chunks, requests, workers, pin):
        key = (requests.batch, requests.rank, requests.whole, workers, pin)
        if key != self.key:
            self.close()
            self.key, self.loader = (
                key,
                DataLoader(
                    _Fetch(chunks),
                    batch_size=None,
                    sampler=requests,
                    num_workers=workers,
                    persistent_workers=True,
                    pin_memory=pin,
                    worker_init_fn=_let_the_loop_stop_us,
                    generator=torch.Generator().manual_seed(
                        0
                    ),  # or the loader would draw from the generator of dropout
                ),
            )
        self.loader.sampler.begin(requests.epoch, requests.skip)
        return iter(self.loader)

    def close(self):
        self.key = self.loader = None


def _let_the_loop_stop_us(worker):
    """Ctrl-C goes to all processes of a terminal; the loop wants to finish its step first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


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
        mixture, target = self.mix(
            self.chunks.stack([index]), torch.tensor([index]), self.chunks.epoch
        )
        return mixture[0], target[0]


def throughput(tracks, workers=(0, 1, 2), batches=(1, 4, 16), seconds=6.0, step=None, lasting=2.0):
    """How many examples a second arrive, by worker processes and batch size.

    Without a step, this is what the loader can give. With one, it is what a training gets,
    and the share of the time in which the step was at work instead of waiting for data
    (the third report, section 3.3: less than 10 % to 40 % of a GPU). Chapter 07 shows the table.

    Parameters
    ----------
    tracks : list of Track
    workers, batches : sequence of int
        What is tried, in all combinations.
    seconds : float
        Length of a chunk.
    step : callable, optional
        What is done with a batch of stems (B, S, C, T). On a GPU it must wait for its end.
    lasting : float
        Seconds for each combination. The first batch, which waits for the processes to start, is not counted.

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
