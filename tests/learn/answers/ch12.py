"""Chapter 12: verdicts and what turns them, columns, median and mean, the level of a mixture."""

import math

import numpy as np
import torch

VERDICTS = ("holds", "undecided", "fails", "undecided", "one network")
COLUMNS = (True, False, False, True, False)
SONGS = [6.1, 5.8, 6.4, 5.9, -3.0]
CHANGED = ("holds", "undecided", "fails", "holds", "one network")
BEST = 10 * math.log10(4 / 3)


def verdict(number, value):
    return VERDICTS[: number - 1] + (value,) + VERDICTS[number:]


def column(number, value):
    return COLUMNS[: number - 1] + (value,) + COLUMNS[number:]


def changed(number, value):
    return CHANGED[: number - 1] + (value,) + CHANGED[number:]


def songs(comparisons, patterns=2, level=0.05, join=math.ceil):
    return join(math.log2(comparisons * patterns / level))


def counted(comparisons):
    n = 1
    while 2 * comparisons / 2**n > 0.05:
        n += 1
    return n


LINE = dict(metric="usdr", target="vocals", higher="irm1", lower="ibm", direction="greater")
LINE |= dict(least=1, unit="dB", trained="no", family="masks", fixed_on="2026-12-01")


def line(**changed):
    return LINE | changed


ANSWERS = {
    1: {
        "right": [
            VERDICTS,
            list(VERDICTS),
            np.array(VERDICTS),
            tuple(word.upper() for word in VERDICTS),
        ],
        "wrong": [
            (verdict(5, "holds"), "comparison 5: one training", 4 / 5),
            (verdict(1, "undecided"), "comparison 1: the whole"),
            (verdict(2, "holds"), "comparison 2: the interval contains 0"),
            (verdict(3, "undecided"), "comparison 3: the whole interval lies below 0"),
            (verdict(4, "holds"), "comparison 4: five songs"),
            (verdict(1, "yes"), "'yes' is no verdict"),
            (verdict(2, True), "put it in quotation marks"),
            (verdict(3, ...), "comparison 3: not attempted", 4 / 5),
            (VERDICTS[:2], "5 answers were expected, not 2"),
            ("holds", "5 answers were expected, not text"),
        ],
    },
    2: {
        "right": [COLUMNS, list(COLUMNS), np.array(COLUMNS), torch.tensor(COLUMNS)],
        "wrong": [
            (column(1, False), "pair 1: same data set", 4 / 5),
            (column(2, True), "pair 2: MUSDB18"),
            (column(3, True), "pair 3: cSDR"),
            (column(4, False), "pair 4: both were scored"),
            (column(5, True), "pair 5: the band"),
            (column(2, "no"), "without quotation marks"),
            (column(4, ...), "pair 4: not attempted", 4 / 5),
            (COLUMNS[:2], "5 answers were expected, not 2"),
            (True, "not a single number"),
        ],
    },
    3: {
        "right": [
            line(),
            line(least=1.0, family="S3.99"),
            line(least="1.00", fixed_on="2027-01-31"),
            line(direction="greater", note="more than was asked for"),
        ],
        "wrong": [
            (line(metric="csdr"), "'csdr' is not the score", 6 / 7),
            (line(target="accompaniment"), "the singing voice"),
            (line(higher="ibm", lower="irm1"), "turned round"),
            (line(lower="mixture"), "are called irm1 and ibm"),
            (line(lower="irm1"), "irm1 stands on both sides"),
            (line(least=0), "by more than 1, and in decibels"),
            (line(trained="yes"), "is not trained"),
            (line(trained=False), "unknown trained 'False'", 6 / 7),
            (line(direction="better"), "refuses it: unknown direction", 6 / 7),
            (line(direction="same"), "better, not as good as"),
            (line(unit=""), "refuses it: it has no unit", 5 / 7),
            (line(least="one"), "'one' is not a number", 5 / 7),
            (line(family=""), "refuses it: it has no family", 6 / 7),
            (line(fixed_on="yesterday"), "refuses it: it needs the day", 6 / 7),
            (line(family="2026-12-01"), "not a day"),
            (line(lower=...), "still to be filled in: lower"),
            ({"metrik": "usdr"}, "were expected, each with its value"),
            ("irm1 > ibm", "not text"),
        ],
    },
    4: {
        "right": [
            (1 / 4, BEST),
            [0.25, 1.25],
            (np.float32(0.25), 10 * math.log10(1 / ((1 - 1 / 4) ** 2 + 3 * (1 / 4) ** 2))),
            torch.tensor([0.25, 1.2494]),
        ],
        "wrong": [
            ((1, BEST), "leaves the mixture as it is", 1 / 2),
            ((0.5, BEST), "go lower"),
            ((0, BEST), "0 is silence"),
            ((1 / 3, BEST), "the wanted one among them"),
            ((0.75, BEST), "at the best gain, not the gain"),
            ((0.2, BEST), "with 0.2 the SDR is 1.192 dB"),
            ((0.25, -4.77), "the mixture unchanged"),
            ((0.25, 4.77), "not the whole error"),
            ((0.25, 6.02), "both are error"),
            ((0.25, 2.5), "a quarter of each other stem"),
            ((0.25, 7.27), "there is what is missing"),
            ((0.25, 0.75), "that is the energy of the error"),
            ((0.25, -BEST), "turn the ratio round"),
            ((0.25, 3.0), "at the best gain it is not 3 dB"),
            ((0.25, "one"), "SDR: a number or tensor"),
        ],
    },
    5: {
        "right": [
            CHANGED,
            list(CHANGED),
            np.array(CHANGED),
            tuple(f" {word.title()} " for word in CHANGED),
        ],
        "wrong": [
            (changed(1, "undecided"), "row 1: eight songs", 4 / 5),
            (changed(2, "holds"), "row 2: now the bar lies inside"),
            (changed(3, "undecided"), "row 3: now the whole interval lies below the bar"),
            (changed(4, "undecided"), "row 4: alone it needs no correction"),
            (changed(5, "holds"), "row 5: one training of each arm"),
            (changed(3, "false"), "'false' is no verdict"),
            (changed(1, 0.008), "put it in quotation marks"),
            (changed(4, ...), "row 4: not attempted", 4 / 5),
            (CHANGED[1:], "5 answers were expected, not 4"),
        ],
    },
    6: {
        "right": [
            songs,
            counted,
            lambda c: np.ceil(np.log2(40 * c)),
            lambda c: torch.log2(torch.tensor(40.0 * c)).ceil(),
            lambda c: next(n for n in range(99) if c / 2 ** (n - 1) <= 0.05),
        ],
        "wrong": [
            (lambda c: songs(c, patterns=1), "the test has two sides"),
            (lambda c: songs(c, join=round), "rounded to the nearest"),
            (lambda c: songs(c, join=float), "songs are whole, so round up"),
            (lambda c: 6, "you give 6 for every family"),
            (lambda c: 6 * c, "six songs for each comparison"),
            (lambda c: songs(c, level=0.025), "one song less is enough already"),
            (lambda c: songs(c) - (c > 1), "3 comparison(s): with 6 songs p is at best 0.094"),
            (lambda c: songs(c) + (c > 6), "18 comparison(s): 10 songs are enough"),
            (lambda c: 0.05 / c, "that is no number of songs"),
            (lambda c: min(songs(c), 8), "18 comparison(s): with 8 songs p is at best"),
            (8, "a function was expected"),
            (lambda c: None, "returns nothing"),
        ],
    },
}
