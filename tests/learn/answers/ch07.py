"""Chapter 07: counting remixes, remixing a batch, an SNR, a wrong target's score, verdicts."""

import math

import numpy as np
import torch

SAME = (1 / 24) ** 3


def remix(stems, orders):
    return torch.stack([stems[orders[s], s] for s in range(stems.shape[1])], dim=1)


def by_loops(stems, orders):
    mixed = torch.empty_like(stems)
    for b in range(len(stems)):
        for s in range(stems.shape[1]):
            mixed[b, s] = stems[orders[s][b], s]
    return mixed


def speech_gain(speech, music, snr):
    return torch.sqrt(music.square().sum() / speech.square().sum()) * 10 ** (snr / 20)


VERDICTS = ("holds", "undecided", "undecided")

#: The standard error with one seed, the seeds needed, and what songs and one seed leave.
SEEDS = (math.sqrt(0.3**2 / 24 + 0.2**2 + 0.4**2 / 24), 5, 0.3 / math.sqrt(24), 0.2)

ANSWERS = {
    1: {
        "right": [
            (24**4, SAME),
            [331776.0, 7.23e-5],
            np.array([24**4, SAME]),
            (torch.tensor(24**4), np.float32(SAME)),
        ],
        "wrong": [
            ((96, SAME), "choices for several stems multiply", 1 / 2),
            ((24 * 23 * 22 * 21, SAME), "may give several stems"),
            ((4**24, SAME), "made four times"),
            ((24**3, SAME), "four choices, not three"),
            ((24**4 - 24, SAME), "the real songs are among"),
            ((1000, SAME), "are not 1000"),
            ((24**4, 1 / 24**4), "any of the 24"),
            ((24**4, 1 / 24), "*three* other stems"),
            ((24**4, 4 / 24), "three conditions at once"),
            ((24**4, 13824), "between 0 and 1"),
            ((24**4, 0.5), "that is not 0.5"),
        ],
    },
    2: {
        "right": [
            remix,
            by_loops,
            lambda stems, orders: remix(stems, orders).double().numpy(),
            lambda stems, orders: stems[orders.T, torch.arange(stems.shape[1])],
        ],
        "wrong": [
            (lambda stems, orders: stems, "nothing has changed"),
            (lambda stems, orders: stems[orders[0]], "all stems follow one order"),
            (lambda stems, orders: stems.roll(1, dims=1), "moved one place"),
            (
                lambda stems, orders: torch.stack([stems[b, orders[:, b] % 4] for b in range(6)]),
                "within an example",
            ),
            (lambda stems, orders: remix(stems, orders.argsort(1)), "backwards"),
            (lambda stems, orders: remix(stems, orders).flip(2), "left and right are exchanged"),
            (
                lambda stems, orders: remix(stems, orders).sum(1, keepdim=True).expand_as(stems),
                "that is the mixture",
            ),
            (lambda stems, orders: remix(stems, orders) / 4, "the samples have been scaled"),
            (lambda stems, orders: remix(stems, orders.flip(0)), "not so for all of them"),
            (lambda stems, orders: stems[0], "the shape is (4, 2, 3)"),
            (lambda stems, orders: stems[orders], "(4, 6, 4, 2, 3)"),
            (lambda stems, orders: None, "returns nothing"),
        ],
    },
    3: {
        "right": [
            speech_gain,
            lambda s, m, snr: float(m.norm() / s.norm()) * 10 ** (snr / 20),
            lambda s, m, snr: (10 ** (snr / 10) * (m**2).sum() / (s**2).sum()).sqrt().numpy(),
            lambda s, m, snr: speech_gain(s.double(), m.double(), snr),
        ],
        "wrong": [
            (lambda s, m, snr: 10 ** (snr / 20), "two *equally loud* sounds"),
            (lambda s, m, snr: speech_gain(s, m, 2 * snr), "a ratio of energies"),
            (
                lambda s, m, snr: float(m.square().sum() / s.square().sum()) * 10 ** (snr / 20),
                "needs its square root",
            ),
            (lambda s, m, snr: speech_gain(s, m, snr) ** 2, "take its square root"),
            (lambda s, m, snr: speech_gain(s, m, -snr), "the sign is turned"),
            (lambda s, m, snr: 1 / speech_gain(s, m, snr), "belongs to the music"),
            (lambda s, m, snr: speech_gain(s, m, 0), "`snr` is missing"),
            (lambda s, m, snr: speech_gain(s[:1], m[:1], snr), "the left channel alone"),
            (lambda s, m, snr: 100 * speech_gain(s, m, snr), "45.0 dB instead of 5 dB"),
            (lambda s, m, snr: -1.0, "a gain above 0"),
            (lambda s, m, snr: speech_gain(s, m, snr) * s, "one number was expected"),
            (5.0, "a function was expected"),
        ],
    },
    4: {
        "right": [
            (-20 * math.log10(1 - 0.5), 1 - 10 ** (-20 / 20)),
            (6.02, 1.1),
            np.array([6.02, 0.9]),
            [torch.tensor(6.0206), torch.tensor(0.9)],
        ],
        "wrong": [
            ((3.01, 0.9), "squares of amplitudes", 1 / 2),
            ((-6.02, 0.9), "the sign is turned"),
            ((0, 0.9), "0 dB is silence"),
            ((12.04, 0.9), "a quarter of the energy"),
            ((math.inf, 0.9), "one gain for both"),
            ((0.5, 0.9), "it is not 0.5 dB"),
            ((6.02, 0.1), "what is *missing*"),
            ((6.02, 0.99), "100 in energy"),
            ((6.02, 1.0), "with 1 the score is infinite"),
            ((6.02, 0.8), "with 0.8 the score, measured, is 14.0 dB"),
        ],
    },
    5: {
        "right": [
            VERDICTS,
            {"A": "Holds", "B": "undecided", "C": " undecided "},
            list(VERDICTS),
            np.array(VERDICTS),
        ],
        "wrong": [
            (("undecided", "undecided", "undecided"), "once in 128 times", 2 / 3),
            (("fails", "undecided", "undecided"), "how could that speak"),
            (("holds", "holds", "undecided"), "one single song"),
            (("holds", "fails", "undecided"), "does harm either"),
            (("holds", "undecided", "holds"), "below 2/32"),
            (("holds", "undecided", "fails"), "all five songs gain"),
            (("yes", "undecided", "undecided"), "'yes' is none"),
            ((True, "undecided", "undecided"), "in quotation marks"),
            (("holds", "undecided"), "3 answers were expected, not 2"),
            (("holds", "undecided", ...), "C: not attempted"),
        ],
    },
    6: {
        "right": [
            SEEDS,
            (0.22, 5.0, 0.061, 0.2),
            np.array(SEEDS),
            {
                "one seed": torch.tensor(0.2245),
                "seeds needed": np.int64(5),
                "24 songs, many seeds": 0.0612,
                "one seed, many songs": 0.2,
            },
        ],
        "wrong": [
            ((0.0504, *SEEDS[1:]), "that is the variance; take its root", 3 / 4),
            ((0.5385, *SEEDS[1:]), "how far single differences scatter"),
            ((0.1099, *SEEDS[1:]), "all 24 songs share the one seed"),
            ((0.2092, *SEEDS[1:]), "the rest is missing"),
            ((0.0612, *SEEDS[1:]), "the songs' part alone"),
            ((1.0, *SEEDS[1:]), "dB, not by 1"),
            ((SEEDS[0], 4, *SEEDS[2:]), "which is too far"),
            ((SEEDS[0], 8, *SEEDS[2:]), "fewer seeds are enough too"),
            ((SEEDS[0], 4.5, *SEEDS[2:]), "a whole number from 1 to 1000"),
            ((*SEEDS[:2], 0, 0.2), "24 songs stay 24 songs"),
            ((*SEEDS[:2], 0.3, 0.2), "that is a single song"),
            ((*SEEDS[:2], 0.00375, 0.2), "the variance again"),
            ((*SEEDS[:2], 0.2, 0.2), "the one that vanishes"),
            ((*SEEDS[:2], 1.0, 0.2), "over 24 songs is left"),
            ((*SEEDS[:3], 0.0), "do not make a second seed"),
            ((*SEEDS[:3], 0.04), "a variance; its root is left"),
            ((*SEEDS[:3], 0.4472), "averaged over the songs, and vanishes"),
            ((*SEEDS[:3], 1.0), "only the one seed is left"),
        ],
    },
}
