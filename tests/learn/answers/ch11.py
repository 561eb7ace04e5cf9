"""Chapter 11: an explained part, a study of one's own, gains of songs, attention's memory."""

import numpy as np
import torch


def gain(estimate, source):
    energy = (source**2).sum()
    return (estimate * source).sum() / energy if energy else 0.0


def explained(estimate, source):
    return gain(estimate, source) * source


def by_numpy(estimate, source):
    e, s = np.asarray(estimate, np.float64).ravel(), np.asarray(source, np.float64).ravel()
    return np.asarray(source) * (e @ s / max(s @ s, 1e-20))


def by_solving(estimate, source):
    return torch.linalg.lstsq(source.reshape(-1, 1), estimate.reshape(-1, 1)).solution * source


def share(e, s):
    return gain(e, s) ** 2 * (s**2).sum() / (e**2).sum()


def by_channel(e, s):
    return s * (e * s).sum(1, keepdim=True) / (s**2).sum(1, keepdim=True)


def matrices(seconds, batch, heads, layers, size=4, power=2, hop=1024):
    return size * batch * heads * layers * (1 + int(seconds * 44100) // hop) ** power


PIECES = np.array([3.1, 7.9, 5.2, 1.4, 9.6, 4.0])
WHOLE = np.array([3.5, 8.1, 5.7, 1.6, 10.1, 4.2])
GAINS = WHOLE - PIECES
GAIN = GAINS.mean()
WITHIN = GAIN / (GAINS.std(ddof=1) / 6**0.5)
BETWEEN = GAIN / np.sqrt((PIECES.var(ddof=1) + WHOLE.var(ddof=1)) / 6)


#: What a study prints: the prediction, an interval, p and songs.
RISEN = ("rises", 0.31, 1.24, 0.016, 8)
OPEN = ("falls", -0.5, 1.2, 0.4, 8)
FEW = ("rises", 0.4, 1.2, 0.5, 2)


def own(seen, decision, at_least, rules_out):
    return seen, decision, at_least, rules_out


def study(gain=GAIN, within=WITHIN, between=BETWEEN, decision="holds"):
    return gain, within, between, decision


ANSWERS = {
    1: {
        "right": [
            explained,
            by_numpy,
            by_solving,
            lambda e, s: explained(e.double(), s.double()),
            lambda e, s: explained(e, s).T.tolist(),
        ],
        "wrong": [
            (gain, "that is the gain"),
            (share, "the share of the energy"),
            (lambda e, s: e - explained(e, s), "that is what is left"),
            (lambda e, s: e, "that is the estimate"),
            (lambda e, s: s, "the source at its own level"),
            (lambda e, s: abs(gain(e, s)) * s, "the leak is turned over"),
            (lambda e, s: gain(s, e) * s, "energy of the *source*"),
            (lambda e, s: gain(s, e) * e, "of the estimate's shape"),
            (lambda e, s: (e * s).sum() * s, "must be divided"),
            (by_channel, "a gain for each channel"),
            (lambda e, s: e.norm() / s.norm() * s, "as loud as the whole estimate"),
            (lambda e, s: gain(e[:1], s[:1]) * s, "another gain explains more"),
            (lambda e, s: (e * s).sum() / (s**2).sum() * s, "do not divide by 0", 1 / 2),
            (lambda e, s: explained(e, s).mean(0), "the shape is (4000,)"),
        ],
    },
    2: {
        "right": [
            own(RISEN, "holds", 0.31, "yes"),
            own(("falls", *RISEN[1:]), "fails", 0.31, "Yes"),
            own(OPEN, "undecided", 0, "yes"),
            own(("falls", -4.2, -1.1, 0.008, 8), "Holds", 1.1, "no"),
            own(("rises", -4.2, -1.1, 0.008, 8), " fails ", torch.tensor(1.1), "no"),
            own(("rises", 0.1, 0.9, 0.07, 8), "undecided", np.float64(0.1), "yes"),
            own(FEW, "undecided", 0.4, "yes"),
            list(own(list(OPEN), "undecided", 0.0, "yes")),
        ],
        "wrong": [
            (own(RISEN, "fails", 0.31, "yes"), "on the side you predicted", 3 / 4),
            (own(RISEN, "undecided", 0.31, "yes"), "that is decided", 3 / 4),
            (own(("falls", *RISEN[1:]), "holds", 0.31, "yes"), "the other side of 0"),
            (own(OPEN, "fails", 0, "yes"), "leave the direction open"),
            (own(("rises", 0.1, 0.9, 0.07, 8), "holds", 0.1, "yes"), "ask for both"),
            (own(FEW, "holds", 0.4, "yes"), "fewer than six songs"),
            (own(RISEN, True, 0.31, "yes"), "undecided; in quotation"),
            (own(RISEN, "rises", 0.31, "yes"), "'rises': choose from"),
            (own(RISEN, "holds", 1.24, "yes"), "the largest change", 3 / 4),
            (own(RISEN, "holds", 0.775, "yes"), "the middle of the interval"),
            (own(("falls", -4.2, -1.1, 0.008, 8), "holds", -1.1, "no"), "without a sign"),
            (own(OPEN, "undecided", 0.5, "yes"), "that nothing changes"),
            (own(RISEN, "holds", 0.7, "yes"), "not the end nearest to 0"),
            (own(RISEN, "holds", 0.31, "no"), "nearer to 0 than 3 dB", 3 / 4),
            (own(("falls", -4.2, -1.1, 0.008, 8), "holds", 1.1, "yes"), "reaches 3 dB"),
            (own(RISEN, "holds", 0.31, False), "'yes' or 'no'"),
            (own(RISEN, "holds", 0.31, "maybe"), "'maybe': answer"),
            (own(RISEN[1:], "holds", 0.31, "yes"), "seen: copy the five things"),
            (own(("up", *RISEN[1:]), "holds", 0.31, "yes"), "seen: a prediction is"),
            (own(("rises", 1.24, 0.31, 0.016, 8), "holds", 0.31, "yes"), "seen: the interval goes"),
            (own(("rises", 0.31, 1.24, 8, 0.016), "holds", 0.31, "yes"), "seen: p is a"),
            (own(("rises", 0.31, 1.24, 0.0, 12), "holds", 0.31, "yes"), "above 0 and at most 1"),
            (own(("rises", 0.31, 1.24, 0.016, 0.5), "holds", 0.31, "yes"), "seen: the fifth"),
            (RISEN, "4 answers were expected, not 5"),
        ],
    },
    3: {
        "right": [
            study(),
            list(study()),
            [0.333, 5.42, 0.187, "Holds"],
            (0.33, 5.4, 0.19, "holds"),
            (torch.tensor(GAIN), np.float32(WITHIN), torch.tensor(BETWEEN), " holds "),
        ],
        "wrong": [
            (study(gain=-GAIN), "gain: the other way round", 3 / 4),
            (study(gain=2.0), "the sum of the gains"),
            (study(gain=0.3), "the median of the gains"),
            (study(gain=WHOLE.mean()), "the mean of the whole songs"),
            (study(gain=0.5), "0.5 dB is not the mean"),
            (study(within=BETWEEN), "that is between songs"),
            (study(within=GAIN / GAINS.std(ddof=1)), "their *mean* deviates less"),
            (study(within=GAIN / (GAINS.std() / 6**0.5)), "the sample's deviation, with n - 1"),
            (study(within=GAIN / WITHIN), "within: that is the standard error"),
            (study(within=1 / WITHIN), "turned round"),
            (study(between=WITHIN), "that is within songs"),
            (study(between=BETWEEN / 6**0.5), "divided by deviations"),
            (study(between=GAIN / (PIECES.std(ddof=1) / 6**0.5)), "both deviate"),
            (study(between=BETWEEN * (6 / 5) ** 0.5), "the sample's variances, with n - 1"),
            (
                study(between=GAIN * 6**0.5 / (PIECES.std(ddof=1) + WHOLE.std(ddof=1))),
                "standard errors were added",
            ),
            (study(between=GAIN / BETWEEN), "between: that is the standard error"),
            (study(decision="undecided"), "that is enough", 3 / 4),
            (study(decision="fails"), "all six songs gain"),
            (study(decision=True), "in quotation marks"),
            (study(decision="yes"), "'yes': choose from"),
            ((GAIN, WITHIN), "4 answers were expected, not 2"),
        ],
    },
    4: {
        "right": [
            matrices,
            lambda *given: np.int64(matrices(*given)),
            lambda *given: torch.tensor(float(matrices(*given))),
            lambda s, b, h, n: 4 * b * h * n * (s * 44100 // 1024 + 1) ** 2,
        ],
        "wrong": [
            (lambda *given: matrices(*given, size=1), "each has 4 bytes"),
            (lambda *given: matrices(*given, size=8), "not 8"),
            (lambda *given: matrices(*given, power=1), "square them"),
            (lambda *given: matrices(*given) // 2, "in both directions"),
            (lambda *given: matrices(*given, hop=1), "samples squared"),
            (lambda *given: matrices(*given, hop=512), "8 heads and 3 layers"),
            (lambda s, b, h, n: matrices(s, 16, h, n), "in proportion to the batch"),
            (lambda s, b, h, n: matrices(s, b, 8, n), "in proportion to the heads"),
            (lambda s, b, h, n: matrices(s, b, h, 3), "in proportion to the layers"),
            (
                lambda s, b, h, n: matrices(6.0, b, h, n) if s > 2 else matrices(s, b, h, n),
                "four times as long",
            ),
            (lambda s, b, h, n: matrices(6.0, b, h, n), "a matrix of 2 s in two heads"),
            (103e6, "a function was expected"),
        ],
    },
}
