"""Chapter 02: a voice turned down, masks by hand, SDR foretold, the best mask, precision."""

import numpy as np
import torch


def turned(mask, db):
    return 1 + (10 ** (db / 20) - 1) * mask


def within(values, lowest, highest, silent=0.0):
    """Values kept within limits; of another value where nothing sounds."""
    values = torch.where(torch.isfinite(values), values, torch.zeros_like(values))
    return values.clamp(lowest, highest) + silent


def nearest(S, X, lowest, highest):
    return within((S * X.conj()).real / X.abs() ** 2, lowest, highest)


def in_numpy(S, X, lowest, highest):
    ratio = np.divide(S.numpy(), X.numpy(), out=np.zeros(X.shape, complex), where=X.numpy() != 0)
    return np.clip(ratio.real, lowest, highest)


def by_search(S, X, lowest, highest):
    """Try many values in every bin and take the one with the smallest error."""
    tried = torch.linspace(lowest, highest, 60_001, dtype=torch.float64)
    errors = (S[..., None] - tried * X[..., None]).abs()
    return torch.where(X == 0, 0.0, tried[errors.argmin(-1)])


BY_HAND = (1, 3 / 7, 9 / 25, 9 / 25, 1, 3 / 4, 9 / 10, 1)


def by_hand(place, value):
    return BY_HAND[:place] + (value,) + BY_HAND[place + 1 :]


ANSWERS = {
    1: {
        "right": [
            turned,
            lambda mask, db: 10 ** (db / 20) * mask + (1 - mask),
            lambda mask, db: turned(mask.float(), db),
            lambda mask, db: turned(np.asarray(mask), db),
            lambda mask, db: turned(mask, db).tolist(),
            lambda mask, db: turned(mask, db).T,
            lambda mask, db: turned(mask, db).to(torch.complex64).real,
        ],
        "wrong": [
            (lambda mask, db: 10 ** (db / 20) * mask, "the rest has gone"),
            (lambda mask, db: 1 - mask, "whatever `db` is"),
            (lambda mask, db: 10 ** (db / 20), "(2, 3) was expected"),
            (lambda mask, db: 10 ** (db / 20) + 0 * mask, "voice and rest alike"),
            (lambda mask, db: turned(mask, 2 * db), "a ratio of powers"),
            (lambda mask, db: db * mask + (1 - mask), "decibels are no factors"),
            (lambda mask, db: turned(mask, -db), "-12 is quieter"),
            (lambda mask, db: turned(1 - mask, db), "the two shares are exchanged"),
            (lambda mask, db: 1 + 10 ** (db / 20) * mask, "the voice is there twice"),
            (lambda mask, db: mask, "half of the gain"),
            (lambda mask, db: turned(mask, db) * 1j, "a gain is real"),
            (lambda mask, db: mask.turn(db), "an attribute or method that it does not have"),
            (0.5, "a function was expected"),
        ],
    },
    2: {
        "right": [
            BY_HAND,
            [1, 0.429, 0.36, 0.36, 1, 0.75, 0.9, 1],
            np.array(BY_HAND, dtype=np.float32),
            torch.tensor(BY_HAND),
        ],
        "wrong": [
            (by_hand(0, 0), "half of |X| = 5", 7 / 8),
            (by_hand(1, 9 / 25), "shares magnitudes, not powers"),
            (by_hand(1, 4 / 7), "IRM1: that is the rest's share"),
            (by_hand(1, 3 / 5), "|X| is not |S| + |N|"),
            (by_hand(2, 3 / 7), "shares powers, not magnitudes"),
            (by_hand(2, 9 / 49), "square, then add"),
            (by_hand(3, 3 / 5), "without the cosine"),
            (by_hand(3, 16 / 25), "not one minus it"),
            (by_hand(4, 0), "half of |X| = 2"),
            (by_hand(6, 0.1), "IRM2: that is the rest's share"),
            (by_hand(7, 1.5), "held between 0 and 1"),
            (by_hand(7, 2 / 3), "S / X, not X / S"),
            (by_hand(6, 9 / 4), "those of S and N"),
            (by_hand(7, 0), "X points as S does"),
            (by_hand(5, 0.5), "S = 3, N = -1: the mask is not 0.5"),
            (by_hand(7, ...), "opposed, PSM: not attempted yet", 7 / 8),
        ],
    },
    3: {
        "right": [
            (0, -6.02, 0.92, 20),
            (0.0, 20 * np.log10(0.5), -20 * np.log10(0.9), 10 * np.log10(100)),
            [0, -6, 0.9, 20],
            torch.tensor([0, -6.02, 0.92, 20]),
        ],
        "wrong": [
            ((6.02, -6.02, 0.92, 20), "it is *louder* by 6 dB", 3 / 4),
            ((-6.02, -6.02, 0.92, 20), "not twice as large"),
            ((0, 0, 0.92, 20), "0 dB is what silence scores"),
            ((0, 6.02, 0.92, 20), "so the SDR is negative"),
            ((0, -3.01, 0.92, 20), "four times the energy"),
            ((0, -6.02, 20, 20), "what is *missing* counts"),
            ((0, -6.02, -20, 20), "at most the reference itself"),
            ((0, -6.02, 0.92, 40), "10 log10, not 20"),
            ((0, -6.02, 0.92, -20), "so the SDR is positive"),
            ((0, float("-inf"), 0.92, 20), "that is infinite"),
            ((0, -6.02, 3, 20), "a tenth: measured on a voice it is not 3 dB"),
            ((..., -6.02, 0.92, 20), "twice as loud: not attempted", 3 / 4),
        ],
    },
    4: {
        "right": [
            nearest,
            lambda S, X, low, high: within((S / X).real, low, high),
            lambda S, X, low, high: nearest(S, X, low, high).to(torch.complex64),
            lambda S, X, low, high: nearest(S, X, low, high).tolist(),
            in_numpy,
            by_search,
        ],
        "wrong": [
            (lambda S, X, low, high: S / X, "S / X turns the phase as well"),
            (lambda S, X, low, high: (S / X).real, "its values go beyond the limits"),
            (lambda S, X, low, high: within((S / X).abs(), low, high), "that is |S| / |X|"),
            (lambda S, X, low, high: within((X / S).real, low, high), "the other way round"),
            (
                lambda S, X, low, high: within(S.abs() / (S.abs() + (X - S).abs()), low, high),
                "a ratio mask, IRM1",
            ),
            (
                lambda S, X, low, high: within(
                    S.abs() ** 2 / (S.abs() ** 2 + (X - S).abs() ** 2), low, high
                ),
                "a ratio mask, IRM2",
            ),
            (
                lambda S, X, low, high: within((S * X).real / X.abs() ** 2, low, high),
                "a conjugate is missing",
            ),
            (
                lambda S, X, low, high: within((S * X.conj()).real / X.abs(), low, high),
                "it grows with the level",
            ),
            (
                lambda S, X, low, high: low + (high - low) * nearest(S, X, 0, 1),
                "they do not stretch it",
            ),
            (lambda S, X, low, high: within((S / X).imag, low, high), "at right angles to"),
            (lambda S, X, low, high: within((S / X).real.abs(), low, high), "the sign is lost"),
            (lambda S, X, low, high: nearest(S, X, 0, 1), "it keeps to 0 and 1"),
            (lambda S, X, low, high: nearest(S, X, low, high) * (1 + 0.1j), "imaginary part"),
            (
                lambda S, X, low, high: nearest(S, X, low, high) + 0.1,
                "S = 3, X = 3 + 4i, limits 0 and 1: 0.460 is not",
            ),
            (lambda S, X, low, high: (S / X).real.clamp(low, high), "0 / 0 is not a number", 1 / 2),
            (lambda S, X, low, high: 0.5, "(2, 4) was expected"),
            (lambda S, X, low, high: S / Z, "a name that is not defined"),  # noqa: F821
            (0.5, "a function was expected"),
        ],
    },
    5: {
        "right": [
            (3 / 5, 3 / 4),
            [0.6, 0.75],
            np.array([0.6, 0.75], dtype=np.float32),
            {"precision": 0.6, "recall": torch.tensor(0.75)},
        ],
        "wrong": [
            ((0.75, 0.75), "reaches the threshold", 1 / 2),
            ((1 / 3, 0.75), "bins that were *taken*, not of all"),
            ((0.8, 0.75), "five bins are taken, and three"),
            ((3, 0.75), "their share was asked for"),
            ((60, 0.75), "precision: that is in per cent"),
            ((0.6, 0.6), "that is the precision"),
            ((0.6, 1 / 3), "three of the target's bins"),
            ((0.6, 0.5), "three of the four ones"),
            ((0.6, 75), "recall: in per cent"),
            ((0.2, 0.75), "0.2 is not the target's share"),
            ((0.6, 0.2), "0.2 is not the share taken"),
            ({"precision": 0.6}, "no answer for 'recall'"),
        ],
    },
}
