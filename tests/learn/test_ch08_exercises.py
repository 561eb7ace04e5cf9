"""The checks of chapter 08: stubs, right answers, and the wrong ones that readers give."""

from itertools import product

import numpy as np
import torch

from sepkit.learn.ch08.exercises import DIFFERENCES, FRAMES, check
from sepkit.metrics import si_sdr, statistics

from .tools import RIGHT, STUB, judged

NAMES = {
    "level": "ISR",
    "swap": "ISR",
    "delay of 5 ms": "ISR",
    "delay of 50 ms": "SAR",
    "leaking drums": "SIR",
    "musical noise": "SAR",
}


def scaled(reference, estimate):
    return (estimate * reference).sum() / reference.square().sum() * reference


def ratio(above, below):
    return 10 * torch.log10(above.square().sum() / below.square().sum())


def flips(d):
    return np.array([np.dot(signs, d) for signs in product((1, -1), repeat=len(d))])


def test_the_package_solves_the_exercises():
    assert check.ex_08_2(si_sdr)
    assert check.ex_08_3(
        tuple(statistics.aggregate(FRAMES, how) for how in ("median of medians", "mean of means"))
    )
    assert check.ex_08_4(lambda d: statistics.sign_flip(d).p)
    recomputed = statistics.one_sample_z(5.84, 4.35, 2772, statistics.FIVE_TIMES)
    assert check.ex_08_5((recomputed.statistic, recomputed.se))
    assert statistics.sign_flip(DIFFERENCES).p == 6 / 32


ANSWERS = [
    (1, ..., STUB),
    (1, {**NAMES, "swap": ...}, STUB),
    (1, NAMES, RIGHT),
    (1, {**NAMES, "level": "SAR"}, "filter of one tap"),
    (1, {**NAMES, "swap": "SIR"}, "own channels"),
    (1, {**NAMES, "delay of 5 ms": "SAR"}, "within the 512 taps"),
    (1, {**NAMES, "delay of 50 ms": "ISR"}, "beyond the 512 taps"),
    (1, {**NAMES, "leaking drums": "sdr"}, "falls for every error"),
    (1, {"level": "ISR"}, "missing"),
    (2, lambda s, e: ..., STUB),
    (2, lambda s, e: ratio(scaled(s, e), scaled(s, e) - e), RIGHT),
    (2, lambda s, e: ratio(s, s - e), "plain SDR"),
    (2, lambda s, e: 2 * ratio(scaled(s, e), scaled(s, e) - e), "not 20"),
    (2, lambda s, e: ratio(s, s - scaled(e, s)), "scaled the estimate"),
    (2, lambda s, e: ratio(s, scaled(s, e) - e), "numerator"),
    (2, lambda s, e: 3.0, "it gives 3.00"),
    (3, (..., ...), STUB),
    (3, (5.25, 2.625), RIGHT),
    (3, (2.625, 5.25), "exchanged"),
    (3, (4.75, 2.625), "does not count as 0"),
    (3, (6.0, 2.625), "all frames together"),
    (3, (5.25, 16 / 7), "all frames together"),
    (3, (float("nan"), 2.625), "left out"),
    (3, (1.0, 2.625), "not 1"),
    (4, lambda d: ..., STUB),
    (4, lambda d: np.mean(abs(flips(d)) >= abs(sum(d)) - 1e-9), RIGHT),
    (4, lambda d: np.mean(flips(d) >= sum(d) - 1e-9), "one-sided"),
    (4, lambda d: np.mean(abs(flips(d)) > abs(sum(d)) + 1e-9), "itself counts"),
    (4, lambda d: sum(d > 0), "between 0 and 1"),
    (4, lambda d: 6 / 32, "three songs"),
    (5, (..., ...), STUB),
    (5, (-13.92, 0.0826), RIGHT),
    (5, (-12.8, 0.218), "printed one"),
    (5, (-13.92, 4.35 / 2772), "square root"),
    (5, (13.92, 0.0826), "sign"),
    (5, (-12.8, 0.0826), "is not -12.8"),
    (6, lambda k: None, "returns nothing"),
    (6, lambda k: 20 * np.log10(k / (k - 1)), RIGHT),
    (6, lambda k: 10 * np.log10(k / (k - 1)), "20 log10"),
    (6, lambda k: 20 * np.log10(k), "k - 1"),
    (6, lambda k: 20 * np.log10(1 / (k - 1)), "the numerator is the reference"),
    (6, lambda k: 20 * np.log10((k - 1) / k), "exchanged"),
    (6, lambda k: 3.522, "for k = 3"),
]

test_answers_are_judged = judged(check, "08", ANSWERS)
