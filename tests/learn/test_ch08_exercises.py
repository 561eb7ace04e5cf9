"""The checks of chapter 08: stubs, solutions, and the wrong answers that readers give."""

from itertools import product

import numpy as np
import pytest
import torch

from sepkit.learn.ch08.exercises import DIFFERENCES, FRAMES, check
from sepkit.metrics import si_sdr, statistics

NAMES = {
    "level": "ISR",
    "swap": "ISR",
    "delay of 5 ms": "ISR",
    "delay of 50 ms": "SAR",
    "leaking drums": "SIR",
    "musical noise": "SAR",
}


def scaled(reference, estimate):
    return (estimate * reference).sum() / reference.square().sum() * reference


def ratio(above, below):
    return 10 * torch.log10(above.square().sum() / below.square().sum())


def flips(d):
    return np.array([np.dot(signs, d) for signs in product((1, -1), repeat=len(d))])


def test_stubs_count_as_not_attempted():
    functions = (
        check.ex_08_2(lambda s, e: ...),
        check.ex_08_6(lambda k: None),
        check.ex_08_4(lambda d: ...),
    )
    values = (
        check.ex_08_1(...),
        check.ex_08_1({**NAMES, "swap": ...}),
        check.ex_08_3((..., ...)),
        check.ex_08_5((..., ...)),
    )
    assert all(verdict.status == "not attempted" for verdict in (*functions, *values))


def test_solutions_are_right():
    assert check.ex_08_2(lambda s, e: ratio(scaled(s, e), scaled(s, e) - e))
    assert check.ex_08_1(NAMES)
    assert check.ex_08_3((5.25, 2.625))
    assert check.ex_08_6(lambda k: 20 * np.log10(k / (k - 1)))
    assert check.ex_08_4(lambda d: np.mean(abs(flips(d)) >= abs(sum(d)) - 1e-9))
    assert check.ex_08_5((-13.92, 0.0826))


def test_the_package_solves_the_exercises():
    assert check.ex_08_2(si_sdr)
    assert check.ex_08_3(
        tuple(statistics.aggregate(FRAMES, how) for how in ("median of medians", "mean of means"))
    )
    assert check.ex_08_4(lambda d: statistics.sign_flip(d).p)
    recomputed = statistics.one_sample_z(5.84, 4.35, 2772, statistics.FIVE_TIMES)
    assert check.ex_08_5((recomputed.statistic, recomputed.se))
    assert statistics.sign_flip(DIFFERENCES).p == 6 / 32


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda s, e: ratio(s, s - e), "plain SDR"),
        (lambda s, e: 2 * ratio(scaled(s, e), scaled(s, e) - e), "not 20"),
        (lambda s, e: ratio(s, s - scaled(e, s)), "scaled the estimate"),
        (lambda s, e: ratio(s, scaled(s, e) - e), "numerator"),
        (lambda s, e: 3.0, "it gives 3.00"),
    ],
)
def test_wrong_si_sdr(answer, says):
    verdict = check.ex_08_2(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"level": "SAR"}, "filter of one tap"),
        ({"swap": "SIR"}, "own channels"),
        ({"delay of 5 ms": "SAR"}, "within the 512 taps"),
        ({"delay of 50 ms": "ISR"}, "beyond the 512 taps"),
        ({"leaking drums": "sdr"}, "falls for every error"),
    ],
)
def test_wrong_measures(changes, says):
    verdict = check.ex_08_1({**NAMES, **changes})
    assert verdict.status == "wrong" and says in verdict.text
    assert "missing" in check.ex_08_1({"level": "ISR"}).text


@pytest.mark.parametrize(
    "answer, says",
    [
        ((2.625, 5.25), "exchanged"),
        ((4.75, 2.625), "does not count as 0"),
        ((6.0, 2.625), "all frames together"),
        ((5.25, 16 / 7), "all frames together"),
        ((float("nan"), 2.625), "left out"),
        ((1.0, 2.625), "not 1"),
    ],
)
def test_wrong_aggregates(answer, says):
    verdict = check.ex_08_3(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda k: 10 * np.log10(k / (k - 1)), "20 log10"),
        (lambda k: 20 * np.log10(k), "k - 1"),
        (lambda k: 20 * np.log10(1 / (k - 1)), "the numerator is the reference"),
        (lambda k: 20 * np.log10((k - 1) / k), "exchanged"),
        (lambda k: 3.522, "for k = 3"),
    ],
)
def test_wrong_decodings(answer, says):
    verdict = check.ex_08_6(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda d: np.mean(flips(d) >= sum(d) - 1e-9), "one-sided"),
        (lambda d: np.mean(abs(flips(d)) > abs(sum(d)) + 1e-9), "itself counts"),
        (lambda d: sum(d > 0), "between 0 and 1"),
        (lambda d: 6 / 32, "three songs"),
    ],
)
def test_wrong_p_values(answer, says):
    verdict = check.ex_08_4(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        ((-12.8, 0.218), "printed one"),
        ((-13.92, 4.35 / 2772), "square root"),
        ((13.92, 0.0826), "sign"),
        ((-12.8, 0.0826), "is not -12.8"),
    ],
)
def test_wrong_recomputations(answer, says):
    verdict = check.ex_08_5(answer)
    assert verdict.status == "wrong" and says in verdict.text
