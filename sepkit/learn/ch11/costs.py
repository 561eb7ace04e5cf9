"""What separation and training cost: seconds by threads, memory by length, seconds an epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.autograd.graph import saved_tensors_hooks

from ...models.base import Model
from ...separation import Separator

#: Bytes per weight in training with Adam: the weight, its gradient, and two averages.
BYTES_PER_WEIGHT = 4 * 4


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Compute with so many threads, until the block is left."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def real_time_factor(separator: Separator, seconds: float, number: int, turns: int) -> list[float]:
    """Seconds of computing per second of audio, in each of a few turns.

    Parameters
    ----------
    separator : Separator
        It gets noise: no network here is faster or slower for other audio.
    seconds : float
        Length of the audio.
    number : int
        Threads.
    turns : int
        How often; a first turn that makes buffers is not counted.
    """
    noise = torch.Generator().manual_seed(0)
    samples = int(seconds * (separator.sample_rate or 44100))
    mixture = 0.1 * torch.randn(separator.channels or 2, samples, generator=noise)
    with threads(number):
        separator.separate(mixture)
        return [elapsed(lambda: separator.separate(mixture)) / seconds for _ in range(turns)]


def elapsed(work: Callable[[], object], device: torch.device | None = None) -> float:
    """Seconds that `work` takes; on a GPU, until it has ended there."""
    clock = time.perf_counter()
    work()
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - clock


def training_step(
    network: Model, batch: int, seconds: float, device: torch.device
) -> Callable[[], None]:
    """A function that takes one step of Adam on noise: forward, backward, update."""
    network.to(device).train()
    optimiser = torch.optim.Adam(network.parameters())
    mixture = 0.1 * torch.randn(
        batch, network.channels, int(seconds * network.sample_rate), device=device
    )

    def step():
        optimiser.zero_grad()
        network.loss(mixture, 0.5 * mixture).backward()
        optimiser.step()

    return step


def training_memory(network: Model, batch: int, seconds: float) -> int:
    """Bytes that training with Adam holds at its peak, as the forward pass ends.

    That is `BYTES_PER_WEIGHT` for each weight, and every tensor that the forward pass keeps for
    the backward pass, each counted once. Intermediate results that are freed at once are left
    out: the measure belongs to the network, not to the machine.

    Parameters
    ----------
    network : Model
    batch : int
    seconds : float
        Length of an example.
    """
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    held: dict[int, int] = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    mixture = 0.1 * torch.randn(batch, network.channels, int(seconds * network.sample_rate))
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = network.train().loss(mixture, 0.5 * mixture)
    del loss  # until here, what is held is held
    return sum(held.values()) + BYTES_PER_WEIGHT * sum(p.numel() for p in network.parameters())
