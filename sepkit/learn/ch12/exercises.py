"""Exercises of chapter 12: verdicts, columns, median and mean, a quarter of the mixture."""

from math import isclose, log10
from typing import Any

from ..exercises import Exercises, need

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
    'Two conditions for "holds": the whole interval above 0, and p at most 0.05. One for "fails":'
    ' the whole interval below 0. All else is "undecided". And several seeds for both.',
    "Look at the number of seeds first. Then where 0 lies: below, inside or above the interval."
    " Then look at p.",
)
def ex_12_1(answer: Any) -> None:
    """Undecided is a verdict too: it asks for more songs, and says nothing about equality."""
    need(len(answer) == len(_VERDICTS), f"five verdicts were expected, not {len(answer)}")
    known = {verdict for verdict, _ in _VERDICTS}
    for number, (given, (right, because)) in enumerate(zip(answer, _VERDICTS), start=1):
        need(
            given in known,
            f"comparison {number}: {given!r} is no verdict; choose from {', '.join(sorted(known))}",
        )
        need(given == right, f"comparison {number}: {because}")


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
    need(len(answer) == len(_COLUMNS), f"five answers were expected, not {len(answer)}")
    for number, (given, (right, because)) in enumerate(zip(answer, _COLUMNS), start=1):
        need(bool(given) == right, f"pair {number}: {because}")


@exercises.add(
    "The median is the middle one of the *sorted* values; the mean is their sum divided by five.",
    "Sorted: -3.0, 5.8, 5.9, 6.1, 6.4. Their sum is 21.2.",
)
def ex_12_3(answer: Any) -> None:
    """The ruined song moves the mean by almost 2 dB and the median hardly at all."""
    middle, average = (float(part) for part in answer)
    need(
        not (isclose(middle, 4.24, abs_tol=0.01) and isclose(average, 5.9, abs_tol=0.01)),
        "the two are exchanged",
    )
    need(
        not isclose(middle, 6.4, abs_tol=0.01),
        "median: 6.4 stands in the middle of the list as it is written; sort it first",
    )
    need(
        isclose(middle, 5.9, abs_tol=0.01),
        f"median: {middle:g} is not the middle one of the sorted values",
    )
    need(
        not isclose(average, 6.05, abs_tol=0.01),
        "mean: 6.05 leaves the ruined song out; a mean takes all five",
    )
    need(not isclose(average, 5.44, abs_tol=0.01), "mean: the last value is negative")
    need(
        isclose(average, 4.24, abs_tol=0.01),
        f"mean: {average:g} is not the sum, 21.2, divided by five",
    )


@exercises.add(
    "The error is s1 - x/4: three quarters of s1 are missing, and a quarter of each other stem is"
    " too much.",
    "Energies of uncorrelated parts add up, and a factor g multiplies an energy by g squared: "
    "the error has (3/4)² + 3 (1/4)².",
)
def ex_12_4(answer: Any) -> None:
    """1.25 dB: 6 dB above the undivided mixture, without separating anything."""
    answer = float(answer)

    def is_(value):
        return isclose(answer, value, abs_tol=0.02)

    need(not is_(-10 * log10(3)), "that is the mixture unchanged; here it is divided by four first")
    need(
        not is_(10 * log10(3)),
        "the energy of the three others is not the whole error, and the stem is weaker than it",
    )
    need(
        not is_(10 * log10(4)),
        "a quarter of the others is left, but three quarters of the stem itself are missing as"
        " well: both are error",
    )
    need(
        not is_(-10 * log10(0.75**2)),
        "what is missing of the stem is only part of the error; a quarter of each other stem is in"
        " it too",
    )
    need(
        not is_(-10 * log10(3 / 16)),
        "what is left of the others is only part of the error; three quarters of the stem itself"
        " are missing",
    )
    need(not is_(-1.25), "turn the ratio round: energy of the stem over energy of the error")
    need(not is_(0.75), "that is the energy of the error; the SDR is 10 log10 of its inverse")
    need(
        is_(-10 * log10(0.75)),
        f"{answer:g} dB is not it; write down the error s1 - x/4, stem by stem",
    )
