"""The checks of chapter 11: stubs, right answers, and the wrong ones that readers give."""

import math

import numpy as np
import torch

from sepkit.learn.ch11.exercises import check, hint
from sepkit.learn.ch11.leakage import kept

from .tools import RIGHT, STUB, judged


def share(estimate, source):
    energy, all_of_it = (source**2).sum(), (estimate**2).sum()
    if energy == 0 or all_of_it == 0:
        return 0.0
    gain = (estimate * source).sum() / energy
    return gain**2 * energy / all_of_it


def in_numpy(estimate, source):
    a, b = np.asarray(estimate, np.float64).ravel(), np.asarray(source, np.float64).ravel()
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return 0.0 if norm == 0 else float(a @ b / norm) ** 2


def by_channel(estimate, source):
    return sum(share(a, b) for a, b in zip(estimate, source)) / len(estimate)


def no_silence(estimate, source):
    gain = (estimate * source).sum() / (source**2).sum()
    return gain**2 * (source**2).sum() / (estimate**2).sum()


def unsquared(estimate, source):
    energy = (source**2).sum()
    return 0.0 if energy == 0 else (estimate * source).sum() / energy


def level(mixture, estimate, rate, low, high, factor=10, power=2, edge=True, join=None):
    join = join or (lambda x: x)
    energies = []
    for x in (estimate, mixture):
        spectrum = np.abs(np.fft.rfft(np.asarray(join(x), np.float64))) ** power
        frequency = np.fft.rfftfreq(x.shape[-1], 1 / rate)
        inside = (frequency >= low) & (frequency < high) if edge else frequency >= 0
        energies.append(spectrum[..., inside].sum())
    return factor * np.log10((energies[0] + 1e-20) / energies[1])


def mean_of_levels(mixture, estimate, *rest):
    return np.mean([level(m[None], e[None], *rest) for m, e in zip(mixture, estimate)])


def matrices(seconds, batch, heads, layers, size=4, power=2, hop=1024):
    return size * batch * heads * layers * (1 + int(seconds * 44100) // hop) ** power


def test_every_exercise_has_three_hints():
    assert all(str(hint(number, 3)) for number in range(1, 5))


ANSWERS = [
    (1, ..., STUB),
    (1, lambda *given: ..., STUB),
    (1, share, RIGHT),
    (1, in_numpy, RIGHT),
    (1, lambda e, s: float(share(e.double(), s.double())), RIGHT),
    (1, "nonsense", "a function was expected"),
    (1, lambda e, s: 10 * torch.log10(share(e, s) + 1e-20), "the share is 1"),
    (1, unsquared, "explained wholly"),
    (1, lambda e, s: abs(unsquared(e, s)), "explained wholly"),
    (1, lambda e, s: math.sqrt(share(e, s)), "that is the cosine"),
    (1, by_channel, "one gain for both channels"),
    (1, lambda e, s: share(e.mean(0), s.mean(0)), ""),
    (1, lambda e, s: share(e[:1], s[:1]), ""),
    (1, no_silence, "silent"),
    (1, lambda e, s: (s**2).sum() / (e**2).sum(), "explained wholly"),
    (1, lambda e, s: 1.0, "the share is 0"),
    (2, ..., STUB),
    (2, lambda *given: None, "returns nothing"),
    (2, level, RIGHT),
    (2, lambda *given: torch.tensor(level(*given)), RIGHT),
    (2, lambda m, e, *band: kept(m, e, *band), RIGHT),
    (2, lambda *given: -level(*given), "wrong way round"),
    (2, lambda *given: level(*given, factor=20), "twice too many"),
    (2, lambda *given: level(*given, edge=False), "whole spectrum"),
    (2, lambda *given: level(*given, power=1), "dB"),
    (2, lambda *given: level(*given, join=lambda x: x.mean(0)), "averaged channels"),
    (2, mean_of_levels, "mean of two levels"),
    (2, lambda m, e, r, low, high: level(m, e, r, 0, high), "1000 to 4000"),
    (2, lambda m, e, r, low, high: level(m, e, 2 * r, low, high), "dB"),
    (2, lambda m, e, r, low, high: level(m[:1], e[:1], r, low, high), "dB"),
    (2, 3.0, "a function was expected"),
    (3, (..., ...), STUB),
    (3, (1160.948 / 105.891, 1160.948 / 105.891 / 4), RIGHT),
    (3, [10.96, 2.74], RIGHT),
    (3, np.array([10.964, 2.741]), RIGHT),
    (3, (0.0912, 2.74), "turn it round"),
    (3, (1055.057, 2.74), "divide the times"),
    (3, (4, 1), "ratio of the cores"),
    (3, (-10.96, 2.74), "is not 1160.948"),
    (3, (11.5, 2.74), "is not 1160.948"),
    (3, (10.96, 1.37), "8 against 2"),
    (3, (10.96, 0.365), "turned round"),
    (3, (10.96, 10.96), "second number"),
    (3, (10.96,), ""),
    (4, ..., STUB),
    (4, lambda *given: ..., STUB),
    (4, matrices, RIGHT),
    (4, lambda *given: np.int64(matrices(*given)), RIGHT),
    (4, lambda *given: torch.tensor(float(matrices(*given))), RIGHT),
    (4, lambda *given: matrices(*given, size=1), "4 bytes"),
    (4, lambda *given: matrices(*given, size=8), "not 8"),
    (4, lambda *given: matrices(*given, power=1), "square them"),
    (4, lambda *given: matrices(*given) // 2, "both directions"),
    (4, lambda *given: matrices(*given, hop=1), "samples squared"),
    (4, lambda *given: matrices(*given, hop=512), "MB"),
    (4, lambda s, b, h, n: matrices(s, 16, h, n), "batch"),
    (4, lambda s, b, h, n: matrices(s, b, 8, n), "heads"),
    (4, lambda s, b, h, n: matrices(s, b, h, 3), "layers"),
    (4, lambda s, b, h, n: matrices(6.0, b, h, n), "16 times"),
    (4, lambda s, b, h, n: -matrices(s, b, h, n), "MB"),
]

test_answers_are_judged = judged(check, "11", ANSWERS)
