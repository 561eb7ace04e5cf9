"""Exercises of chapter 06: bands, parameters, fixed lengths, reach, complex masks, overlap."""

import math
from typing import Any

import torch

from ..exercises import Exercises, attempt, need

exercises = Exercises("06")
check, hint = exercises.check, exercises.hint

#: the notebook's split: pairs (upper limit, width) in Hz
SPLIT = ((2000, 100), (8000, 500), (16000, 2000))


@exercises.add(
    "Walk through the pairs and remember where the last one ended. How many bands of the given"
    " width fit between there and the new limit?",
    "`(upper - lower) / width` for every pair. What lies above the last limit is one band more.",
    "`bands, lower = 1, 0`, then `for upper, width in split: bands, lower = bands + (upper - lower)"
    " // width, upper`",
)
def ex_06_1(answer: Any) -> None:
    """37 for this split, and 41 for V7: `len(band_edges("V7")) - 1` agrees."""
    from ...models.bands import SPLITS, band_edges

    for split, right in (
        (SPLIT, 37),
        *((SPLITS[name], len(band_edges(name)) - 1) for name in ("V1", "V4", "V7")),
    ):
        got = float(attempt(answer, split))
        need(got != right - 1, "the rest is missing: what lies above the last limit is a band too")
        from_zero = 1 + sum(upper / width for upper, width in split)
        need(
            got == right or got != from_zero,
            "every pair begins where the one before it ended, not at 0 Hz",
        )
        need(got == right, f"for {split} it gives {got:g}; there are {right} bands")


@exercises.add(
    "A bin of the STFT is a complex number. How many real numbers has a band of `width` bins, in"
    " all channels?",
    "The norm has a weight and a bias for each of these numbers. The linear map has a matrix and a"
    " bias.",
    "With `size = 2 * channels * width`: `2 * size + size * features + features`",
)
def ex_06_2(answer: Any) -> None:
    """`model.encoder` has just these, band after band."""
    got = [float(attempt(answer, *given)) for given in ((5, 2, 128), (93, 1, 32))]
    for (width, channels, features), said in zip(((5, 2, 128), (93, 1, 32)), got):
        size = 2 * channels * width
        right = 2 * size + size * features + features
        half = size // 2
        need(
            said != 2 * half + half * features + features,
            "a bin is complex: two real numbers, so the input is twice as long",
        )
        need(
            said != size * features + features,
            "the norm is missing: a weight and a bias for every number of the band",
        )
        need(said != size * features, "norm and bias are missing")
        need(said != right - features, "the linear map has a bias, one number for each feature")
        need(said != right - size, "the norm has two vectors, a weight and a bias")
        need(
            said == right,
            f"a band of {width} bins in {channels} channel(s), {features} features: {said:g} is not"
            " its number of parameters",
        )


@exercises.add(
    "Frames are centred, the first one on sample 0: there are `1 + samples // hop`.",
    "The band has 5 bins in 2 channels, so 20 real numbers. A layer norm has a weight and a bias of"
    " the shape that it normalises over: (20,) in the paper, (263, 20) in the public layout.",
    "`1 + 6 * 44100 // 512`, `2 * 20` and `2 * 263 * 20`",
)
def ex_06_3(answer: Any) -> None:
    """517 frames do not fit weights for 263: such a network takes windows of 3.04 s and nothing
    else.
    """
    frames, paper, public = (float(part) for part in answer)
    need(frames != 516, "frames: the one on sample 0 counts too")
    need(
        frames != 1 + (6 * 44100 - 2048) // 512,
        "frames: the windows are centred and may reach beyond the ends, where the audio is"
        " continued",
    )
    need(
        frames == 517,
        f"frames: there is one every 512 samples, from sample 0 on; that is not {frames:g}",
    )
    need((paper, public) != (20, 5260), "the norm has a weight and a bias: twice as many")
    need(
        paper != 10,
        "the band's bins are complex, in two channels: 20 real numbers, with a weight and a bias"
        " each",
    )
    need(
        paper == 40,
        f"{paper:g} is not the size of a norm over the band's 20 real numbers: a weight and a bias"
        " for each",
    )
    need(
        public == 263 * 40,
        f"{public:g}: the public layout has a weight and a bias for each number in each of 263"
        " frames",
    )


@exercises.add(
    "The RNN over time runs along one band, from the first frame to the last and back. Does it see"
    " other bands?",
    "Over time: all frames of one band. Over bands: all bands of one frame. Then the second RNN"
    " spreads what the first one has spread.",
    "`(frames, bands, bands * frames)`",
)
def ex_06_4(answer: Any) -> None:
    """Two RNNs across each other reach everything: a row, then every column."""
    rows = tuple(float(part) for part in answer)
    need(len(rows) == 3, "three numbers were expected")
    over_time, over_bands, both = rows
    need(
        (over_time, over_bands) != (41, 300),
        "the two are exchanged: the RNN over time stays within its band",
    )
    need(
        over_time != 150,
        "the RNN over time is bidirectional: it also carries what it has seen backwards, to earlier"
        " frames",
    )
    need(
        over_time == 300,
        f"over time: the change travels along its band of 300 frames, so {over_time:g} is not it",
    )
    need(
        over_bands == 41,
        f"over bands: the change travels along its frame of 41 bands, so {over_bands:g} is not it",
    )
    need(
        both != 340,
        "340 is a row and a column. But the RNN over bands starts from *every* frame that the first"
        " one has changed",
    )
    need(both == 41 * 300, f"both: all {41 * 300} are reached, not {both:g}")


@exercises.add(
    "The complex mask turns X into S: which number times X is S?",
    "A real mask can only make X longer or shorter. The nearest point to S on the line through X is"
    " at the real part of S / X.",
    "`M = S / X`, `m = M.real`, `error = abs(S - m * X)`",
)
def ex_06_5(answer: Any) -> None:
    """No real number does better: whatever is at right angles to X stays wrong. A magnitude mask
    cannot turn.
    """
    X, S = 1 + 1j, 2j
    M, m, error = (complex(part) for part in answer)
    need(
        not math.isclose(abs(M - X / S), 0, abs_tol=1e-3),
        "M: that is X / S, which would turn S into X",
    )
    need(abs(M) > 0 and abs(M - S / X) < 1e-3, f"M: {M:g} times X is {M * X:g}, not S")
    need(m.imag == 0, "m: a real number was asked for")
    need(
        not math.isclose(m.real, abs(S / X), abs_tol=0.005),
        "m: |S| / |X| gives the right length, but pointing along X; a shorter vector comes nearer"
        " to S",
    )
    need(
        math.isclose(m.real, 1, abs_tol=1e-3),
        f"m: with {m.real:g} the error is {abs(S - m.real * X):.2f}; it can be smaller",
    )
    need(
        not math.isclose(error.real, 2, abs_tol=1e-3),
        "error: that is its square; the distance |S - m X| was asked for",
    )
    need(
        error.imag == 0 and math.isclose(error.real, math.sqrt(2), abs_tol=0.005),
        f"error: |S - m X| is not {error.real:g}",
    )


@exercises.add(
    "Where n windows overlap, n copies of the sound are added, and the sum is divided by 5.614.",
    "Amplitudes become decibels with 20 log10.",
    "`20 * math.log10(5 / 5.614)` and `20 * math.log10(6 / 5.614)`",
)
def ex_06_6(answer: Any) -> None:
    """A song that is 1.6 dB louder and softer, twice a second: the division must be by the number
    of windows that are there.
    """
    low, high = (float(part) for part in answer)
    right = [float(20 * torch.log10(torch.tensor(count / 5.614))) for count in (5, 6)]
    need(
        not math.isclose(low, right[0] / 2, abs_tol=0.01),
        "copies of a sound add up in amplitude: 20 log10, not 10 log10",
    )
    need(
        not math.isclose(low, -right[0], abs_tol=0.01),
        "the fractions are upside down: five copies divided by 5.614 are too soft",
    )
    need(
        not math.isclose(low, 5 / 5.614, abs_tol=0.01), "that is a factor; decibels were asked for"
    )
    need(
        not (
            math.isclose(low, right[1], abs_tol=0.01) and math.isclose(high, right[0], abs_tol=0.01)
        ),
        "the two are exchanged",
    )
    for name, got, wanted in (("five", low, right[0]), ("six", high, right[1])):
        need(
            math.isclose(got, wanted, abs_tol=0.01),
            f"where {name} windows overlap, the gain is not {got:.2f} dB",
        )
