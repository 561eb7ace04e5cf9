"""Exercises of chapter 11: an explained part, a study of one's own, gains of songs, attention's
memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from .. import tones
from ..exercises import (
    Exercises,
    NotAttempted,
    Wrong,
    as_tensor,
    attempt,
    expect,
    judge_parts,
    need,
    number,
)

exercises = Exercises("11")
check, hint = exercises.check, exercises.hint


def _noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _hear_part(answer):
    """A drum track with a singer in it, the answer's part, and what is left without it."""
    voice, drum = tones.voice()[None], tones.drum()[None]
    estimate = drum - 0.4 * voice
    part = as_tensor(attempt(answer, estimate.float(), voice.float()), voice.shape)
    sounds = {
        "estimate: drums, and a leak of the voice": estimate,
        "the part that you found": part,
        "the estimate without it": estimate - part,
    }
    return tones.row(sounds, "the singer, who is gone when the part is.")


@exercises.add(
    "One number times the source comes as near to the estimate as possible. What is true of the"
    " rest?",
    "The rest is perpendicular to the source: g = <estimate, source> / <source, source>, one number"
    " for all channels and samples.",
    "`g = (estimate * source).sum() / (source**2).sum()`, then `g * source`; zeros where the source"
    " is silent.",
    hear=_hear_part,
)
def ex_11_1(answer: Any) -> None:
    """Its share of the estimate's energy is the squared cosine of the angle between the two; below
    you hear the leak go.
    """
    source = _noise(0, 2, 4000).double() * torch.tensor([[1.0], [0.2]])  # unequal channels
    source[:, 3000:] = 0
    other = _noise(1, 2, 4000).double()
    estimate = -0.5 * source * torch.tensor([[1.0], [3.0]]) + other
    inner, energy = (estimate * source).sum(), source.square().sum()
    got = as_tensor(attempt(answer, estimate.float(), source.float()))
    g, size = inner / energy, estimate.square().sum()
    need(
        got.numel() > 1 or not math.isclose(float(got.real), float(g), rel_tol=1e-3),
        "that is the gain; the part, gain times source, was asked for",
    )
    need(
        got.numel() > 1 or not math.isclose(float(got.real), float(g * inner / size), rel_tol=1e-3),
        "that is the share of the energy; the part itself was asked for",
    )
    got = as_tensor(got, source.shape)

    def is_(other):
        return torch.allclose(got, other.to(got.dtype), atol=1e-4)

    need(not is_(estimate - g * source), "that is what is left; the explained part was asked for")
    need(not is_(estimate), "that is the estimate; how much of it is the source?")
    need(not is_(source), "that is the source at its own level; bring it to that of the leak")
    need(not is_(g.abs() * source), "the gain is negative here: the leak is turned over")
    need(
        not is_(inner / size * source),
        "the gain is divided by the energy of the *source*, which it multiplies",
    )
    need(
        not is_(inner / size * estimate),
        "that is a part of the estimate's shape; the part is a multiple of the source",
    )
    need(not is_(inner * source), "the inner product must be divided by the source's energy")
    by_channel = (estimate * source).sum(1, keepdim=True) / source.square().sum(1, keepdim=True)
    need(not is_(by_channel * source), "a gain for each channel; one for both was asked for")
    need(
        not is_(estimate.norm() / source.norm() * source),
        "that is as loud as the whole estimate; only a part of it is the source",
    )
    need(
        is_(g * source),
        "what is left without it still resembles the source: another gain explains more",
    )
    silent = as_tensor(attempt(answer, estimate.float(), 0 * source.float()))
    need(
        bool((silent == 0).all()),
        "right, but a silent source explains nothing: return silence there, and do not divide by 0",
        credit=0.5,
    )


#: What rules out a change of the leak, in exercise 2, in dB.
LARGE = 3.0


def _seen(given):
    """(prediction, low, high, p, songs), as a study prints them; what is wrong with others."""
    need(
        isinstance(given, (tuple, list)) and len(given) == 5,
        "copy the five things that the study prints: (prediction, low, high, p, songs)",
    )
    word = given[0]
    low, high, p, songs = [number(value) for value in given[1:]]
    need(word in ("rises", "falls"), "a prediction is 'rises' or 'falls', said before measuring")
    need(low < high, "the interval goes from its lower to its upper end, as it is printed")
    need(0 < p <= 1, "p is a probability, above 0 and at most 1: the fourth number")
    need(songs >= 1 and songs == int(songs), "the fifth number counts songs")
    return word, low, high, p, int(songs)


@exercises.add(
    "Draw a line of decibels, with your interval and a mark at 0 on it. On which side of 0 did you"
    " say that it would lie? Is all of it there?",
    "*holds* and *fails* ask for three things: at least six songs, an interval that lies on one"
    " side of 0, and p of at most 0.05. Which of the two it is depends on the side that you"
    " predicted.",
    "The smallest change lies at the end of the interval that is nearer to 0, as a positive"
    " number; it is 0 if the interval holds 0. A change of 3 dB is ruled out if both ends are"
    " nearer to 0 than that.",
)
def ex_11_2(answer: Any) -> None:
    """Read as it should be, whichever way your knob turned out. What is undecided may still rule
    something out, and a prediction that fails is a finding as good as one that holds.
    """
    given = answer.get("seen") if isinstance(answer, Mapping) else None
    if isinstance(answer, (tuple, list)) and answer:
        given = answer[0]

    def facts():
        try:
            return _seen(given)
        except (Wrong, NotAttempted):
            raise Wrong("this can be judged when `seen` is right") from None

    def decision(value):
        word, low, high, p, songs = facts()
        need(isinstance(value, str), "choose from holds, fails, undecided; in quotation marks")
        said = value.strip().lower()
        need(
            said in ("holds", "fails", "undecided"),
            f"{said!r}: choose from holds, fails, undecided",
        )
        sure = said != "undecided"
        need(not (sure and songs < 6), "with fewer than six songs nothing is decided")
        need(
            not (sure and low <= 0 <= high),
            "the interval holds 0: these songs leave the direction open",
        )
        need(not (sure and p > 0.05), "the interval excludes 0, but p is above 0.05: ask for both")
        as_predicted = (low > 0) == (word == "rises")
        need(
            said != "holds" or as_predicted,
            "the whole interval lies on the other side of 0 than you predicted",
        )
        need(said != "fails" or not as_predicted, "the interval lies on the side you predicted")
        need(
            sure or songs < 6 or p > 0.05 or low <= 0 <= high,
            "six songs or more, 0 outside of the interval, and p of at most 0.05: that is decided",
        )

    def at_least(value):
        _, low, high, _, _ = facts()
        near, far = sorted((abs(low), abs(high)))
        got = number(value)
        if low <= 0 <= high:
            need(
                math.isclose(got, 0, abs_tol=5e-3),
                "the interval holds 0, so it leaves open that nothing changes",
            )
        need(near == 0 or not math.isclose(got, -near), "say how large it is, without a sign")
        need(not math.isclose(abs(got), far), "that is the largest change that is left open")
        need(
            not math.isclose(abs(got), (low + high) / 2, rel_tol=1e-3)
            and not math.isclose(abs(got), -(low + high) / 2, rel_tol=1e-3),
            "that is the middle of the interval; it reaches nearer to 0",
        )
        right = 0.0 if low <= 0 <= high else near
        need(math.isclose(got, right, abs_tol=5e-3), f"{got:g} dB is not the end nearest to 0")

    def rules_out(value):
        _, low, high, _, _ = facts()
        need(isinstance(value, str), "answer 'yes' or 'no', in quotation marks")
        said = value.strip().lower()
        need(said in ("yes", "no"), f"{said!r}: answer yes or no")
        small = max(abs(low), abs(high)) < LARGE
        need(
            said == "yes" or not small,
            f"all of the interval is nearer to 0 than {LARGE:g} dB, on either side",
        )
        need(said == "no" or small, f"the interval reaches {LARGE:g} dB, so that is left open")

    judges = {"seen": _seen, "verdict": decision, "at least": at_least, "rules out": rules_out}
    judge_parts(answer, judges)


#: SDR of the six songs of exercise 3 in dB: in pieces, and whole.
PIECES = (3.1, 7.9, 5.2, 1.4, 9.6, 4.0)
WHOLE = (3.5, 8.1, 5.7, 1.6, 10.1, 4.2)


@exercises.add(
    "Each song has a gain of its own. How much do the six *gains* differ among themselves, and how"
    " much do the *songs*?",
    "Within songs: the mean of the gains over their standard error, which is their standard"
    " deviation divided by the root of their number. Between: the variances of both groups add up.",
    "With `gains = whole_songs - pieces`: `gains.std(ddof=1) / 6**0.5` is the first standard error,"
    " `np.sqrt((pieces.var(ddof=1) + whole_songs.var(ddof=1)) / 6)` the second. Six songs that all"
    " gain have p = 2 / 2**6.",
)
def ex_11_3(answer: Any) -> None:
    """The same twelve scores: five standard errors song by song, a fifth of one between songs."""
    pieces, whole = torch.tensor([PIECES, WHOLE], dtype=torch.float64)
    gains, root = whole - pieces, math.sqrt(len(PIECES))
    effect, own = float(gains.mean()), float(gains.std())
    groups = [float(values.std()) for values in (pieces, whole)]
    apart = math.hypot(*groups) / root

    def gain(value):
        slips = {
            -effect: "the other way round: whole less pieces",
            float(gains.sum()): "that is the sum of the gains; the mean was asked for",
            float(gains.median()): "a median of the gains; their mean was asked for",
            0.3: "the median of the gains; their mean was asked for",
            float(whole.mean()): "that is the mean of the whole songs; how much more is it?",
        }
        expect(value, effect, slips, "{got:g} dB is not the mean of the six gains")

    def within(value):
        slips = {
            effect / apart: "that is between songs; within them each song has one gain",
            effect / own: "divided by the deviation of the gains; their *mean* deviates less",
            effect / (own * math.sqrt(5 / 6) / root): "take the sample's deviation, with n - 1",
            own / root: "that is the standard error; how many of them is the gain?",
            own / root / effect: "turned round: the gain over its standard error",
        }
        expect(value, effect / (own / root), slips, "{got:g} is not the gain over its own error")

    def between(value):
        slips = {
            effect / (own / root): "that is within songs; here no score has a partner",
            effect
            / (apart * root): "divided by deviations; those of *means* are smaller by a root",
            effect / (groups[0] / root): "that is the error of one mean; both deviate",
            effect / (apart * math.sqrt(5 / 6)): "take the sample's variances, with n - 1; and give"
            " three digits",
            effect / (sum(groups) / root): "standard errors were added; add their squares",
            apart: "that is the standard error; how many of them is the gain?",
        }
        otherwise = "{got:g} is not the gain over the error of two means"
        expect(value, effect / apart, slips, otherwise, rel=0.03)

    def decision(value):
        need(isinstance(value, str), "choose from holds, fails, undecided; in quotation marks")
        word = value.strip().lower()
        need(
            word in ("holds", "fails", "undecided"),
            f"{word!r}: choose from holds, fails, undecided",
        )
        need(word != "fails", "all six songs gain: nothing speaks for the other side")
        need(word == "holds", "six songs that all gain have p = 2/2^6 = 0.03: that is enough")

    judge_parts(answer, {"gain": gain, "within": within, "between": between, "verdict": decision})


@exercises.add(
    "One number for every pair of frames, in each head, layer and example.",
    "An STFT with a hop of 1024 has 1 + samples // 1024 frames; a float32 has 4 bytes.",
    "`frames = 1 + int(seconds * 44100) // 1024`, then `4 * batch * heads * layers * frames**2`.",
)
def ex_11_4(answer: Any) -> None:
    """100 MB for 6 s and a batch of 16, and a real matrix of 2 s has just these bytes. Sixteen
    times as much for four times the length.
    """

    def count(*given):
        return number(attempt(answer, *given))

    frames = 1 + int(6.0 * 44100) // 1024
    wanted, found = 4 * 16 * 8 * 3 * frames**2, count(6.0, 16, 8, 3)
    need(not math.isclose(found, wanted / 4, rel_tol=0.01), "those are numbers; each has 4 bytes")
    need(not math.isclose(found, wanted * 2, rel_tol=0.01), "float32 has 4 bytes, not 8")
    need(
        not math.isclose(found, wanted / frames, rel_tol=0.01),
        "that grows with the frames; every frame attends to every other, so square them",
    )
    need(not math.isclose(found, wanted / 2, rel_tol=0.01), "a pair counts in both directions")
    need(found < 1e12, "those are samples squared; attention is among frames of 1024 samples")
    need(
        math.isclose(found, wanted, rel_tol=0.01),
        f"6 s, a batch of 16, 8 heads and 3 layers: {wanted / 1e6:.1f} MB, you give"
        f" {found / 1e6:.1f} MB",
    )
    for change, factor, what in (
        ((6.0, 1, 8, 3), 1 / 16, "batch"),
        ((6.0, 16, 4, 3), 1 / 2, "heads"),
        ((6.0, 16, 8, 1), 1 / 3, "layers"),
    ):
        need(
            math.isclose(count(*change), wanted * factor, rel_tol=0.01),
            f"it should grow in proportion to the {what}",
        )
    frames = 1 + int(2.0 * 44100) // 1024
    keys = torch.zeros(1, 2, frames, 4)
    matrix = torch.softmax(keys @ keys.mT, -1)
    measured = matrix.element_size() * matrix.numel()
    need(
        math.isclose(count(2.0, 1, 2, 1), measured, rel_tol=0.01),
        f"a matrix of 2 s in two heads has {measured} bytes, measured; you give"
        f" {count(2.0, 1, 2, 1):g}",
    )
    longer = count(24.0, 16, 8, 3) / wanted
    need(
        15 < longer < 17, f"four times as long should need about 16 times as much, not {longer:.1f}"
    )
