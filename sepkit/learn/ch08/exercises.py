"""Exercises of chapter 08: which measure falls, the best level, medians, p by hand and by code."""

from functools import partial
from itertools import product
from math import isclose, log10, nan
from typing import Any

import numpy as np
import torch

from ...metrics import statistics
from .. import tones
from ..exercises import Exercises, as_tensor, attempt, expect, judge_parts, need, number

exercises = Exercises("08")
check, hint = exercises.check, exercises.hint


_FALLS = {
    "level": (
        "ISR",
        (
            "a wrong level is a filter of one tap: no other stem is heard, nothing is new, the stem"
            " itself is altered"
        ),
    ),
    "swap": (
        "ISR",
        "the exchanged channels are the stem's own channels, so the fit to the stem explains them",
    ),
    "delay of 5 ms": (
        "ISR",
        (
            "5 ms are 221 samples at 44 100 Hz, within the 512 taps: the stem's own fit explains"
            " the delay"
        ),
    ),
    "delay of 50 ms": (
        "SAR",
        (
            "50 ms are 2205 samples, beyond the 512 taps: no fit explains it, and what nothing"
            " explains is an artefact"
        ),
    ),
    "leaking drums": ("SIR", "what leaks is another stem, and the fit to all stems explains it"),
    "musical noise": ("SAR", "the noise is no stem's delayed copy, so no fit explains it"),
}


@exercises.add(
    "Ask which fit explains the error: the stem's own delayed copies (ISR), those of all stems"
    " (SIR), or none (SAR).",
    "At 44 100 Hz the 512 taps reach 11.6 ms.",
)
def ex_08_1(answer: Any) -> None:
    """Each error has the measure that names it; SDR falls in all six cases and tells them not
    apart.
    """

    def falls(right, because, value):
        need(
            isinstance(value, str) and value.strip().upper() in ("SDR", "ISR", "SIR", "SAR"),
            "choose 'ISR', 'SIR' or 'SAR', in quotation marks",
        )
        given = value.strip().upper()
        need(given != "SDR", "SDR falls for every error; choose one of ISR, SIR and SAR")
        need(given == right, because)

    judge_parts(answer, {error: partial(falls, *told) for error, told in _FALLS.items()})


def _signals():
    """Unequal channels, one of them mostly silent, and an estimate turned over and too quiet."""
    generator = torch.Generator().manual_seed(8)
    reference = torch.randn(2, 900, dtype=torch.float64, generator=generator)
    reference = reference * torch.tensor([[1.0], [0.1]], dtype=torch.float64)
    reference[1, 300:] = 0
    noise = torch.randn(2, 900, dtype=torch.float64, generator=generator)
    return reference, -0.3 * reference * torch.tensor([[1.0], [2.0]]) + 0.05 * noise


def _hear_level(answer):
    """A separated voice that is far too quiet and turned over, and the answer's version of it."""
    voice = tones.voice()[None]
    estimate = -0.1 * (voice + 0.3 * tones.drum()[None])
    made = as_tensor(attempt(answer, voice.float(), estimate.float()), voice.shape)
    sounds = {"the reference": voice, "the estimate": estimate, "at your level": made}
    return tones.row(sounds, "how near the last comes to the level of the reference.")


@exercises.add(
    "One number multiplies the whole estimate. For which one is the distance to the reference"
    " smallest?",
    "That is a projection, of the reference onto the estimate: an inner product over an energy."
    " SI-SDR projects the other way.",
    "`b = (reference * estimate).sum() / estimate.square().sum()`, then `b * estimate`; where the"
    " estimate is silent, it stays so.",
    hear=_hear_level,
)
def ex_08_2(answer: Any) -> None:
    """No other gain gives a higher SDR. For a bad estimate the best gain is near 0: silence is a
    safe bet, and SDR rewards it.
    """
    reference, estimate = _signals()
    got = as_tensor(attempt(answer, reference.clone(), estimate.clone()))
    inner = (reference * estimate).sum()
    best = inner / estimate.square().sum()
    need(
        got.numel() != 1 or not isclose(float(got.real), float(best), rel_tol=1e-4),
        "that is the gain; the estimate at this level was asked for",
    )
    got = as_tensor(got, reference.shape)

    def is_(other):
        return torch.allclose(got, other.to(got.dtype), atol=1e-5)

    need(
        not is_(inner / reference.square().sum() * reference),
        "that is the reference scaled to the estimate, as SI-SDR does; here the estimate is scaled",
    )
    need(
        not is_(inner / reference.square().sum() * estimate),
        "the energy below is the estimate's: the gain is divided by what it multiplies",
    )
    need(not is_(estimate / best), "the gain is upside down: multiply, not divide")
    by_channel = (reference * estimate).sum(1, keepdim=True) / estimate.square().sum(
        1, keepdim=True
    )
    need(not is_(by_channel * estimate), "a gain for each channel; one for both was asked for")
    need(
        not is_(reference.norm() / estimate.norm() * estimate),
        "that makes both equally loud; with noise in it, the best level is lower, and the sign"
        " counts",
    )
    need(
        not is_(best.abs() * estimate),
        "the best gain is negative here: the estimate is turned over, and may be turned back",
    )
    peak = reference.abs().max() / estimate.abs().max()
    need(not is_(peak * estimate), "that makes the peaks equal; energies decide, not peaks")
    need(not is_(estimate), "the estimate is as loud as before")
    need(not is_(reference), "that is the reference; the estimate, at another level, was asked for")
    need(
        is_(best * estimate),
        "the SDR of what it returns can still be raised by another gain for both channels",
    )
    silent = as_tensor(attempt(answer, reference, 0 * estimate))
    need(
        bool((silent == 0).all()),
        "right, but a silent estimate gives no silence: it divides by 0; hold the energy above a"
        " tiny number",
        credit=0.5,
    )


#: Frames of two songs in the notebook's exercise, in dB.
FRAMES = {"song 1": (nan, 2.0, 4.0, 9.0), "song 2": (-20.0, 6.0, 7.0, 8.0)}


@exercises.add(
    "Leave the NaN out. Then: first within each song, then over the two songs.",
    "The medians of the songs are 4 and 6.5, their means 5 and 0.25. The median of two numbers lies"
    " half-way between them.",
)
def ex_08_3(answer: Any) -> None:
    """The same frames, 2.6 dB apart: one ruined second moves the mean, and hardly the median."""
    medians = {
        2.625: "that is the mean of means",
        4.75: "the NaN is no frame at all, it does not count as 0",
        6.0: "6 is the median of all frames together; take the songs' first",
        5.0: "that is song 1's mean; take its median",
    }
    means = {
        5.25: "that is the median of medians",
        16 / 7: "2.29 is the mean of all frames together; take the songs' first",
        2.0: "the NaN is no frame at all, it does not count as 0",
        6.0: "the ruined second counts too, -20 dB and all",
    }
    judge_parts(
        answer,
        {
            "median of medians": partial(
                expect,
                right=statistics.aggregate(FRAMES, "median of medians"),
                slips=medians,
                otherwise="the songs have 4 and 6.5, so it is not {got:g}",
                rel=2e-3,
            ),
            "mean of means": partial(
                expect,
                right=statistics.aggregate(FRAMES, "mean of means"),
                slips=means,
                otherwise="the songs have 5 and 0.25, so it is not {got:g}",
                rel=2e-3,
            ),
        },
    )


#: Differences of five songs in the notebook's exercise, in dB.
DIFFERENCES = (0.4, 0.1, 0.9, 0.3, -0.2)


@exercises.add(
    "How many patterns of signs do five songs have? Which of them are the most extreme?",
    "2 to the power of 5. The most extreme are two: all plus, all minus. The observed sum is 1.5;"
    " only patterns that turn at most 0.2 over, from either end, reach it.",
    "`6 / 32`, `2 / 32`; for p at most 0.05, `2 / 2**n <= 0.05`, and the same with 0.001.",
)
def ex_08_4(answer: Any) -> None:
    """Counted by the package, the same. With five songs not even five wins are enough for 5 %: ask
    how many songs there are before you ask for p.
    """
    counted = statistics.sign_flip(DIFFERENCES).p
    unanimous = statistics.sign_flip((0.5, 0.1, 0.9, 0.3, 0.2)).p

    def p_here(value):
        slips = {
            3 / 32: "that is one-sided: sums far from 0 on either side count",
            4 / 32: "the observed pattern itself counts too: at least as far, not farther",
            2 / 32: "that would be all five alike; one song lost here",
            1 / 5: "one song of five lost; but patterns are counted, not songs",
        }
        expect(value, counted, slips, "counted over all 32 patterns it is not {got:g}", rel=5e-3)

    def smallest(value):
        slips = {
            1 / 32: "all plus and all minus are equally extreme: two patterns",
            0: "chance can do anything: five heads of five coins is not that rare",
            0.05: "that is the bar; what can five songs reach?",
        }
        expect(value, unanimous, slips, "five songs that agree do not give {got:g}", rel=5e-3)

    def needed(alpha, right, value):
        slips = {
            right - 1: f"with {right - 1} songs the smallest p is {2 / 2 ** (right - 1):.4f}",
            right + 1: "that is enough, and one song fewer is so too",
            1 / alpha: "that would be so if each song were one chance in n; patterns double",
        }
        expect(value, right, slips, f"for p at most {alpha}: {{got:g}} songs is not it", rel=0)

    judge_parts(
        answer,
        {
            "p of these five": p_here,
            "smallest p": smallest,
            "songs for 5 %": partial(needed, 0.05, 6),
            "songs for 0.1 %": partial(needed, 0.001, 11),
        },
    )


#: What exercise 5 is tried on, in dB; the sums are exact, so rounding decides nothing.
_TRIED = (
    (0.5, 0.125, 1.0, 0.375, -0.25),
    (3.0, -0.25, 0.5, -0.125, 0.375, -0.75, 0.25),
    (-3.0, 0.25, -0.5, 0.125, -0.375, 0.75, -0.25),
    (0.5, 0.25, 0.75, 1.0, 0.125, 0.375),
)


def _flipped(d):
    """The sum of every pattern, array (2^n,)."""
    return np.array(list(product((1, -1), repeat=len(d)))) @ d


def _far(d):
    return float(np.mean(np.abs(_flipped(d)) >= abs(d.sum())))


def _ranks(d):
    return np.sign(d) * (1 + np.argsort(np.argsort(np.abs(d))))


#: What is often computed instead, with what it is.
_OTHER_P = (
    (lambda d: _far(d) * 2 ** len(d), "that counts the patterns; p is their share of all 2^n"),
    (
        lambda d: np.mean(np.abs(_flipped(d)) > abs(d.sum())),
        "*at least* as far: the observed pattern counts too, and so does its mirror image",
    ),
    (
        lambda d: np.mean(np.abs(_flipped(d)) >= d.sum()),
        "where the mean is negative every pattern counts; compare with its distance from zero",
    ),
    (
        lambda d: np.mean(_flipped(d) <= d.sum()),
        "that is the share of patterns *below* yours, and of one side only",
    ),
    (lambda d: np.mean(d < 0), "that is the share of songs lost; p is a share of sign patterns"),
    (
        lambda d: _far(np.sign(d)),
        "that is the sign test: how large the differences are counts as well",
    ),
    (lambda d: _far(_ranks(d)), "that is Wilcoxon's test, of ranks; here the decibels count"),
    (lambda d: 2 / 2 ** len(d), "that is the smallest p that so many songs allow"),
    (lambda d: 1 - _far(d), "that is the share of the patterns that do *not* reach as far"),
    (lambda d: 1.0, "always 1: shuffling the songs, or flipping all together, changes no distance"),
)


@exercises.add(
    "If both methods are equal, each song's difference might as well have the other sign. Go"
    " through all ways to choose the signs: how many are there?",
    "`product((1, -1), repeat=len(d))` gives the 2^n patterns. For each, take the mean of the"
    " differences with these signs, and compare its distance from zero with that of the mean as it"
    " was measured.",
    "`signs = np.array(list(product((1, -1), repeat=len(d))))`, then `(signs * d).mean(1)`: what"
    " share of these is, without its sign, at least `abs(d.mean())`?",
)
def ex_08_5(answer: Any) -> None:
    """Tried on four sets of songs, it gives what `statistics.sign_flip` gives. It assumes nothing
    about how the differences are distributed; it takes 2^n steps, so the kit draws patterns at
    random where there are many songs.
    """
    tried = [np.array(d) for d in _TRIED]
    given = [number(attempt(answer, d.copy())) for d in tried]
    right = [statistics.sign_flip(d).p for d in tried]

    def is_(function):
        return all(isclose(got, function(d), abs_tol=1e-9) for got, d in zip(given, tried))

    need(
        not is_(lambda d: np.mean(_flipped(d) >= d.sum()))
        and not is_(lambda d: min(np.mean(_flipped(d) >= d.sum()), np.mean(_flipped(d) <= d.sum())))
        and not is_(lambda d: _far(d) / 2),
        "that is one-sided: a mean that is as far *below* zero would have been as surprising",
        credit=0.5,
    )
    for function, because in _OTHER_P:
        need(not is_(function), because)
    near = all(abs(got - p) < 0.08 for got, p in zip(given, right))
    exact = all(isclose(got, p, abs_tol=1e-6) for got, p in zip(given, right))
    need(
        not near or exact,
        "nearly: with so few songs all patterns can be counted, none needs to be drawn by lot",
        credit=0.5,
    )
    for d, got, p in zip(_TRIED, given, right):
        need(
            isclose(got, p, abs_tol=1e-6),
            f"for the differences {d} it gives {got:.4g}; {round(p * 2 ** len(d))} of the"
            f" {2 ** len(d)} patterns have a mean at least as far from zero",
        )


@exercises.add(
    "The reference is `k` times the estimate. Which part of the reference is missing in the"
    " estimate?",
    "Let the estimate be 1: the reference is k, the error k - 1. Amplitudes take 20 log10.",
)
def ex_08_6(answer: Any) -> None:
    """At k = 3 it is 3.52 dB: the printed figure, to the last digit."""
    values = {k: number(attempt(answer, k)) for k in (2.0, 3.0, 10.0)}
    right = {k: 20 * log10(k / (k - 1)) for k in values}

    def is_(function):
        return all(isclose(values[k], function(k), abs_tol=0.001) for k in values)

    need(not is_(lambda k: 10 * log10(k / (k - 1))), "k is a ratio of amplitudes: 20 log10, not 10")
    need(
        not is_(lambda k: 20 * log10(1 / (k - 1))),
        "the numerator is the reference, k times the estimate",
    )
    need(
        not is_(lambda k: 20 * log10(k)),
        "the error is not the estimate, it is what separates estimate and reference: k - 1",
    )
    need(not is_(lambda k: -right[k]), "numerator and denominator are exchanged")
    need(
        not is_(lambda k: 20 * log10(k / (k + 1))),
        "estimate and reference point the same way: their difference is k - 1, not k + 1",
    )
    need(not is_(lambda k: k / (k - 1)), "that is a factor; decibels were asked for")
    for k, value in values.items():
        need(
            isclose(value, right[k], abs_tol=0.001),
            f"for k = {k:g} it gives {value:.3f} dB; the error is {k - 1:g} times the estimate",
        )
