"""Exercises of chapter 08: which measure falls, SI-SDR, medians, an exact test, an erratum."""

import itertools
from math import isclose, log10, nan, sqrt
from typing import Any

import numpy as np
import torch

from ..exercises import Exercises, NotAttempted, attempt, is_stub, need

exercises = Exercises("08")
check, hint = exercises.check, exercises.hint


def _signals():
    generator = torch.Generator().manual_seed(8)
    reference = torch.randn(2, 900, dtype=torch.float64, generator=generator)
    noise = torch.randn(2, 900, dtype=torch.float64, generator=generator)
    return reference, 0.6 * reference + 0.2 * noise


def _joint(reference, estimate):
    a = (estimate * reference).sum() / reference.square().sum()
    return float(
        10 * torch.log10((a * reference).square().sum() / (a * reference - estimate).square().sum())
    )


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
    need(
        isinstance(answer, dict), f"a dict of six answers was expected, not {type(answer).__name__}"
    )
    if any(is_stub(given) for given in answer.values()):
        raise NotAttempted
    for error, (right, because) in _FALLS.items():
        need(error in answer, f"{error!r} is missing")
        given = str(answer[error]).upper()
        need(
            given != "SDR",
            f"{error}: SDR falls for every error; choose the one among ISR, SIR and SAR that"
            " names it",
        )
        need(given == right, f"{error}: {because}")


@exercises.add(
    "The best gain `a` brings `a * reference` nearest to the estimate. That is a projection: of"
    " which inner products is it made?",
    "`a = (estimate * reference).sum() / reference.square().sum()`. Then `a * reference` is the"
    " target, and the rest of the estimate is the error.",
    "The ratio of the energies of `a * reference` and of `a * reference - estimate`, as 10 log10.",
)
def ex_08_2(answer: Any) -> None:
    """And whatever gain the estimate gets, the value stays: that is what the name promises."""
    reference, estimate = _signals()
    got, right = float(attempt(answer, reference, estimate)), _joint(reference, estimate)
    plain = float(
        10 * torch.log10(reference.square().sum() / (reference - estimate).square().sum())
    )
    need(
        not isclose(got, plain, abs_tol=1e-6),
        "that is the plain SDR: the reference is compared without its best gain",
    )
    need(not isclose(got, 2 * right, abs_tol=1e-6), "energies take 10 log10, not 20")
    wrong_way = (estimate * reference).sum() / estimate.square().sum()
    scaled = 10 * torch.log10(
        reference.square().sum() / (reference - wrong_way * estimate).square().sum()
    )
    turned = (
        "you scaled the estimate to the reference; the gain belongs to the reference, and is"
        " divided by its energy"
    )
    need(not isclose(got, float(scaled), abs_tol=1e-6), turned)
    target = reference * (estimate * reference).sum() / reference.square().sum()
    top = 10 * torch.log10(reference.square().sum() / (target - estimate).square().sum())
    need(
        not isclose(got, float(top), abs_tol=1e-6),
        "the numerator is the energy of a * reference, not of the reference",
    )
    need(isclose(got, right, abs_tol=1e-4), f"for an estimate of {right:.2f} dB it gives {got:.2f}")
    louder = float(attempt(answer, reference, 3 * estimate))
    need(
        isclose(louder, right, abs_tol=1e-4),
        f"the estimate three times as loud should still have {right:.2f} dB, not {louder:.2f}",
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
    medians, means = (float(part) for part in answer)
    need(medians == medians and means == means, "NaN is left out before anything is computed")
    need(
        not (isclose(medians, 2.625, abs_tol=0.01) and isclose(means, 5.25, abs_tol=0.01)),
        "the two are exchanged",
    )
    need(
        not isclose(medians, 4.75, abs_tol=0.01),
        "median of medians: the NaN is no frame at all, it does not count as 0",
    )
    need(
        not isclose(medians, 6.0, abs_tol=0.01),
        "median of medians: 6 is the median of all frames together; take the songs' first",
    )
    need(
        isclose(medians, 5.25, abs_tol=0.01),
        f"median of medians: the songs have 4 and 6.5, so it is not {medians:g}",
    )
    need(
        not isclose(means, 16 / 7, abs_tol=0.01),
        "mean of means: 2.29 is the mean of all frames together; take the songs' first",
    )
    need(
        not isclose(means, 2.0, abs_tol=0.01),
        "mean of means: the NaN is no frame at all, it does not count as 0",
    )
    need(
        isclose(means, 2.625, abs_tol=0.01),
        f"mean of means: the songs have 5 and 0.25, so it is not {means:g}",
    )


#: Differences of five songs in the notebook's exercise, in dB.
DIFFERENCES = (0.4, 0.1, 0.9, 0.3, -0.2)


@exercises.add(
    "`itertools.product((1, -1), repeat=5)` gives all 32 patterns of signs.",
    "For each pattern, the mean of sign times difference. Count those at least as far from 0 as the"
    " observed mean, 0.3; the observed one is among them.",
    "`np.mean([abs(np.dot(signs, d)) >= abs(np.sum(d)) - 1e-9 for signs in product((1, -1),"
    " repeat=len(d))])`",
)
def ex_08_4(answer: Any) -> None:
    """Six of 32 patterns: with five songs even four wins prove little. All five would give 2/32,
    still above 5 %.
    """
    d = np.array(DIFFERENCES)
    got = float(attempt(answer, d))
    sums = np.array([np.dot(signs, d) for signs in itertools.product((1, -1), repeat=len(d))])
    right = float(np.mean(np.abs(sums) >= abs(d.sum()) - 1e-9))
    one_sided = float(np.mean(sums >= d.sum() - 1e-9))
    need(
        not isclose(got, one_sided, abs_tol=1e-6),
        "that is one-sided: count means far from 0 on either side",
    )
    farther = float(np.mean(np.abs(sums) > abs(d.sum()) + 1e-9))
    need(
        not isclose(got, farther, abs_tol=1e-6),
        "the observed pattern itself counts too: at least as far, not farther",
    )
    need(0 <= got <= 1, f"a p value lies between 0 and 1; it gives {got:g}")
    need(isclose(got, right, abs_tol=1e-6), f"for these five songs it gives p = {got:.4f}")
    all_won = float(attempt(answer, np.array([1.0, 2.0, 3.0])))
    need(
        isclose(all_won, 0.25, abs_tol=1e-6),
        f"three songs, all won, should give 2/8, not {all_won:.4f}",
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
    t, se = (float(part) for part in answer)
    right = 4.35 / sqrt(2772)
    need(not isclose(se, 4.35 / 2772, abs_tol=1e-4), "se: divide by the square root of n, not by n")
    need(
        not isclose(se, 0.218, abs_tol=1e-3),
        "se: 0.218 is the printed one; recompute it from the sd of this row, 4.35",
    )
    need(isclose(se, right, abs_tol=6e-4), f"se: 4.35 / sqrt(2772) is not {se:g}")
    need(
        not isclose(t, -(5.84 - 6.9897) / right, abs_tol=0.05),
        "t: the sign is that of mean - threshold",
    )
    need(
        isclose(t, (5.84 - 6.9897) / right, abs_tol=0.1),
        f"t: (5.84 - 6.9897) / {right:.4f} is not {t:g}",
    )


@exercises.add(
    "The reference is `k` times the estimate. Which part of the reference is missing in the"
    " estimate?",
    "Let the estimate be 1: the reference is k, the error k - 1. Amplitudes take 20 log10.",
)
def ex_08_6(answer: Any) -> None:
    """At k = 3 it is 3.52 dB: the printed figure, to the last digit."""
    values = {k: float(attempt(answer, k)) for k in (2.0, 3.0, 10.0)}
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
    need(is_(lambda k: right[k]), f"for k = 3 it gives {values[3.0]:.3f} dB")
