"""Exercises of chapter 08: which measure falls, the best level, medians, p by hand, an erratum."""

from functools import partial
from math import isclose, log10, nan
from typing import Any

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


@exercises.add(
    "The standard error is the standard deviation divided by the square root of n; t is the"
    " distance from the threshold, in standard errors.",
    "The root of 2772 is 52.65.",
)
def ex_08_5(answer: Any) -> None:
    """Printed were t = -12.8 and se = 0.218, the figures of another table's row: an erratum you can
    prove from the page itself.
    """
    recomputed = statistics.one_sample_z(5.84, 4.35, 2772, statistics.FIVE_TIMES)
    right_t, right_se = recomputed.statistic, recomputed.se

    def t(value):
        slips = {
            -right_t: "the sign is that of mean - threshold",
            -12.8: "-12.8 is the printed one; it belongs to another row",
            (5.84 - 6.9897) / 4.35: "the distance in standard *errors*, not deviations",
            (5.84 - 6.9897) / 0.218: "with the printed error of 0.218; recompute that first",
            5.84 / right_se: "the threshold is not 0; take the distance from 6.9897",
        }
        otherwise = f"(5.84 - 6.9897) / {right_se:.4f} is not {{got:g}}"
        expect(value, right_t, slips, otherwise, rel=0, tolerance=0.1)

    def se(value):
        slips = {
            4.35 / 2772: "divide by the square root of n, not by n",
            0.218: "0.218 is the printed one; recompute it from the sd of this row, 4.35",
            4.35: "that is the deviation of single scores; the mean of 2772 is known better",
        }
        expect(value, right_se, slips, "4.35 / sqrt(2772) is not {got:g}", rel=0, tolerance=6e-4)

    judge_parts(answer, {"t": t, "se": se})


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
