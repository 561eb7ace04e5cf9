"""Chapter 09: encoder rates, images, context, dilations, overlap-add, two scales of a loss."""

import math

import numpy as np
import torch

from sepkit.stft import make_window


def image(frequency, new_rate, factor=20):
    w = 2 * np.pi * frequency / new_rate
    return factor * np.log10((1 - np.cos(w)) / (1 + np.cos(w)))


def triangle(n):
    return torch.minimum(torch.arange(1, n + 1), torch.arange(n, 0, -1))


def joined(pieces, starts, samples, weight=triangle, divide=True):
    total, weights = torch.zeros(samples), torch.zeros(samples)
    for piece, start in zip(pieces, starts):
        total[start : start + len(piece)] += weight(len(piece)) * piece
        weights[start : start + len(piece)] += weight(len(piece))
    return total / weights if divide else total


def by_numpy(pieces, starts, samples):
    total, weights = np.zeros(samples), np.zeros(samples)
    for piece, start in zip(pieces, starts):
        w = np.convolve(np.ones(5), np.ones(6))
        total[start : start + 10] += w * np.asarray(piece)
        weights[start : start + 10] += w
    return total / weights


def last_wins(pieces, starts, samples):
    total = torch.zeros(samples)
    for piece, start in zip(pieces, starts):
        total[start : start + len(piece)] = piece
    return total


def first_wins(pieces, starts, samples):
    return last_wins(pieces[::-1], starts[::-1], samples)


def context(levels, down, up, bottom=True, first=1, ends=1):
    lost, worth = 0, first
    for _ in range(levels):
        lost += (down // 2 + up // 2) * worth
        worth *= 2
    return ends * (lost + bottom * (down // 2) * worth)


def by_powers(levels, down, up):
    return sum((down + up - 2) / 2 * 2**k for k in range(levels)) + (down - 1) / 2 * 2**levels


SEES = (1 + 4 * 2 * (2**10 - 1)) * 10 / 44100

ANSWERS = {
    1: {
        "right": [
            (2 * 2049 / 1024, 256 / 10),
            [4, 25.6],
            np.array([4.002, 25.6]),
            torch.tensor([4.0, 25.6]),
        ],
        "wrong": [
            ((2049 / 1024, 25.6), "that is two real ones", 1 / 2),
            ((2 * 2049 / 4096, 25.6), "STFT: windows overlap"),
            ((4098, 25.6), "STFT: that is for a frame"),
            ((8, 25.6), "the others mirror them"),
            ((7, 25.6), "7 is not it; 2049"),
            ((4.0, 12.8), "overlap by half"),
            ((4.0, 51.2), "its outputs are real numbers"),
            ((4.0, 256), "encoder: that is for a frame"),
            ((4.0, 3), "256 real numbers"),
            ("nonsense", "2 answers were expected, not text"),
        ],
    },
    2: {
        "right": [
            image,
            lambda f, rate: 40 * np.log10(np.tan(np.pi * f / rate)),
            lambda f, rate: torch.tensor(image(f, rate)),
            lambda f, rate: np.array([image(f, rate)], dtype=np.float32),
        ],
        "wrong": [
            (lambda f, rate: image(f, rate, 10), "that is half of it"),
            (lambda f, rate: -image(f, rate), "the tone against the image; the image"),
            (lambda f, rate: image(f, 2 * rate), "the whole new rate"),
            (
                lambda f, rate: 20 * np.log10(np.tan(2 * np.pi * f / rate) ** 2),
                "the angle at the old rate",
            ),
            (
                lambda f, rate: 20 * math.log10((1 - math.cos(2 * math.pi * f / rate)) / 2),
                "the image alone",
            ),
            (lambda f, rate: 10 ** (image(f, rate) / 20), "a ratio of amplitudes"),
            (lambda f, rate: image(f, rate * np.pi / 180), "takes radians"),
            (lambda f, rate: -20.0, "image of -36.0 dB; you give -20.0"),
            (lambda f, rate: None, "returns nothing"),
            (-36.0, "a function was expected"),
        ],
    },
    3: {
        "right": [
            context,
            by_powers,
            lambda *case: torch.tensor(context(*case)),
            lambda *case: np.array([context(*case)], dtype=np.float32),
        ],
        "wrong": [
            (lambda *case: context(*case, ends=2), "that is both ends together"),
            (lambda *case: context(*case) / 22050, "that is seconds; samples"),
            (lambda n, d, u: context(n, d + 1, u + 1), "a tap too many"),
            (lambda *case: context(*case, bottom=False), "the convolution at the bottom"),
            (lambda n, d, u: context(n, d, 1), "on the way up lose samples as well"),
            (lambda n, d, u: (n + 1) * (d // 2) + n * (u // 2), "is worth 2**k samples"),
            (
                lambda n, d, u: context(n, d, u, bottom=False, first=2) + d // 2 * 2**n,
                "its samples are worth 1, not 2",
            ),
            (lambda *case: 65527, "the paper's network for every size"),
            (lambda n, d, u: context(n, d, u) + (n == 4), "taps 3 and 7 loses 76 samples"),
            (lambda n, d, u: 2.97, "loses 65527 samples at each end; you give 2.97"),
            (65527, "a function was expected"),
            (lambda *case: None, "returns nothing"),
        ],
    },
    4: {
        "right": [SEES, 1.86, np.float32(SEES), torch.tensor([SEES])],
        "wrong": [
            (8185, "that is frames"),
            (2 * SEES, "10 samples, not 20"),
            (0.464, "that is one stack"),
            (0.928, "that is one side only"),
            (81 * 10 / 44100, "without dilations"),
            ((1 + 2 * 1023) ** 4 * 10 / 44100, "they do not multiply"),
            (1.0, "twice its dilation"),
            ("1.86 s", "not text"),
            ((1.86, 8185), "one number was expected"),
            (float("nan"), "not a number (NaN)"),
        ],
    },
    5: {
        "right": [
            joined,
            by_numpy,
            lambda *given: joined(*given).tolist(),
            lambda *given: joined(*given, weight=lambda n: 7.0 * triangle(n)),
        ],
        "wrong": [
            (lambda *given: joined(*given, divide=False), "divide by the sum of the weights"),
            (lambda *given: joined(*given, weight=torch.ones), "the plain mean"),
            (
                lambda *given: joined(*given, weight=lambda m: torch.hann_window(m)),
                "leaves the first sample without weight",
            ),
            (
                lambda *given: joined(*given, weight=lambda m: torch.arange(1, m + 1)),
                "triangles 1, 2, ..., 2, 1 give",
            ),
            (
                lambda *given: joined(*given, weight=lambda m: triangle(m) ** 2),
                "the squares of the triangle",
            ),
            (last_wins, "both should be heard"),
            (first_wins, "the later one left out"),
            (lambda p, s, n: torch.cat(p), "the shape is (40,)"),
            (
                lambda p, s, n: torch.nn.functional.pad(p[-1], (16, 0))[:n],
                "the beginning is silent",
            ),
            (lambda p, s, n: None, "returns nothing"),
            (lambda p, s, n: p[99], "a place or an axis"),
        ],
    },
    6: {
        "right": [
            float((make_window("hann", 1024) ** 2).sum()),
            384,
            3 / 8 * 1024,
            torch.tensor(384.0),
        ],
        "wrong": [
            (1024, "a window of ones"),
            (512, "energies need the sum of w²"),
            (19.6, "the ratio of amplitudes"),
            (0.375, "the mean of w²"),
            (1.5, "over overlapping windows"),
            (1024 * 384, "that is the *sum* over all bins"),
            (1536, "the window of 4096 samples of Table 5"),
            (1000, "it is not 1000"),
            ("384", "not text"),
            (lambda: 384, "not a function"),
        ],
    },
}
