"""Exercises of chapter 04: counting the LSTM, bins and frames, the Wiener gain."""

from typing import Any

import torch

from ..exercises import Exercises, attempt, need

exercises = Exercises("04")
check, hint = exercises.check, exercises.hint

_I, _H = 512, 256  # inputs and units of one direction of a published layer


@exercises.add(
    "Start with one direction of one layer: `4 * (h * i + h * h + 2 * h)`.",
    "Every layer reads 512 numbers: the first from fc1, the others from both directions of the"
    " layer before. So all six (3 layers, 2 directions) have the same size.",
    "`6 * 4 * (256 * 512 + 256 * 256 + 2 * 256)`",
)
def ex_04_1(answer: Any) -> None:
    """4 730 880, more than half of the whole network; `sum(p.numel() for p in
    published.lstm.parameters())` agrees.
    """
    one = 4 * (_H * _I + _H * _H + 2 * _H)
    need(
        answer != one,
        "that is one direction of one layer; there are three layers with two directions each",
    )
    need(answer != 2 * one, "that is one layer; there are three")
    need(
        answer != 3 * one,
        "that is one direction only: a second LSTM reads the frames backwards, with weights of"
        " its own",
    )
    need(
        answer != 24 * (_H * _I + _H * _H + _H),
        "PyTorch keeps two bias vectors for each gate, one for the input and one for the state",
    )
    need(
        answer != 24 * (_H * _I + _H * _H),
        "the biases are missing: two vectors of h for each of the four gates",
    )
    need(answer != one * 6 // 4, "there are four gates, each with weights of its own")
    need(
        answer == 6 * one,
        f"{answer} is not it; count one direction of one layer first, which has {one} parameters",
    )


@exercises.add(
    "(a) Which is the largest k with `k * 44100 / 4096 <= 16000`? Then count from bin 0.",
    "(b) The first window needs 4096 samples; every further one needs 1024 more. The chunk has `6 *"
    " 44100` samples.",
    "`int(16000 * 4096 / 44100) + 1` and `1 + (6 * 44100 - 4096) // 1024`",
)
def ex_04_2(answer: Any) -> None:
    """1487 bins and 255 frames: the shape that the published network saw in training."""
    bins, frames = (float(part) for part in answer)
    need(bins != 1486, "bins: 1486 is the number of the last bin; bin 0 counts too")
    need(
        bins != 2049, "bins: 2049 are all bins up to 22.05 kHz; the network sees those up to 16 kHz"
    )
    need(
        bins == 1487,
        f"{bins:g} bins is not it: neighbouring bins are 44100 / 4096 = 10.77 Hz apart",
    )
    need(
        frames != 259,
        "frames: 259 is what centred windows with padded ends give; here no window leaves the"
        " chunk",
    )
    need(
        frames != 258,
        "frames: 258 hops fit into the chunk, but the last windows would reach beyond its end",
    )
    need(frames != 254, "frames: the first window counts too")
    need(
        frames == 255,
        f"{frames:g} frames is not it: after the first window, each further one needs 1024 samples"
        " more",
    )


@exercises.add(
    "The gain is a share of power, and power is the square of a magnitude.",
    "`v1 / (v1 + v2)`, with `v1 = a ** 2`",
)
def ex_04_3(answer: Any) -> None:
    """A share of powers; for any number of sources the gains add up to one."""
    a, b = torch.tensor([3.0, 1.0, 0.5]), torch.tensor([4.0, 1.0, 2.0])
    given = torch.as_tensor(attempt(answer, a, b), dtype=torch.float32)
    need(
        given.shape == a.shape,
        f"a gain for every pair of magnitudes was expected: shape {tuple(a.shape)}, not"
        f" {tuple(given.shape)}",
    )
    right = a**2 / (a**2 + b**2)

    def is_(other):
        return torch.allclose(given, other, atol=1e-4)

    need(
        not is_(a / (a + b)),
        "that is a ratio of magnitudes (IRM1); the Wiener gain is a ratio of powers",
    )
    need(not is_(1 - right), "that is the gain of the other source")
    need(
        not is_(a**2 / (a + b) ** 2),
        "the mean power of a sum of sources with independent phases is a² + b², not (a + b)²",
    )
    need(not is_(right.sqrt()), "that is the square root of the gain: no root is needed")
    need(
        is_(right),
        f"with magnitudes 3 and 4 you give {float(given[0]):.3f}; set the derivative of"
        " (1 - g)² a² + g² b² to zero",
    )
