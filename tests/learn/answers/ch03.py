"""Chapter 03: an angle, kurtosis, whitening, ICA's conditions, swapped bins, a mask of parts."""

import math

import numpy as np
import torch

SILENT = 180 - math.degrees(math.atan(2))
CASES = (True, False, False, True, False, False)


def case(number, value):
    return CASES[: number - 1] + (value,) + CASES[number:]


def fader(W, H, chosen, gain):
    part = W[:, chosen] @ H[chosen]
    return (W @ H + (gain - 1) * part) / (W @ H).clip(1e-12)


def parts(W, H, chosen):
    return W[:, chosen] @ H[chosen], W @ H


def safe(W, H, chosen, gain):
    scale = np.ones(W.shape[1])
    scale[chosen] = gain
    return ((W * scale) @ H + 1e-20) / (W @ H + 1e-20)


def correlations(here, following, centred=True, own_size=True):
    """Of each output here with each in the following bin."""
    x, y = (np.asarray(z) - centred * np.mean(z, 1, keepdims=True) for z in (here, following))
    if own_size:
        x, y = (z / (np.linalg.norm(z, axis=1, keepdims=True) + 1e-12) for z in (x, y))
    return x @ y.T


def crossed(c):
    return c[0, 1] + c[1, 0] > c[0, 0] + c[1, 1]


def swapped(here, following):
    return crossed(correlations(here, following))


ANSWERS = {
    1: {
        "right": [SILENT, SILENT - 180, np.float32(117), torch.tensor([SILENT]), 116.6],
        "wrong": [
            (180 - SILENT, "the sign is missing"),
            (180 - math.degrees(math.atan(0.6 / 0.9)), "silences speaker 2"),
            (math.radians(SILENT), "degrees are wanted"),
            (180 - math.degrees(math.atan(1 / 0.6)), "the first row of A"),
            (SILENT - 90, "a right angle off"),
            (180 - math.degrees(math.atan(0.5)), "the weights are exchanged"),
            (90.0, "still has the factor +0.50"),
            ("117 degrees", "not text"),
            (np.array([117.0, 146.0]), "one number was expected, not 2"),
            (float("nan"), "not a number (NaN)"),
        ],
    },
    2: {
        "right": [
            (-2, 7, -2, -1),
            [-2.0, 0.1 / 0.01 - 3, -2.0, 8 / 4 - 3],
            np.array([-2, 7, -2, -1]),
            torch.tensor([-2.0, 7.0, -2.0, -1.0], dtype=torch.float64),
        ],
        "wrong": [
            ((1, 7, -2, -1), "a coin: the 3 of the bell curve", 3 / 4),
            ((0, 7, -2, -1), "a coin has no bell"),
            ((-2, 10, -2, -1), "ten: the 3 of the bell curve"),
            ((-2, 0.1 - 3, -2, -1), "*square* of the variance, 0.01"),
            ((-2, -2, -2, -1), "the silence counts"),
            ((-2, 7, -20, -1), "loud: a gain cancels out\n"),
            ((-2, 7, 9997, -1), "and the gain cancels out"),
            ((-2, 7, -2, -2), "it is no coin any more"),
            ((-2, 7, -2, -4), "kurtoses do not add up"),
            ((-2, 7, -2, 1), "its square is 4, not 2"),
            ((-2, 7, -2, 2), "coins: the 3 of the bell curve"),
            ((-2, 4, -2, -1), "200 000 samples it is not 4"),
        ],
    },
    3: {
        "right": [
            (9, 1, 1 / 3, 0),
            [9.0, 1.0, 0.333, 0.0],
            np.array([9, 1, 1 / 3, 0], dtype=np.float32),
            {"longest": 9, "shortest": 1, "gain along the longest": 1 / 3, "correlation after": 0},
        ],
        "wrong": [
            ((5, 1, 1 / 3, 0), "a direction with more", 3 / 4),
            ((3, 1, 1 / 3, 0), "the variance is its square"),
            ((18, 1, 1 / 3, 0), "L + R alone is longer"),
            ((9, 5, 1 / 3, 0), "a direction with less"),
            ((9, 0, 1 / 3, 0), "something is left at right angles"),
            ((9, 9, 1 / 3, 0), "that is the longest direction"),
            ((9, 2, 1 / 3, 0), "L - R alone is longer"),
            ((9, 1, 1 / 9, 0), "is divided by its square"),
            ((9, 1, 3, 0), "the cloud is too long there"),
            ((9, 1, 1, 0), "would stay 9"),
            ((9, 1, 1 / 3, 0.8), "the correlation before"),
            ((9, 1, 1 / 3, 1), "*variance* of each channel after"),
            ((9, 1, 1 / 3, "none"), "correlation after: a number or tensor was expected"),
        ],
    },
    4: {
        "right": [CASES, list(CASES), np.array(CASES), torch.tensor(CASES), tuple(map(int, CASES))],
        "wrong": [
            (case(1, False), "number 1: two sources", 5 / 6),
            (case(2, True), "number 2: two linear equations"),
            (case(3, True), "number 3: whitened Gaussians"),
            (case(4, False), "number 4: one Gaussian"),
            (case(5, True), "number 5: an echo"),
            (case(6, True), "number 6: both columns"),
            (CASES[:2], "6 answers were expected, not 2"),
            (case(1, "yes"), "without quotation marks", 5 / 6),
            (case(3, ...), "number 3: not attempted", 5 / 6),
            (True, "not a single number"),
        ],
    },
    5: {
        "right": [
            swapped,
            lambda *given: bool(swapped(*given)),
            lambda *given: int(swapped(*given)),
            lambda *given: torch.tensor(bool(swapped(*given))),
            lambda *given: np.array([swapped(*given)]),
            lambda *given: crossed(np.nan_to_num(np.corrcoef(*given)[:2, 2:])),
        ],
        "wrong": [
            (lambda h, f: crossed(np.corrcoef(h, f)[:2, 2:]), "it divides 0 by 0", 1 / 2),
            (lambda h, f: not swapped(h, f), "it says the opposite"),
            (lambda h, f: True, "these are in the same order"),
            (lambda h, f: False, "these are in the other order"),
            (lambda h, f: crossed(correlations(h, f, centred=False)), "says nothing about who"),
            (lambda h, f: crossed(correlations(h, f, own_size=False)), "must not count ten times"),
            (lambda h, f: np.diff(correlations(h, f)[0])[0] > 0, "output 1 of this bin holds"),
            (lambda h, f: np.diff(correlations(h, f)[1])[0] < 0, "output 2 of this bin holds"),
            (lambda h, f: np.diff(correlations(h, f)[:, 0])[0] > 0, "output 1 of the next bin"),
            (lambda h, f: np.diff(correlations(h, f)[:, 1])[0] < 0, "output 2 of the next bin"),
            (lambda h, f: correlations(h, f), "to return True or False"),
            (lambda h, f: np.corrcoef(h, f)[2, 9] > 0, "a place or an axis that is not there"),
            (True, "a function was expected"),
        ],
    },
    6: {
        "right": [
            fader,
            safe,
            lambda *given: fader(*given).astype(np.float32),
            lambda *given: torch.from_numpy(fader(*given)),
            lambda *given: fader(*given).T,
        ],
        "wrong": [
            (lambda W, H, c, g: g * parts(W, H, c)[0] / (W @ H), "have gone"),
            (lambda W, H, c, g: W @ H + (g - 1) * parts(W, H, c)[0], "the magnitude after"),
            (lambda W, H, c, g: 1 + g * parts(W, H, c)[0] / (W @ H), "counted twice"),
            (lambda W, H, c, g: 1 - parts(W, H, c)[0] / (W @ H), "whatever `gain` is"),
            (lambda W, H, c, g: parts(W, H, c)[0] / (W @ H), "`gain` plays no part"),
            (lambda W, H, c, g: g + 0 * (W @ H), "the others as well"),
            (lambda W, H, c, g: fader(W, H, [1, 3], g), "on the components that were not chosen"),
            (
                lambda W, H, c, g: 1 + (g - 1) / (1 + ((W @ H) / parts(W, H, c)[0] - 1) ** 2),
                "not their squares",
            ),
            (
                lambda W, H, c, g: 1 + (g - 1) / ((W @ H) / parts(W, H, c)[0] - 1),
                "leaves out the chosen",
            ),
            (lambda W, H, c, g: H[c] / H.sum(0), "the shape is (2, 5)"),
            (
                lambda W, H, c, g: (W @ H + (g - 1) * parts(W, H, c)[0]) / (W @ H),
                "it divides 0 by 0",
                1 / 2,
            ),
            (lambda W, H, c, g: fader(W, H, c, g**0.5), "(what will be there)"),
            (lambda W, H, c, g: W[c] @ H[c], "meets an error"),
        ],
    },
}
