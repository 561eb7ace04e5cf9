"""Exercises of chapter 12: verdicts and what turns them, columns, a claim's line, levels."""

import re
from collections.abc import Mapping
from functools import partial
from math import log10
from typing import Any

import numpy as np
import torch

from ...errors import SepkitError
from ...metrics import sdr
from ...metrics.statistics import sign_flip
from .. import tones
from ..exercises import Exercises, Wrong, attempt, expect, is_stub, judge_parts, need, number
from ..judging import kind
from .own_claim import ASKED, GIVEN, as_claim

exercises = Exercises("12")
check, hint = exercises.check, exercises.hint

#: (verdict, why) of the five comparisons of exercise 1.
_VERDICTS = (
    ("holds", "the whole interval lies above 0 and p is below 5 %"),
    ("undecided", "the interval contains 0: the data allow a loss as well as a gain"),
    ("fails", "the whole interval lies below 0: A is worse, which is more than not better"),
    (
        "undecided",
        (
            "five songs that all agree have p = 2/2^5 = 0.06, above 5 %: too few songs, whatever"
            " they say"
        ),
    ),
    (
        "one network",
        "one training of each: another seed might turn it round, so no verdict about the methods",
    ),
)


@exercises.add(
    'Two conditions for "holds": the whole interval above 0, and p at most 0.05. The same two for'
    ' "fails", with the interval below 0. All else is "undecided". And where ways of training are'
    " compared, several seeds of both.",
    "Are ways of training compared? Then look at the number of seeds first. Then where 0 lies:"
    " below, inside or above the interval. Then look at p.",
)
def ex_12_1(answer: Any) -> None:
    """Undecided is a verdict too: it asks for more songs, and says nothing about equality."""
    judge_parts(
        answer,
        {f"comparison {k}": partial(_verdict, *told) for k, told in enumerate(_VERDICTS, start=1)},
    )


def _verdict(right, because, value):
    known = sorted({verdict for verdict, _ in _VERDICTS})
    need(isinstance(value, str), f"choose from {', '.join(known)}; put it in quotation marks")
    word = value.strip().lower()
    need(word in known, f"{word!r} is no verdict; choose from {', '.join(known)}")
    need(word == right, because)


_COLUMNS = (
    (True, "same data set, same metric"),
    (False, "MUSDB18 and MUSDB18-HQ are two data sets: one is cut at 16 kHz by its codec"),
    (False, "cSDR (medians) and uSDR (means) are two metrics, however close the figures"),
    (
        True,
        (
            "both were scored on the same songs with the same metric; what they were trained with"
            " belongs into the row"
        ),
    ),
    (False, "the band is another data set than MUSDB18"),
)


@exercises.add(
    "Compare two things in each pair: the data set it was *scored* on, and the metric. What it was"
    " trained with is told in the row.",
    "MUSDB18 and MUSDB18-HQ are two data sets; cSDR and uSDR are two metrics.",
)
def ex_12_2(answer: Any) -> None:
    """Data set and metric card decide about the column; training data, weights and seeds are told
    in the row.
    """

    def column(right, because, value):
        need(
            isinstance(value, (bool, np.bool_)) or value in (0, 1),
            "answer True or False, without quotation marks",
        )
        need(bool(value) == right, because)

    judge_parts(
        answer, {f"pair {k}": partial(column, *told) for k, told in enumerate(_COLUMNS, start=1)}
    )


@exercises.add(
    "Say the sentence once more with both names in it: which one is said to be better, by more than"
    " how much, in what?",
    "`higher` and `lower` are names of separators, as the chapters write them; the bar has a"
    " number, `least`, and a unit. Masks that know the answer have no first weights, so no seed"
    " can turn their comparison round.",
    "`metric='usdr', target='vocals', higher='irm1', lower='ibm', direction='greater', least=1,"
    " unit='dB', trained='no'`, any name for the family, and a day such as `'2026-12-01'`",
)
def ex_12_3(answer: Any) -> None:
    """The kit's own reader takes this line, and can give a verdict on it: the next cell does."""
    need(isinstance(answer, Mapping), f"the line is a dict of columns, not {kind(answer)}")
    missing = [name for name in ASKED if is_stub(answer.get(name))]
    need(
        len(missing) < len(ASKED),
        f"the columns {', '.join(ASKED)} were expected, each with its value",
    )
    need(not missing, f"still to be filled in: {', '.join(missing)}")
    need(
        str(answer["direction"]).strip().lower() != "same",
        "the sentence says better, not as good as: the direction is 'greater'",
    )
    said = {name: str(answer[name]).strip() for name in ASKED}
    arms = said["higher"], said["lower"]
    what_of_arms = {
        ("ibm", "irm1"): "turned round: the direction is that of the document",
        (arms[0], arms[0]): f"{arms[0]} stands on both sides; one arm is compared with another",
    }.get(arms, "the two separators are called irm1 and ibm")

    def same(found, right, why):
        def judge(_):
            need(found == right, why)

        return judge

    judge_parts(
        [0] * 7,
        {
            "metric": same(
                said["metric"], "usdr", f"{said['metric']!r} is not the score in the question"
            ),
            "target": same(said["target"], "vocals", "the statement is about the singing voice"),
            "arms": same(arms, ("irm1", "ibm"), what_of_arms),
            "bar": same(
                (_value(said["least"]), said["unit"]),
                (1.0, "dB"),
                "the question says by more than 1, and in decibels, dB",
            ),
            "trained": same(
                said["trained"] == "yes", False, "a mask that knows the answer is not trained"
            ),
            "family": same(
                said["family"] == said["fixed_on"], False, "the family has a name, not a day"
            ),
            "the line as a whole": partial(_readable, answer),
        },
    )


def _value(text):
    try:
        return float(text)
    except ValueError:
        return None


def _readable(line, _):
    """Whether the kit's own reader takes the line; its reason, without file, line and id."""
    try:
        as_claim(line)
    except SepkitError as refused:
        why = re.sub(r".*claims\.csv: line 2: ", "", str(refused))
        why = why.replace(f"{GIVEN['id']} ", "it ")
        raise Wrong(f"the reader of claims.csv refuses it: {why}") from None


def _hear_level(answer):
    """A voice, the mixture that claims to be it, and the same at the answer's gain."""
    voice = tones.voice()
    band = [tones.drum(), tones.tone(110, 3.0), tones.tone(660, 3.0)]
    band = [stem * voice.norm() / stem.norm() for stem in band]  # four stems, equally strong
    mixture = voice + sum(band)
    gain = number(answer[0])
    sounds = {
        "the voice": voice,
        "the mixture": mixture,
        f"the mixture times {gain:g}, your gain": gain * mixture,
    }
    return tones.row(sounds, "what a gain changes: the level, and nothing else.")


@exercises.add(
    "With a gain, what is missing of the stem itself, and how much of each other stem is too much?",
    "Energies of uncorrelated parts add up, and a factor g multiplies an energy by g squared: the"
    " error has (1 - g)² + 3 g². Where is that smallest?",
    "`1 - 2 * g + 4 * g**2` is smallest at `g = 1 / 4`: 3/4, so `10 * log10(4 / 3)`.",
    hear=_hear_level,
)
def ex_12_4(answer: Any) -> None:
    """A quarter, and 1.25 dB, measured: 6 dB above the undivided mixture, without separating
    anything. SiSEC's division by the number of targets is the best that a gain can do.
    """
    stems = torch.linalg.qr(torch.randn(900, 4, generator=torch.Generator().manual_seed(0))).Q.T
    measured = float(sdr(stems[:1], stems.sum(0, keepdim=True) / 4))

    def gain(value):
        got = number(value)
        slips = {
            1: "1 leaves the mixture as it is, and three stems too much",
            0.5: "(1 - g)² + 3 g² is 1 at one half, no better than silence; go lower",
            0: "0 is silence, 0 dB; a little of the mixture does better",
            1 / 3: "there are four stems in the mixture, the wanted one among them",
            0.75: "0.75 is the energy of the error at the best gain, not the gain",
        }
        error = (1 - got) ** 2 + 3 * got**2
        otherwise = f"with {{got:g}} the SDR is {-10 * log10(error):.3f} dB; another does better"
        expect(got, 0.25, slips, otherwise)

    def score(value):
        slips = {
            -10 * log10(3): "that is the mixture unchanged; here it has the best gain",
            10 * log10(3): "the energy of the three others is not the whole error",
            10 * log10(4): "a quarter of the others is left, but three quarters of the stem itself"
            " are missing as well: both are error",
            -10 * log10(0.75**2): "what is missing of the stem is only part of the error; there"
            " is a quarter of each other stem",
            -10 * log10(3 / 16): "what is left of the others is only part of the error; there is"
            " what is missing of the stem",
            -measured: "turn the ratio round: energy of the stem over energy of the error",
            0.75: "that is the energy of the error; the SDR is 10 log10 of its inverse",
        }
        otherwise = "measured on four stems, at the best gain it is not {got:g} dB"
        expect(value, measured, slips, otherwise, rel=0, tolerance=0.02)

    judge_parts(answer, {"gain": gain, "SDR": score})


#: (verdict, why) of the five rows of exercise 5, each with one thing changed.
_CHANGED = (
    ("holds", "eight songs that all agree have p = 2/2^8, and the interval lies above 0"),
    ("undecided", "now the bar lies inside the interval, which reaches from -2.31 to -1.55"),
    ("fails", "now the whole interval lies below the bar of -1 dB, and p is small"),
    ("holds", "alone it needs no correction: p is below 5 %, and the interval was clear before"),
    ("one network", "one training of each arm, however sure the songs are: the next may differ"),
)


@exercises.add(
    "Ask the three questions again with the new facts: how many trainings, where does the *bar* lie"
    " (below, inside or above the interval), and is p at most 0.05?",
    "The bar need not be 0. And of n songs that all agree, p is 2 / 2^n.",
)
def ex_12_5(answer: Any) -> None:
    """Bar, family, number of songs and number of trainings: each alone turns a verdict round, and
    none of them is a property of the sound.
    """
    judge_parts(
        answer, {f"row {k}": partial(_verdict, *told) for k, told in enumerate(_CHANGED, start=1)}
    )


def _fewest(comparisons):
    """By the test itself: songs that all agree, p times the number of comparisons."""
    return next(n for n in range(2, 16) if comparisons * sign_flip([1.0] * n).p <= 0.05)


@exercises.add(
    "With one song more, what becomes of the smallest p? How small must it be, before Holm"
    " multiplies it?",
    "p must be at most 0.05 / comparisons. Count the songs up until 2 / 2^n is.",
    "`comparisons * 2 / 2**n <= 0.05`; solved for n: log2(40 * comparisons), rounded up.",
)
def ex_12_6(answer: Any) -> None:
    """Just as many as the sign-flip test itself asks for. Twice the comparisons cost one song, if
    all songs agree; songs that do not agree cost many more.
    """
    got = {count: number(attempt(answer, count)) for count in (1, 3, 6, 18)}
    need(got[1] >= 1, f"for one comparison you give {got[1]:g}: that is no number of songs")
    need(
        len(set(got.values())) > 1,
        f"you give {got[1]:g} for every family; the more comparisons, the smaller p has to be",
    )
    need(
        all(value == round(value) for value in got.values()),
        f"for one comparison you give {got[1]:g}; songs are whole, so round up",
    )
    wanted = {count: _fewest(count) for count in got}
    need(
        got != {1: 5, 3: 6, 6: 7, 18: 9},
        "either only one direction was counted (the test has two sides, 2 / 2^n), or the number was"
        " rounded down: then p is still above 0.05",
    )
    need(
        got != {1: 5, 3: 7, 6: 8, 18: 9},
        "rounded to the nearest; where the number is rounded down, p is still too large",
    )
    need(
        any(got[count] != count * wanted[1] for count in (3, 18)),
        "six songs for each comparison; but one song more halves every p of the family",
    )
    need(
        got[1] != 7 or got[18] != 11,
        "one song less is enough already: p may be 0.05, and need not be half of it",
    )
    for count, right in wanted.items():
        need(
            got[count] >= right,
            f"{count} comparison(s): with {got[count]:g} songs p is at best"
            f" {min(1.0, count * 2 / 2 ** got[count]):.3f}",
        )
        need(
            got[count] <= right,
            f"{count} comparison(s): {right} songs are enough, you ask for {got[count]:g}",
        )
