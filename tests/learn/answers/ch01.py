"""Chapter 01: folded frequencies, an STFT's shape, window lengths, sums of windows, dB, a delay."""

import cmath
import math
from fractions import Fraction

import numpy as np
import torch


def folded(f, r):
    return min(f % r, r - f % r)


def turn(swings):
    """A number of magnitude 1, turned by so many swings."""
    return np.exp(2j * np.pi * swings)


def envelope_ratio(size, hop):
    """The sum of squared windows away from its ends: its least over its greatest."""
    total = np.zeros(8 * size)
    for start in range(0, 7 * size, hop):
        total[start : start + size] += np.hanning(size + 1)[:-1] ** 2
    return total[2 * size : 5 * size].min() / total[2 * size : 5 * size].max()


SHAPE = (2, 1025, 259)

ANSWERS = {
    1: {
        "right": [
            folded,
            lambda f, r: r * math.acos(math.cos(2 * math.pi * f / r)) / (2 * math.pi),
            lambda f, r: abs(f - r * round(f / r)),
            lambda f, r: np.float32(folded(f, r)),
            lambda f, r: torch.tensor([folded(f, r)]),
        ],
        "wrong": [
            (lambda f, r: f % r, "above half the sample rate: it folds"),
            (lambda f, r: min(f, r / 2), "does not stop at the limit"),
            (lambda f, r: f - r if f > r / 2 else f, "has a positive frequency"),
            (lambda f, r: f % (r / 2), "does not begin at 0 again"),
            (lambda f, r: 0.0, "is heard at 1000 Hz, not at 0"),
            (lambda f, r: f / r, "a share of the sample rate"),
            (440, "a function was expected, not a single number"),
            (lambda f, r: None, "returns nothing"),
            (lambda f, r: f % rate, "a name that is not defined"),  # noqa: F821
            (lambda f, r: str(folded(f, r)), "not text; leave out the quotation marks"),
        ],
    },
    2: {
        "right": [
            (SHAPE, 21.53, 11.61),
            (SHAPE, 22, 12),
            (list(SHAPE), np.float32(44100 / 2048), Fraction(512 * 1000, 44100)),
            (torch.Size(SHAPE), torch.tensor(21.53), 11.6),
            (np.array(SHAPE), 44100 / 2048, 512 / 44.1),
        ],
        "wrong": [
            ((SHAPE, 24, 11.61), "not 24 Hz apart", 2 / 3),
            (((2, 2048, 259), 21.53, 11.61), "negative frequencies", 8 / 9),
            (((2, 1024, 259), 21.53, 11.61), "leaves one end out"),
            (((2, 1025, 258), 21.53, 11.61), "the frame at sample 0"),
            (((2, 1025, 255), 21.53, 11.61), "may reach beyond the ends"),
            (((1, 1025, 259), 21.53, 11.61), "the recording is stereo"),
            ((SHAPE, 43.07, 11.61), "share 22 050 Hz, not 44 100"),
            ((SHAPE, 21.53, 0.01161), "milliseconds were asked for"),
            ((SHAPE, 21.53, 46.4), "windows overlap"),
            (((1025, 259), 21.53, 11.61), "three numbers: channels"),
            ((SHAPE, ..., 11.61), "bin spacing: not attempted yet", 2 / 3),
            ((SHAPE, 21.53), "3 answers were expected, not 2"),
        ],
    },
    3: {
        "right": [
            (16384, 1024),
            [2**14, 2**10],
            np.array([16384.0, 1024.0]),
            (torch.tensor(16384), np.int64(1024)),
        ],
        "wrong": [
            ((1024, 16384), "is this your answer to (b)?"),
            ((4096, 1024), "four bins wide", 1 / 2),
            ((8192, 1024), "they run into each other"),
            ((2048, 1024), "share their bins"),
            ((32768, 1024), "a shorter window does so too"),
            ((16384, 2048), "lasts 46 ms"),
            ((16384, 512), "a longer window still is"),
            ((13096, 1024), "13096 is not a power of two"),
            ((16384, 0), "0 is not a power of two"),
            ((16384, ...), "(b): not attempted yet", 1 / 2),
            (16384, "2 answers were expected"),
        ],
    },
    4: {
        "right": [
            (1, 0.5, 0.043),
            [1.0, 1 / 2, 2 * math.sin(math.pi / 8) ** 4],
            (1, Fraction(1, 2), 0.0429),
            np.array([1, 0.5, 0.0429], dtype=np.float32),
            torch.tensor([1, 0.5, 0.0429]),
            tuple(envelope_ratio(4096, hop) for hop in (1024, 2048, 3072)),
        ],
        "wrong": [
            ((1.5, 0.5, 0.043), "1.5 is the sum itself", 2 / 3),
            ((0, 0.5, 0.043), "a flat sum has no place"),
            ((1, 1, 0.043), "but not their squares", 2 / 3),
            ((1, 2, 23.3), "hop N/2: the least over the greatest"),
            ((1, 0, 0.043), "its neighbour is at its top"),
            ((1, 50, 4.3), "hop N/2: a ratio was asked for"),
            ((1, 0.25, 0.043), "add both squares"),
            ((1, 0.7071, 0.043), "that is its root"),
            ((1, 0.6, 0.043), "not 0.6; in the middle"),
            ((1, 0.5, 0), "overlap by a quarter"),
            ((1, 0.5, 0.0214), "two overlap there"),
            ((1, 0.5, 0.293), "not the windows"),
            ((1, 0.5, 0.146), "neither squared nor added"),
            ((1, 0.5, 23.3), "at most 1"),
            ((1, 0.5, 4.29), "hop 3N/4: a ratio was asked for"),
            ((1, 0.5, 0.25), "what do the windows weigh there"),
            ((1, 0.5, 0.1), "N/8 from the end", 2 / 3),
            ((1, 0.5, ...), "hop 3N/4: not attempted yet", 2 / 3),
            ((1, 0.5), "3 answers were expected, not 2"),
        ],
    },
    5: {
        "right": [
            (10 ** (12 / 20), 10 ** (12 / 10)),
            (4, 16),
            [3.98, 15.8],
            np.array([3.98, 15.85], dtype=np.float32),
            torch.tensor([3.98, 15.85]),
        ],
        "wrong": [
            ((15.85, 3.98), "power: that is the ratio of amplitudes"),
            ((0.25, 15.85), "so the number is above 1", 1 / 2),
            ((4, 0.063), "how many times smaller? That"),
            ((12, 15.85), "12 dB is not 12 times"),
            ((15.85, 15.85), "is the ratio of powers", 1 / 2),
            ((4, 144), "squared, not the decibels"),
            ((2.8, 15.85), "8.9 dB, not 12"),
            ((4, 7.9), "9.0 dB, not 12"),
            (("4 times", 16), "amplitude: a number or tensor was expected, not text"),
            ((4,), "2 answers were expected, not 1"),
        ],
    },
    6: {
        "right": [
            lambda k, d, n: np.exp(-2j * np.pi * k * d / n),
            lambda k, d, n: np.cos(2 * np.pi * k * d / n) - 1j * np.sin(2 * np.pi * k * d / n),
            lambda k, d, n: [cmath.exp(-2j * math.pi * one * d / n) for one in k.tolist()],
            lambda k, d, n: torch.exp(torch.tensor(-2j * np.pi * k * d / n)),
            lambda k, d, n: np.fft.rfft(np.roll(np.eye(n)[0], d))[k],
        ],
        "wrong": [
            (lambda k, d, n: turn(k * d / n), "come earlier"),
            (lambda k, d, n: -2 * np.pi * k * d / n, "that is the angle"),
            (lambda k, d, n: k * d / n, "how often the wave swings"),
            (lambda k, d, n: turn(0 * k - d / n), "all bins turn by one angle"),
            (lambda k, d, n: turn(-k * d / n / 2), "not of pi"),
            (lambda k, d, n: np.exp(-1j * k * d / n), "counted in swings"),
            (lambda k, d, n: np.exp(-2 * np.pi * k * d / n), "without the i"),
            (lambda k, d, n: turn(-k * d), "divide by `n_fft`"),
            (lambda k, d, n: np.cos(2 * np.pi * k * d / n), "the sine is missing"),
            (lambda k, d, n: turn(-k * n / d), "have changed places"),
            (lambda k, d, n: np.exp(-360j * k * d / n), "in degrees"),
            (lambda k, d, n: turn(-k * d / n) / n, "louder or softer"),
            (lambda k, d, n: turn(-k * (d + 1) / n), "turns the phase by"),
            (lambda k, d, n: turn(-1 * d / n), "(9,) was expected"),
            (lambda k, d, n: cmath.exp(-2j * math.pi * k * d / n), "Call it in a new cell"),
            (1.0, "a function was expected, not a single number"),
        ],
    },
}
