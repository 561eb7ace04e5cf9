"""Random numbers that depend on the example and the purpose, and on nothing else."""

import numpy as np
import torch


class Draws:
    """The random numbers of a batch.

    Every example has, for every name, a generator of its own: Philox, whose
    key is made of (seed, epoch, name) and whose counter starts at the index of
    the example. So what is drawn for one purpose changes nothing elsewhere:
    an augmentation can be switched off without disturbing the others, and
    neither the batch size nor the number of workers or processes matters.
    Chapter 07 relies on it when it changes one part of a recipe at a time.

    Parameters
    ----------
    seed, epoch : int
        Not negative.
    indices : sequence of int, or Tensor (B,)
        Which examples of the epoch the batch holds.
    mix_prob : float
        How often an example is a remix, see `remixed`.

    Notes
    -----
    Counter-based generators: Salmon, Moraes, Dror and Shaw, "Parallel random
    numbers: as easy as 1, 2, 3", SC 2011; here numpy's.
    """

    def __init__(self, seed, epoch, indices, mix_prob=1.0):
        self.seed, self.epoch, self.mix_prob = int(seed), int(epoch), mix_prob
        self.indices = [int(index) for index in indices]

    def __len__(self):
        return len(self.indices)

    def generators(self, name):
        """For each example in turn the generator of that name, at its beginning: (B) numpy Generators."""
        key = np.random.SeedSequence([self.seed, self.epoch, *name.encode()]).generate_state(
            2, np.uint64
        )
        for index in self.indices:
            yield np.random.Generator(
                np.random.Philox(key=key, counter=np.array([0, 0, 0, index], dtype=np.uint64))
            )

    def uniform(self, name, *shape):
        """Numbers in [0, 1): float64 on the CPU, (B, *shape)."""
        return torch.from_numpy(np.stack([rng.random(shape) for rng in self.generators(name)]))

    @property
    def remixed(self):
        """Which examples are remixes, their stems from tracks and places of their own: bool, (B,).

        `Chunks` and `Cut` both ask here, so that they agree without passing it on.
        """
        return self.uniform("remixed") < self.mix_prob
