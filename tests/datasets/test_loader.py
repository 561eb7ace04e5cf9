"""Batches do not depend on workers, processes or interruptions; throughput is what it says."""

import gc
import multiprocessing
import os
import pickle
import types

import numpy as np
import pytest
import torch

from sepkit.datasets import MemoryTrack, remix
from sepkit.datasets.chunks import Chunks
from sepkit.datasets.loader import Examples, _Fetch, loader, throughput
from sepkit.errors import SepkitError
from sepkit.training.recipe import Recipe

RATE = 1000
STEMS = ("vocals", "drums", "bass", "other")


def songs(count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        MemoryTrack(f"t{i}", {s: torch.randn(2, 3000, generator=generator) for s in STEMS}, RATE)
        for i in range(count)
    ]


def recipe(batch=4, workers=0):
    return Recipe(batch=batch, workers=workers)


def epoch(chunks, number=0, **options):
    """The batches of an epoch as [(stems, indices)]."""
    chunks.set_epoch(number)
    given = {name: options.pop(name) for name in ("batch", "workers") if name in options}
    return [
        (stems.clone(), indices.tolist())
        for stems, indices in loader(chunks, recipe(**given), **options)
    ]


def same(some, others):
    return len(some) == len(others) and all(
        a[1] == b[1] and torch.equal(a[0], b[0]) for a, b in zip(some, others)
    )


def test_batches_hold_every_example_once_in_order():
    chunks = Chunks(songs(), 1.0, per_track=6)
    batches = epoch(chunks)
    assert [indices for _, indices in batches] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10, 11],
        [12, 13, 14, 15],
        [16, 17],
    ]
    for stems, indices in batches:
        assert (
            torch.equal(stems, torch.stack([chunks[index][0] for index in indices]))
            and stems.dtype == torch.float32
        )


def test_workers_stay_and_change_nothing():
    plain, working = (Chunks(songs(), 1.0, per_track=6, mix_prob=0.5) for _ in range(2))
    here = set(multiprocessing.active_children())
    assert same(epoch(working, 0, workers=2), epoch(plain, 0))
    processes = set(multiprocessing.active_children()) - here
    assert len(processes) == 2
    for number in (1, 5, 0):  # other epochs, from the same processes
        assert same(epoch(working, number, workers=2), epoch(plain, number))
    assert same(epoch(working, 5, workers=2, skip=3), epoch(plain, 5)[3:])
    assert set(multiprocessing.active_children()) - here == processes
    working.itself = working  # a cycle, as in a class that keeps its bound methods
    del working
    gc.collect()
    for process in processes:
        process.join(10)
    assert not any(process.is_alive() for process in processes)


def test_an_epoch_that_is_broken_off_leaves_nothing_behind():
    plain, working = (Chunks(songs(), 1.0, per_track=6) for _ in range(2))
    working.set_epoch(0)
    for _ in loader(working, recipe(workers=2)):
        break
    assert same(epoch(working, 1, workers=2), epoch(plain, 1))


def test_what_a_worker_does_can_be_sent_to_a_fresh_process():
    """On macOS and Windows workers are not copies of the process that starts them."""
    chunks = Chunks(songs(), 1.0, per_track=6)
    epoch(chunks, workers=1)
    stems, indices = pickle.loads(pickle.dumps(_Fetch(chunks)))[2, [3, 4]]
    chunks.set_epoch(2)
    assert torch.equal(stems, chunks.stack([3, 4])) and indices.tolist() == [3, 4]


@pytest.mark.parametrize("skip", [0, 1, 4, 5])
def test_an_interrupted_epoch_goes_on_where_it_stopped(skip):
    chunks = Chunks(songs(), 1.0, per_track=6)
    assert same(epoch(chunks, 3, skip=skip), epoch(chunks, 3)[skip:])


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_the_batch_of_one(world):
    chunks = Chunks(songs(), 1.0, per_track=9)  # 27 examples
    ranks = [epoch(chunks, 0, batch=2, rank=rank, world=world) for rank in range(world)]
    whole = epoch(chunks, 0, batch=2 * world)
    assert len({len(batches) for batches in ranks}) == 1 and len(ranks[0]) == 27 // (2 * world)
    for number, parts in enumerate(zip(*ranks)):
        assert same(
            [
                (
                    torch.cat([stems for stems, _ in parts]),
                    sum((indices for _, indices in parts), []),
                )
            ],
            [whole[number]],
        )
    assert same(epoch(chunks, 0, batch=2, rank=1, world=world, skip=2), ranks[1][2:])


def test_workers_leave_the_random_numbers_of_the_loop_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    epoch(Chunks(songs(), 1.0, per_track=2), workers=1)
    assert torch.equal(torch.rand(1), expected)


class Broken(MemoryTrack):
    """A track that cannot be read from sample `first` on; `end` says how."""

    def _read_file(self, name, start, frames):
        if start >= 1500:
            self.end()
        return super()._read_file(name, start, frames)

    def end(self):
        error = SepkitError("song.wav: broken off; copy it again")
        error.number = 7
        raise error


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_arrives_as_it_is(workers):
    chunks = Chunks([Broken("t", {"vocals": torch.randn(1, 3000)}, RATE)], 1.0, per_track=16)
    with pytest.raises(SepkitError) as caught:
        epoch(chunks, workers=workers)
    assert str(caught.value) == "song.wav: broken off; copy it again" and caught.value.number == 7


class Killed(Broken):
    def end(self):
        os._exit(9)


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # torch also complains while it tidies up
def test_the_death_of_a_worker_is_explained():
    chunks = Chunks([Killed("t", {"vocals": torch.randn(1, 3000)}, RATE)], 1.0, per_track=16)
    with pytest.raises(
        SepkitError,
        match=r"a process that prepares batches died.*use fewer workers \(now 1\) or a "
        r"smaller batch \(now 4\)",
    ):
        epoch(chunks, workers=1)


def test_less_than_a_batch_for_each_process_is_refused():
    with pytest.raises(
        SepkitError,
        match="an epoch of 6 examples is less than a batch of 4 for each of 2 processes",
    ):
        epoch(Chunks(songs(), 1.0, per_track=2), world=2)


def test_single_examples_are_those_of_the_batches():
    plan = Recipe(batch=4, chunk_seconds=1.0, samples_per_track=4, silence=0.2)
    chunks = Chunks(songs(), plan.chunk_seconds, plan.samples_per_track, plan.seed)
    mix = remix.pipeline(plan, chunks.stems, "bass", RATE)
    examples = Examples(chunks, mix)
    singles = [examples[index] for index in range(len(examples))]
    for stems, indices in loader(chunks, plan):
        for index, *pair in zip(indices.tolist(), *mix(stems, indices, 0)):
            assert all(
                torch.equal(one, other) for one, other in zip(singles[index], pair, strict=True)
            )


# --- throughput -----------------------------------------------------------------------


def test_throughput_counts_examples_and_the_share_of_the_step(monkeypatch):
    """With a clock that only the step and the reading of an example move, the figures are known."""
    now = [0.0]
    monkeypatch.setattr(
        "sepkit.datasets.loader.time", types.SimpleNamespace(perf_counter=lambda: now[0])
    )
    monkeypatch.setattr(
        Chunks,
        "stack",
        lambda self, indices, allocate: (
            now.__setitem__(0, now[0] + 0.25 * len(indices)) or torch.zeros(len(indices), 1)
        ),
    )

    def step(stems):
        now[0] += 1.0

    rows = throughput(songs(), workers=(0,), batches=(1, 4), seconds=1.0, step=step, lasting=20.0)
    assert [(row["workers"], row["batch"]) for row in rows] == [(0, 1), (0, 4)]
    assert [row["examples_per_second"] for row in rows] == pytest.approx([1 / 1.25, 4 / 2.0])
    assert [row["busy"] for row in rows] == pytest.approx([1 / 1.25, 1 / 2.0])
    (alone,) = throughput(songs(), workers=(0,), batches=(2,), seconds=1.0, lasting=20.0)
    assert alone["examples_per_second"] == pytest.approx(4.0) and np.isnan(alone["busy"])
