"""Chapter 06: bands, parameters, a fixed length, reach, a complex mask, overlap."""

import math

import numpy as np
import torch


def bands(split):
    count, lower = 1, 0
    for upper, width in split:
        count, lower = count + (upper - lower) // width, upper
    return count


def starts(split):
    lowers = [0] + [upper for upper, _ in split[:-1]]
    return 1 + sum((upper - low) / width for low, (upper, width) in zip(lowers, split))


M = 1 + 1j
RIPPLE = (20 * math.log10(5 / 5.614), 20 * math.log10(6 / 5.614))

ANSWERS = {
    1: {
        "right": [
            bands,
            starts,
            lambda split: np.int64(bands(split)),
            lambda split: torch.tensor([bands(split)]),
        ],
        "wrong": [
            (lambda split: bands(split) - 1, "the rest is missing"),
            (lambda split: 1 + sum(u // w for u, w in split), "ended, not at 0 Hz"),
            (lambda split: sum(u // w for u, w in split), "and the rest above is a band too"),
            (len, "those are the pairs"),
            (lambda split: split[-1][0] // split[-1][1] + 1, "all of it at the last pair's width"),
            (lambda split: 22050 / 100, "bands of 100 Hz up to the top"),
            (lambda split: 37, "there are 22 bands"),
            (37, "a function was expected"),
            (lambda split: None, "returns nothing"),
            (lambda split: split.upper, "attribute or method"),
        ],
    },
    2: {
        "right": [
            ((500, 50), (2000, 500), (8000, 3000)),
            [[450, 45], [1050, 120]],
            np.array([(500, 50.0), (4100, 900)]),
            torch.tensor([(528, 44.0), (1000, 472.0)]),
            ((528, 44), (22050, 7174)),
        ],
        "wrong": [
            (((500, 25), (1000, 500)), "a band of 25 Hz has no two bins", 1 / 2),
            (((500, 100), (2000, 500)), "5 bands begin below 500 Hz", 3 / 4),
            (((500, 50), (3000, 250)), "are 21 bands", 3 / 4),
            (((500, 50), (700, 100), (800, 50)), "higher up, no band", 3 / 4),
            (((500, 125), (1000, 50)), "4 bands begin below 500 Hz"),
            (((500, 50), (400, 50)), "the limits must rise"),
            (((500, 60), (1000, 500)), "no whole number of bands of 60 Hz"),
            (((500, 50), (30500, 10000)), "nothing lies above"),
            ((500, 50), "each entry is a pair"),
            (((500, 0),), "a width above 0 Hz"),
            (16, "a list of pairs"),
        ],
    },
    3: {
        "right": [
            (1 + 6 * 44100 // 512, 2 * 20, 2 * 263 * 20),
            [517.0, 40.0, 10520.0],
            np.array([517, 40, 10520]),
            torch.tensor([517, 40, 10520]),
        ],
        "wrong": [
            ((516, 40, 10520), "sample 0 counts too", 2 / 3),
            ((513, 40, 10520), "beyond the ends"),
            ((263, 40, 10520), "of 3.04 s; here there are 6 s"),
            ((500, 40, 10520), "there is one every 512 samples"),
            ((517, 20, 10520), "a bias for each of the 20 numbers"),
            ((517, 10, 10520), "the bins are complex"),
            ((517, 400, 10520), "a norm has no matrix"),
            ((517, 30, 10520), "30 is not a weight and a bias"),
            ((517, 40, 5260), "for each of 20 numbers in each"),
            ((517, 40, 40), "that is the paper's"),
            ((517, 40, 20680), "however long the audio"),
            ((517, 40, 1000), "not 263 times"),
        ],
    },
    4: {
        "right": [(300, 41, 41 * 300), [300.0, 41.0, 12300.0], np.array([300, 41, 12300])]
        + [{"(a)": 300, "(b)": torch.tensor(41), "(c)": 12300}],
        "wrong": [
            ((41, 41, 12300), "stays within its band", 2 / 3),
            ((150, 41, 12300), "to earlier frames"),
            ((1, 41, 12300), "from frame to frame"),
            ((299, 41, 12300), "the changed cell counts too"),
            ((20, 41, 12300), "so 20 is not it"),
            ((300, 300, 12300), "stays within its frame"),
            ((300, 1, 12300), "band by band"),
            ((300, 41, 340), "340 is a row and a column"),
            ((300, 41, 341), "one cell twice"),
            ((300, 41, 600), "that is not 600"),
            ((300, 41), "3 answers were expected, not 2"),
        ],
    },
    5: {
        "right": [
            (2j / M, (2j / M).real, abs(2j - M)),
            (M, 1, 1.414),
            [torch.tensor(M), torch.tensor(1.0), math.sqrt(2)],
            np.array([M, 1, math.sqrt(2)]),
        ],
        "wrong": [
            ((0.5 - 0.5j, 1, 1.414), "would turn S into X", 2 / 3),
            ((2**0.5, 1, 1.414), "a length alone"),
            ((-1 + 1j, 1, 1.414), "S - X would have to be added"),
            ((2j, 1, 1.414), "not S"),
            ((M, 1j, 1.414), "a real number was expected"),
            ((M, 2**0.5, 1.414), "pointing along X"),
            ((M, 0, 1.414), "at 0 the error is all of S"),
            ((M, 0.5, 1.414), "the error is 1.58"),
            ((M, 1, 2), "that is its square"),
            ((M, 1, 0), "only the complex mask"),
            ((M, 1, -1.414), "a distance is not negative"),
            ((M, 1, 1), "with the best m is not 1"),
        ],
    },
    6: {
        "right": [RIPPLE, (-1.01, 0.58), np.array(RIPPLE, dtype=np.float32), torch.tensor(RIPPLE)],
        "wrong": [
            ((RIPPLE[0] / 2, RIPPLE[1]), "20 log10, not 10 log10", 1 / 2),
            ((-RIPPLE[0], RIPPLE[1]), "upside down"),
            ((5 / 5.614, RIPPLE[1]), "that is a factor"),
            ((RIPPLE[1], RIPPLE[1]), "where 6 windows overlap"),
            ((RIPPLE[0], RIPPLE[0]), "where 5 windows overlap"),
            ((RIPPLE[0], 20 * math.log10(6)), "and then they are divided"),
            ((RIPPLE[0], 20 * math.log(6 / 5.614)), "to base 10"),
            ((0.0, RIPPLE[1]), "5 copies divided by 5.614 are not 0 dB"),
            ((RIPPLE[0], 0.0), "6 copies divided by 5.614 are not 0 dB"),
            ((RIPPLE[0], ...), "six: not attempted"),
        ],
    },
}
