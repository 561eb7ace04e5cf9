"""Chapter 04: counting an LSTM, a training step, when to stop, losses by hand, Wiener gain."""

import numpy as np
import torch

LSTM = 3 * 4 * (512 * 512 + 512 * 512 + 2 * 512)


def gain(level):
    return 1 / (1 + 10 ** (-level / 10))


def step(cleared="first", share=1 / 4, moves=1, used=slice(None), after=False, told=None):
    """A training step over the pieces of a batch, right or with one slip."""

    def one_step(network, optimiser, parts):
        losses = []
        if cleared == "first" and not after:
            optimiser.zero_grad()
        for mixtures, targets in parts[used]:
            if cleared == "each":
                optimiser.zero_grad()
            loss = network.loss(mixtures, targets)
            (share * loss).backward()
            losses.append(loss.detach())
        if cleared == "late":
            optimiser.zero_grad()
        for _ in range(moves):
            optimiser.step()
        if after:
            optimiser.zero_grad()
        return float(sum(losses) / len(losses)) if told is None else told(losses)

    return one_step


def divided_afterwards(network, optimiser, parts):
    optimiser.zero_grad()
    losses = []
    for part in parts:
        losses.append(network.loss(*part))
        losses[-1].backward()
    for weight in network.parameters():
        weight.grad /= len(parts)
    optimiser.step()
    return np.mean([loss.item() for loss in losses])


def summed_first(network, optimiser, parts):
    loss = sum(network.loss(*part) for part in parts) / len(parts)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss


def each_by_itself(network, optimiser, parts):
    for part in parts:
        loss = network.loss(*part)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return loss.item()


def at_once(network, optimiser, parts):
    loss = network.loss(*(torch.cat(side) for side in zip(*parts)))
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


ANSWERS = {
    1: {
        "right": [LSTM, float(LSTM), np.int64(LSTM), torch.tensor([LSTM]), 6_303_744.0],
        "wrong": [
            (4_730_880, "that is the BLSTM"),
            (2_365_440, "one direction of the BLSTM"),
            (2 * LSTM, "reads forwards only"),
            (LSTM - 12 * 512, "two bias vectors"),
            (LSTM - 12 * 1024, "the biases are missing"),
            (LSTM // 3, "that is one layer; there are three"),
            (LSTM // 4, "three gates and the new content are four"),
            (LSTM // 4 * 3, "the new content has weights too"),
            (10_466_212, "that is the whole network"),
            (4_000_000, "4000000 is not it"),
            ("six million", "not text"),
            (lambda: LSTM, "not a function"),
        ],
    },
    2: {
        "right": [
            (int(15000 * 2048 / 44100) + 1, 1 + (5 * 44100 - 2048) // 512),
            [697, 427],
            np.array([697.0, 427.0]),
            {"bins": torch.tensor(697), "frames": 427},
        ],
        "wrong": [
            ((696, 427), "bin 0 counts too", 1 / 2),
            ((698, 427), "one too many"),
            ((1025, 427), "all bins up to 22.05 kHz"),
            ((348, 427), "not 44100 / 1024"),
            ((1487, 427), "that is the published network; this one"),
            ((1394, 427), "a window of 4096 samples"),
            ((744, 427), "the limit of 16 kHz"),
            ((700, 427), "21.53 Hz apart"),
            ((697, 431), "padded ends give"),
            ((697, 430), "beyond its end"),
            ((697, 426), "the first window counts"),
            ((697, 107), "a new one begins"),
            ((697, 255), "with its chunk of 6 s"),
            ((697, 300), "needs 512 samples more"),
            (697, "2 answers were expected"),
            ((697, ...), "frames: not attempted", 1 / 2),
        ],
    },
    3: {
        "right": [
            step(),
            step(told=lambda losses: torch.stack(losses).mean()),
            step(told=lambda losses: [np.float64(torch.stack(losses).mean())]),
            step(after=True),
            divided_afterwards,
        ],
        "wrong": [
            (step(moves=0), "no weight has moved, though there are gradients"),
            (step(cleared="late"), "`zero_grad` comes between it and the step"),
            (step(share=1), "4 times too long"),
            (step(cleared="each"), "only the last piece counts"),
            (step(used=slice(1)), "only the first piece counts"),
            (each_by_itself, "the weights moved 4 times"),
            (step(cleared="never"), "of the step before are still there"),
            (at_once, "8 examples went through the network at once"),
            (summed_first, "kept of all of them until the end"),
            (step(share=-1 / 4), "the weights go uphill"),
            (step(moves=2), "the whole batch at once moves"),
            (step(told=sum), "the sum over the pieces"),
            (step(told=lambda losses: losses[-1]), "that of the last piece alone"),
            (step(told=lambda losses: losses[-1] / 4), "a share of the last piece's"),
            (step(told=lambda losses: 1.0), "the weights are right, but the loss is"),
            (step(told=lambda losses: None), "your function returns nothing"),
            (0.5, "a function was expected"),
        ],
    },
    4: {
        "right": [
            (10, 7, 4, 12),
            [10.0, 7.0, 4.0, 12.0],
            np.array([10, 7, 4, 12]),
            torch.tensor([10.0, 7.0, 4.0, 12.0]),
            {"stops": np.int64(10), "kept": torch.tensor(7), "patience 2": [4], "mistake": 12.0},
        ],
        "wrong": [
            ((7, 7, 4, 12), "until the count is 3", 3 / 4),
            ((9, 7, 4, 12), "only two epochs in a row"),
            ((6, 7, 4, 12), "the seventh is better than all before"),
            ((8, 7, 4, 12), "are not in a row"),
            ((11, 7, 4, 12), "one too many"),
            ((12, 7, 4, 12), "reaches 3 before the end"),
            ((4, 7, 4, 12), "before it knows"),
            ((5, 7, 4, 12), "count again"),
            ((10, 10, 4, 12), "worse than an earlier one", 3 / 4),
            ((10, 11, 4, 12), "but training has stopped before"),
            ((10, 4, 4, 12), "until a later epoch had less"),
            ((10, 12, 4, 12), "the worst since the third"),
            ((10, 7, 6, 12), "where a patience of 2 stops"),
            ((10, 7, 7, 12), "a patience of 2 stops before"),
            ((10, 7, 11, 12), "it never gets that far"),
            ((10, 7, 5, 12), "epoch 5 is worse"),
            ((10, 7, 9, 12), "the first one ends it already"),
            ((10, 7, 4, 7), "the validation songs choose"),
            ((10, 7, 4, 11), "nobody looks at them"),
            ((10, 7, 4, 10), "no stop"),
            ((10, 7, 4, 4), "has no dip there"),
            ((10, 7, 4, 1), "highest there"),
            ((9.5, 7, 4, 12), "whole numbers from 1 to 12, not 9.5"),
            ((10, 0.49, 4, 12), "whole numbers from 1 to 12, not 0.49"),
            ((10, 7, 4, 13), "13 is none"),
            ((0, 7, 4, 12), "0 is none"),
            ((10, 7, 4, ...), "mistake: not attempted", 3 / 4),
            ((10, 7), "4 answers were expected, not 2"),
        ],
    },
    5: {
        "right": [
            (0.26, 0.1, 0.38, 0.25),
            [1.3 / 5, np.median([0, 0.05, 0.1, 0.25, 0.9]), 0.5 - 0.25 * 0.48, 0.25 + 5e-9],
            np.array([0.26, 0.1, 0.38, 0.25], dtype=np.float32),
            torch.tensor([0.26, 0.1, 0.38, 0.25]),
            {"MSE": 0.26, "L1": torch.tensor(0.1), "plain step": [0.38], "Adam": np.float64(0.25)},
        ],
        "wrong": [
            ((0.1, 0.26, 0.38, 0.25), "4 lie below 0.26 and 1 above", 1 / 2),
            ((0.1, 0.1, 0.38, 0.25), "which the other loss asks for", 3 / 4),
            ((0.45, 0.1, 0.38, 0.25), "halfway between the smallest and the largest"),
            ((1.3, 0.1, 0.38, 0.25), "the sum of the five values"),
            ((0.325, 0.1, 0.38, 0.25), "the 0 counts too"),
            ((0.177**0.5, 0.1, 0.38, 0.25), "the root of the mean square"),
            ((0.3, 0.1, 0.38, 0.25), "do not cancel"),
            ((0.26, 0.05, 0.38, 0.25), "1 lie below 0.05 and 3 above"),
            ((0.26, 0, 0.38, 0.25), "0 lie below 0 and 4 above"),
            ((0.26, 0.1, 0.62, 0.25), "against the gradient"),
            ((0.26, 0.1, 0.44, 0.25), "a factor of 2"),
            ((0.26, 0.1, -0.1, 0.25), "adds up five gradients"),
            ((0.26, 0.1, 0.12, 0.25), "how far the step goes"),
            ((0.26, 0.1, 0.48, 0.25), "that is the gradient"),
            ((0.26, 0.1, 0.02, 0.25), "before it is taken away"),
            ((0.26, 0.1, 0.35, 0.25), "a step with the mean absolute error"),
            ((0.26, 0.1, 0.26, 0.25), "one step at this rate does not get there"),
            ((0.26, 0.1, 0.4, 0.25), "the mean of the five derivatives"),
            ((0.26, 0.1, 0.38, 0.38), "that is the plain step"),
            ((0.26, 0.1, 0.38, 0.75), "the number falls"),
            ((0.26, 0.1, 0.38, 0.5 - 0.25 * 10**0.5), "are missing"),
            ((0.26, 0.1, 0.38, 0.475), "undoes that"),
            ((0.26, 0.1, 0.38, 0.5), "it does move"),
            ((0.26, 0.1, 0.38, 0.488), "m alone"),
            ((0.26, 0.1, 0.38, 0.3), "put n = 1"),
            ((0.26, 0.1, 0.38, ...), "Adam: not attempted", 3 / 4),
            ((0.26, 0.1), "4 answers were expected, not 2"),
        ],
    },
    6: {
        "right": [
            gain,
            lambda level: torch.sigmoid(level * np.log(10) / 10),
            lambda level: gain(np.asarray(level, dtype=np.float32)),
            lambda level: [gain(float(one)) for one in level],
            lambda level: (10 ** (level / 10)) / (10 ** (level / 10) + 1),
        ],
        "wrong": [
            (lambda level: gain(level / 2), "a ratio of magnitudes (IRM1)"),
            (lambda level: gain(-level), "the gain of the other source"),
            (lambda level: 10 ** (level / 10), "never above 1"),
            (lambda level: gain(level) ** 0.5, "no root is needed"),
            (lambda level: gain(level) ** 2, "v1 is a power already"),
            (torch.sigmoid, "a sigmoid it is"),
            (lambda level: level > 0, "that is a binary mask"),
            (lambda level: level / (level + 1), "turn them into a ratio first"),
            (lambda level: 0.36, "(5,) was expected"),
            (lambda level: gain(2 * level), "it gives 0.500, at 25 dB 1.000"),
            (0.36, "a function was expected"),
            (lambda level: gain(level) * (1 + 1j), "a gain is a real number"),
        ],
    },
}
