"""Exercises of chapter 03: an angle, kurtosis, whitening, conditions, swapped bins, NMF masks."""

import math
from functools import partial
from typing import Any

import numpy as np
import torch

from .. import tones
from ..exercises import Exercises, as_tensor, attempt, expect, judge_parts, need, number

exercises = Exercises("03")
check, hint = exercises.check, exercises.hint

#: how the notebook's two microphones hear its two speakers: row = microphone, column = speaker
MIXING = [[1.0, 0.6], [0.5, 0.9]]


def _hear_angle(answer):
    """A singer and a drummer before the chapter's two microphones, and the answer's angle."""
    sources = torch.stack([tones.voice(), tones.drum()])
    x = torch.tensor(MIXING, dtype=torch.float64) @ sources
    angle = math.radians(number(answer))
    sounds = {
        "microphone 1: speaker 1 sings, speaker 2 drums": x[0],
        "microphone 2": x[1],
        f"your angle, {number(answer):.1f}°": math.cos(angle) * x[0] + math.sin(angle) * x[1],
    }
    return tones.row(sounds, "the singer, who is gone at the right angle.")


@exercises.add(
    "Speaker 1 reaches microphone 1 with factor 1.0 and microphone 2 with factor 0.5. How much of"
    " speaker 1 is in the output at an angle?",
    "It is `1.0 * cos(angle) + 0.5 * sin(angle)`. Where is that zero?",
    "`tan(angle) = -1.0 / 0.5`. The tangent repeats after 180 degrees: `180 - degrees(atan(2))`.",
    hear=_hear_angle,
)
def ex_03_1(answer: Any) -> None:
    """Two microphones can silence any one direction; here with a minus sign, since the cosine is
    negative beyond 90 degrees. Below, speaker 1 sings, and has gone.
    """
    angle = number(answer)
    (a11, a12), (a21, a22) = MIXING
    right, other = (
        math.degrees(math.atan2(top, -bottom)) for top, bottom in ((a11, a21), (a12, a22))
    )
    slips = {
        math.radians(right): "that is in radians; degrees are wanted",
        math.radians(right) - math.pi: "that is in radians; degrees are wanted, 0 to 180",
        other: "that silences speaker 2: you took the second column of A",
        180 - right: "the sign is missing: at that angle both microphones add, and nothing of"
        " speaker 1 cancels",
        math.degrees(math.atan2(a11, -a12)): "that is the first row of A, what microphone 1 hears;"
        " speaker 1 is the first column",
        right - 90: "that is a right angle off: there speaker 1 is at its loudest",
        math.degrees(math.atan2(a21, -a11)) % 180: "the weights are exchanged: microphone 1 has the"
        " cosine",
    }
    for slip, because in slips.items():
        inside = 0.02 if abs(slip) < math.pi else 0.5
        need(not math.isclose(angle % 180, slip % 180, abs_tol=inside), because)
    need(
        math.isclose(angle % 180, right, abs_tol=0.5),
        f"at {angle:.1f} degrees speaker 1 still has the factor {_left(angle):+.2f}",
    )


def _left(angle):
    return MIXING[0][0] * math.cos(math.radians(angle)) + MIXING[1][0] * math.sin(
        math.radians(angle)
    )


def _kurtosis(y):
    d = y - y.mean()
    return float((d**4).mean() / (d**2).mean() ** 2 - 3)


def _coins(seed, samples=200_000):
    return torch.from_numpy(np.random.default_rng(seed).choice([-1.0, 1.0], samples))


_COIN, _RARE = "1/1 - 3: all its values have one size", "E[y²] = 0.1 and E[y⁴] = 0.1"


@exercises.add(
    "Write down how often each value occurs. What is the mean of its square, and of its fourth"
    " power?",
    "A coin: both means are 1. Silent nine times of ten: both are 0.1. A gain of 10 changes the two"
    " by 10² and 10⁴. Two coins: values -2, 0, 0, 2.",
    "`1 / 1**2 - 3`, `0.1 / 0.1**2 - 3`, as the first, `8 / 2**2 - 3`",
)
def ex_03_2(answer: Any) -> None:
    """Measured on 200 000 samples, the same within 0.1. Adding a second coin brings the value from
    -2 to -1, on its way to the 0 of the bell curve: that is the central limit theorem, in one step.
    """
    coin, other = _coins(0), _coins(1)
    rare = coin * (torch.arange(len(coin)) % 10 == 0)
    three = "the 3 of the bell curve is not taken away"
    made: dict[str, tuple[torch.Tensor, dict]] = {
        "a coin": (coin, {1: three, 0: "0 is the bell curve; a coin has no bell"}),
        "silent nine times of ten": (
            rare,
            {
                10: three,
                0.1 - 3: "divide by the *square* of the variance, 0.01",
                97: "divide by the square of 0.1, not by its cube",
                -2: "the silence counts: the mean is over all samples",
            },
        ),
        "ten times as loud": (
            10 * coin,
            {
                1: three,
                -20: "a gain cancels out",
                97: "a gain cancels out: 10⁴ over 10² squared",
                9997: "divide by the square of the variance, and the gain cancels out",
            },
        ),
        "two coins": (
            coin + other,
            {
                2: three,
                -2: "the sum is 0 half of the time, and then it is no coin any more",
                -4: "kurtoses do not add up",
                1: "E[y⁴] = 8 and E[y²] = 2; its square is 4, not 2",
            },
        ),
    }
    judges = {}
    for name, (signal, slips) in made.items():
        right = _kurtosis(signal)
        otherwise = "measured on 200 000 samples it is not {got:g}"
        judges[name] = partial(
            expect, right=right, slips=slips, otherwise=otherwise, rel=0.02, tolerance=0.1
        )
    judge_parts(answer, judges)


#: exercise 3: a right answer, and what slips lead to
_WHITENING: dict[str, tuple[float, dict]] = {
    "longest": (
        9.0,
        {
            5: "5 is the variance of each channel; in between lies a direction with more",
            3: "that is the standard deviation; the variance is its square",
            4: "that is the covariance of the channels",
            18: "(L + R) / sqrt(2) is a direction of length 1; L + R alone is longer",
        },
    ),
    "shortest": (
        1.0,
        {
            5: "5 is the variance of each channel; in between lies a direction with less",
            4: "that is the covariance of the channels",
            2: "(L - R) / sqrt(2) is a direction of length 1; L - R alone is longer",
            0: "the channels are not equal, so something is left at right angles",
            9: "that is the longest direction",
        },
    ),
    "gain along the longest": (
        1 / 3,
        {
            1 / 9: "a gain multiplies amplitudes; the variance is divided by its square",
            3: "divided, not multiplied: the cloud is too long there",
            9: "divided, and by the standard deviation",
            1: "then its variance would stay 9",
        },
    ),
    "correlation after": (
        0.0,
        {
            0.8: "that is the correlation before: 4 / 5",
            1: "1 is the *variance* of each channel after; their correlation is what was asked",
            4: "that is the covariance before",
        },
    ),
}


@exercises.add(
    "The two channels have equal variances. On which line through the cloud do they agree most, and"
    " what lies at right angles to it?",
    "The sum (L + R) / sqrt(2) and the difference (L - R) / sqrt(2). Their variances are 5 + 4 and"
    " 5 - 4.",
    "9, 1, `1 / sqrt(9)` and 0",
)
def ex_03_3(answer: Any) -> None:
    """The eigenvalues are 9 and 1, by hand: the sum and the difference of two channels. Stereo
    engineers call them mid and side; whitening makes both equally loud.
    """
    values = torch.linalg.eigvalsh(torch.tensor([[5.0, 4.0], [4.0, 5.0]]))
    assert math.isclose(values[1], 9, rel_tol=1e-5) and math.isclose(values[0], 1, rel_tol=1e-4)
    judges = {
        name: partial(
            expect, right=right, slips=slips, otherwise="it is not {got:g}", tolerance=5e-3
        )
        for name, (right, slips) in _WHITENING.items()
    }
    judge_parts(answer, judges)


#: the situations of exercise 4, and why
_CASES = (
    (True, "two sources, two different mixtures without delay: the very case of the theory"),
    (
        False,
        "two linear equations with three unknowns have no unique solution, whatever the algorithm",
    ),
    (False, "whitened Gaussians look the same from all sides, so there is no angle to find"),
    (
        True,
        "one Gaussian source is allowed: the other one's direction can be found, and what is at"
        " right angles to it is the noise",
    ),
    (False, "an echo is a delayed copy; one number for each microphone and speaker cannot undo it"),
    (
        False,
        "both columns of A are multiples of each other: the right channel says nothing that the"
        " left one did not say",
    ),
)


@exercises.add(
    "Ask of each: is there one number for each pair of source and channel? Does A have an inverse?"
    " Is at most one source Gaussian?",
    "Echoes break the first condition; too few channels, or two sources at one place, the second;"
    " two Gaussian sources the third.",
)
def ex_03_4(answer: Any) -> None:
    """No delays, as many different mixtures as sources, at most one of them Gaussian: these are the
    conditions of ICA.
    """

    def situation(right, because, given):
        need(
            isinstance(given, (bool, np.bool_)) or given in (0, 1),
            "answer True or False, without quotation marks",
        )
        need(bool(given) == right, because)

    judge_parts(
        answer, {f"number {k}": partial(situation, *case) for k, case in enumerate(_CASES, start=1)}
    )


def _two_loudnesses():
    """How loud two speakers are in 60 frames: each in a fifth of them, seldom both at once."""
    rng = np.random.default_rng(3)
    swell = rng.uniform(0.5, 1.5, (2, 60))
    return swell * rng.permuted(np.tile(np.arange(60) % 5 > 3, (2, 1)), axis=1)


def _neighbours():
    """Two loudnesses in one bin and in the next, whether they are swapped, and what a slip says."""
    a, b = _two_loudnesses()
    return (
        ((a, b), (1.1 * a, 0.9 * b), False, "these are in the same order"),
        ((a, b), (0.9 * b, 1.1 * a), True, "these are in the other order"),
        (
            (a + 4, b),
            (b + 4, a),
            True,
            "a noise in output 1 that never stops says nothing about who speaks: take away each"
            " loudness's mean first",
        ),
        (
            (10 * a, b),
            (b + 0.3 * a, 0.1 * a),
            True,
            "what is ten times as loud must not count ten times: divide each loudness by its own"
            " size, its mean taken away",
        ),
        *(
            (
                here,
                following,
                True,
                f"look at all four: here output {which} bin holds both speakers",
            )
            for here, following, which in (
                ((a + 1.1 * b, b), (b, a), "1 of this"),
                ((a, 1.1 * a + b), (b, a), "2 of this"),
                ((a, b), (1.1 * a + b, a), "1 of the next"),
                ((a, b), (b, a + 1.1 * b), "2 of the next"),
            )
        ),
    )


@exercises.add(
    "In which frames is output 1 of this bin loud, and in which is either output of the next bin?"
    " Two loudnesses belong together if they rise and fall together.",
    "How much they do is their correlation, which knows neither sizes nor constant parts. There are"
    " four of them: two for the order as it is, two for the other one.",
    "`c = np.corrcoef(here, following)[:2, 2:]`, then `c[0, 1] + c[1, 0] > c[0, 0] + c[1, 1]`;"
    " write the correlation out if you want to hold its denominator above 0",
)
def ex_03_5(answer: Any) -> None:
    """So the order of a whole spectrum can be mended, from bin to bin (Murata, Ikeda and Ziehe,
    2001). But one wrong decision turns all bins after it. IVA, which looks at all bins at once, has
    no such chain.
    """

    def is_right(here, following, swapped):
        given = attempt(answer, np.stack(here), np.stack(following))
        if isinstance(given, torch.Tensor):
            given = given.numpy()
        if isinstance(given, np.ndarray) and given.size == 1:
            given = given.item()
        need(
            isinstance(given, (bool, np.bool_)) or isinstance(given, int) and given in (0, 1),
            "it is to return True or False",
        )
        return bool(given) == swapped

    outcomes = [(is_right(*case), because) for *case, because in _neighbours()]
    need(any(fine for fine, _ in outcomes), "it says the opposite: True is for the other order")
    for fine, because in outcomes:
        need(fine, because)
    a, b = _two_loudnesses()
    need(
        is_right((a, b), (b, 0 * a), True),
        "right where both are heard; in a bin where an output is silent it divides 0 by 0, so hold"
        " the denominator above a tiny number",
        credit=0.5,
    )


@exercises.add(
    "In the model, the chosen components have `W[:, chosen] @ H[chosen]` of the spectrogram, all of"
    " them `W @ H`. What will be there after the change?",
    "The mask is what will be there, divided by what is there. The components that were not chosen"
    " stay as they are.",
    "`part = W[:, chosen] @ H[chosen]`, then `(W @ H + (gain - 1) * part) / (W @ H)`",
)
def ex_03_6(answer: Any) -> None:
    """With gain 0 it takes the components out, with gain 1 it changes nothing: a mixing desk with a
    fader for each component.
    """
    rng = np.random.default_rng(0)
    W, H, chosen = rng.uniform(0.1, 1, (6, 4)), rng.uniform(0.1, 1, (4, 5)), [0, 2]
    part, whole = W[:, chosen] @ H[chosen], W @ H
    for gain in (0.25, 3.0):
        got = as_tensor(attempt(answer, W.copy(), H.copy(), list(chosen), gain), whole.shape)
        share = part / whole

        def is_(other, got=got):
            return np.allclose(got.numpy(), other, rtol=1e-4)

        need(not is_(gain * share), "the components that were not chosen have gone")
        need(
            not is_(whole + (gain - 1) * part),
            "that is the magnitude after the change; a mask is divided by what was there",
        )
        need(not is_(1 + gain * share), "the chosen part is counted twice, once without its gain")
        need(not is_(1 - share), "that takes the components out, whatever `gain` is")
        need(not is_(share), "that keeps the chosen components alone, and `gain` plays no part")
        need(not is_(gain + 0 * share), "that changes every component, the others as well")
        need(
            not is_(share + gain * (1 - share)),
            "the gain is on the components that were not chosen",
        )
        square = part**2 / (part**2 + (whole - part) ** 2)
        need(not is_(1 + (gain - 1) * square), "share the magnitudes themselves, not their squares")
        need(
            not is_(1 + (gain - 1) * part / (whole - part)),
            "the denominator leaves out the chosen components",
        )
        need(
            is_(1 + (gain - 1) * share),
            f"with gain {gain:g} the mask is not (what will be there) / (what is there)",
        )
    rest = as_tensor(attempt(answer, W, 0 * H, chosen, 0.25))
    need(
        torch.isfinite(rest).all(),
        "right where something sounds; in silence it divides 0 by 0, so hold the denominator above"
        " a tiny number",
        credit=0.5,
    )
