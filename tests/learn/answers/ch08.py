"""Chapter 08: which measure falls, the best level, medians and means, p by hand and by code."""

import math
from itertools import product

import numpy as np
import torch

NAMES = {
    "level": "ISR",
    "swap": "ISR",
    "delay of 5 ms": "ISR",
    "delay of 50 ms": "SAR",
    "leaking drums": "SIR",
    "musical noise": "SAR",
}


def gain(reference, estimate):
    return (reference * estimate).sum() / estimate.square().sum().clamp_min(1e-20)


def at_best_level(reference, estimate):
    return gain(reference, estimate) * estimate


def by_numpy(reference, estimate):
    s, e = np.asarray(reference).ravel(), np.asarray(estimate).ravel()
    return np.asarray(estimate) * (s @ e / max(e @ e, 1e-20))


def by_search(reference, estimate):
    if not estimate.any():
        return estimate
    return torch.linalg.lstsq(estimate.reshape(-1, 1), reference.reshape(-1, 1)).solution * estimate


def with_energy_of_reference(s, e):
    return (s * e).sum() / s.square().sum()


def flipped(d):
    return np.array(list(product((1, -1), repeat=len(d)))) @ d


def sign_flip(d):
    return np.mean(np.abs(flipped(d)) >= abs(d.sum()) - 1e-12)


def by_loop(d):
    far = 0
    for signs in product((1, -1), repeat=len(d)):
        far += abs(sum(sign * x for sign, x in zip(signs, d))) >= abs(sum(d)) - 1e-9
    return far / 2 ** len(d)


def by_bits(d):  # half of the patterns, each standing for its mirror image too
    codes = np.arange(2 ** (len(d) - 1))
    signs = 1 - 2 * (codes[:, None] >> np.arange(len(d)) & 1)
    return torch.tensor(np.mean(abs((signs * d).mean(1)) >= abs(d.mean())))


def by_lot(d):
    signs = np.random.default_rng(3).choice((1, -1), (4000, len(d)))
    return np.mean(np.abs(signs @ d) >= abs(d.sum()))


def by_ranks(d):
    return sign_flip(np.sign(d) * (1 + np.argsort(np.argsort(np.abs(d)))))


def multiple(k):
    return 20 * np.log10(k / (k - 1))


ANSWERS = {
    1: {
        "right": [
            NAMES,
            {error: name.lower() for error, name in NAMES.items()},
            tuple(NAMES.values()),
            np.array(list(NAMES.values())),
        ],
        "wrong": [
            ({**NAMES, "level": "SAR"}, "a filter of one tap", 5 / 6),
            ({**NAMES, "swap": "SIR"}, "the stem's own channels"),
            ({**NAMES, "delay of 5 ms": "SAR"}, "within the 512 taps"),
            ({**NAMES, "delay of 50 ms": "ISR"}, "beyond the 512 taps"),
            ({**NAMES, "leaking drums": "SAR"}, "what leaks is another stem"),
            ({**NAMES, "musical noise": "SIR"}, "no stem's delayed copy"),
            ({**NAMES, "leaking drums": "sdr"}, "SDR falls for every error"),
            ({**NAMES, "swap": ...}, "swap: not attempted", 5 / 6),
            ({"level": "ISR"}, "no answer for 'swap'"),
            ({**NAMES, "swap": "stereo"}, "in quotation marks"),
            (["ISR"] * 5, "6 answers were expected, not 5"),
        ],
    },
    2: {
        "right": [
            at_best_level,
            by_numpy,
            by_search,
            lambda s, e: at_best_level(s, e).float(),
            lambda s, e: at_best_level(s, e).T,
        ],
        "wrong": [
            (lambda s, e: gain(e, s) * s, "scaled to the estimate, as SI-SDR does"),
            (lambda s, e: with_energy_of_reference(s, e) * e, "the energy below is the estimate's"),
            (lambda s, e: e / gain(s, e), "the gain is upside down"),
            (
                lambda s, e: e * (s * e).sum(1, keepdim=True) / e.square().sum(1, keepdim=True),
                "a gain for each channel",
            ),
            (lambda s, e: s.norm() / e.norm() * e, "equally loud"),
            (lambda s, e: gain(s, e).abs() * e, "the best gain is negative here"),
            (lambda s, e: s.abs().max() / e.abs().max() * e, "the peaks equal"),
            (lambda s, e: e, "as loud as before"),
            (lambda s, e: s, "that is the reference; the estimate"),
            (gain, "that is the gain"),
            (lambda s, e: gain(s[0], e[0]) * e, "can still be raised"),
            (lambda s, e: (s * e).sum() / e.square().sum() * e, "it divides by 0", 1 / 2),
            (lambda s, e: at_best_level(s, e)[:1], "the shape is (1, 900)"),
        ],
    },
    3: {
        "right": [
            (5.25, 2.625),
            [5.25, 2.63],
            np.array([5.25, 2.625]),
            {"median of medians": torch.tensor(5.25), "mean of means": 2.625},
        ],
        "wrong": [
            ((2.625, 2.625), "that is the mean of means", 1 / 2),
            ((4.75, 2.625), "medians: the NaN is no frame"),
            ((6.0, 2.625), "median of all frames together"),
            ((5.0, 2.625), "song 1's mean"),
            ((1.0, 2.625), "4 and 6.5, so it is not 1"),
            ((5.25, 5.25), "that is the median of medians"),
            ((5.25, 16 / 7), "the mean of all frames together"),
            ((5.25, 2.0), "means: the NaN is no frame"),
            ((5.25, 6.0), "the ruined second counts too"),
            ((5.25, 1.0), "5 and 0.25, so it is not 1"),
            ((math.nan, 2.625), "not a number (NaN)"),
        ],
    },
    4: {
        "right": [
            (6 / 32, 2 / 32, 6, 11),
            [0.1875, 0.0625, 6, 11],
            np.array([6 / 32, 2 / 32, 6, 11]),
            (torch.tensor(6 / 32), 0.0625, np.int64(6), 11.0),
        ],
        "wrong": [
            ((3 / 32, 2 / 32, 6, 11), "one-sided", 3 / 4),
            ((4 / 32, 2 / 32, 6, 11), "the observed pattern itself"),
            ((2 / 32, 2 / 32, 6, 11), "one song lost here"),
            ((1 / 5, 2 / 32, 6, 11), "patterns are counted, not songs"),
            ((6 / 32, 1 / 32, 6, 11), "two patterns"),
            ((6 / 32, 0, 6, 11), "not that rare"),
            ((6 / 32, 0.05, 6, 11), "that is the bar"),
            ((6 / 32, 2 / 32, 5, 11), "with 5 songs the smallest p is 0.0625"),
            ((6 / 32, 2 / 32, 7, 11), "one song fewer"),
            ((6 / 32, 2 / 32, 20, 11), "one chance in n"),
            ((6 / 32, 2 / 32, 6, 10), "with 10 songs"),
            ((6 / 32, 2 / 32, 6, 30), "30 songs is not it"),
            ((6, 2 / 32, 6, 11), "it is not 6"),
        ],
    },
    5: {
        "right": [
            sign_flip,
            by_loop,
            by_bits,
            lambda d: float(sign_flip(-np.asarray(d))),
            lambda d: [sign_flip(d)],
        ],
        "wrong": [
            (lambda d: np.mean(flipped(d) >= d.sum()), "that is one-sided", 1 / 2),
            (by_lot, "none needs to be drawn by lot", 1 / 2),
            (lambda d: sign_flip(d) * 2 ** len(d), "that counts the patterns"),
            (
                lambda d: np.mean(np.abs(flipped(d)) > abs(d.sum())),
                "the observed pattern counts too",
            ),
            (lambda d: np.mean(np.abs(flipped(d)) >= d.sum()), "every pattern counts; compare"),
            (lambda d: np.mean(flipped(d) <= d.sum()), "patterns *below* yours"),
            (lambda d: np.mean(d < 0), "the share of songs lost"),
            (lambda d: sign_flip(np.sign(d)), "that is the sign test"),
            (by_ranks, "that is Wilcoxon's test"),
            (lambda d: 2 / 2 ** len(d), "the smallest p that so many songs allow"),
            (lambda d: 1 - sign_flip(d), "do *not* reach as far"),
            (lambda d: 1.0, "changes no distance"),
            (lambda d: d.mean(), "patterns have a mean at least as far"),
            (lambda d: np.abs(flipped(d)) >= abs(d.sum()), "one number was expected"),
            (0.1875, "a function was expected"),
        ],
    },
    6: {
        "right": [
            multiple,
            lambda k: -20 * math.log10(1 - 1 / k),
            lambda k: torch.tensor([multiple(k)]),
            lambda k: np.float32(multiple(k)),
        ],
        "wrong": [
            (lambda k: multiple(k) / 2, "k is a ratio of amplitudes"),
            (lambda k: 20 * np.log10(k), "the error is not the estimate"),
            (lambda k: 20 * np.log10(1 / (k - 1)), "the numerator is the reference"),
            (lambda k: -multiple(k), "numerator and denominator are exchanged"),
            (lambda k: 20 * np.log10(k / (k + 1)), "not k + 1"),
            (lambda k: k / (k - 1), "that is a factor"),
            (lambda k: 3.522, "for k = 2 it gives 3.522 dB"),
            (3.522, "a function was expected"),
            (lambda k: None, "returns nothing"),
            (lambda k: 20 * numpy.log10(k), "a name that is not defined"),  # noqa: F821
        ],
    },
}
