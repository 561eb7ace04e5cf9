"""The checks of chapter 02: stubs, solutions, and the wrong answers that readers give."""

import pytest
import torch

from sepkit import masks
from sepkit.learn.ch02.exercises import ESTIMATED, IDEAL, check
from sepkit.metrics import sdr


def ratio(target, others, power):
    share = target.abs() ** power
    return share / (share + sum(other.abs() ** power for other in others)).clamp(min=1e-20)


def test_stubs_count_as_not_attempted():
    verdicts = (
        check.ex_02_1(lambda t, o, p: ...),
        check.ex_02_2(lambda s, x: None),
        check.ex_02_3(...),
        check.ex_02_4((..., ...)),
    )
    assert all(verdict.status == "not attempted" for verdict in verdicts)


def test_solutions_are_right():
    assert check.ex_02_1(ratio)
    assert check.ex_02_2(lambda S, X: (S / X).real.clamp(0, 1))
    assert check.ex_02_3(lambda s, e: 10 * torch.log10(s.square().sum() / (s - e).square().sum()))
    assert check.ex_02_4((3 / 5, 3 / 4))


def test_the_package_solves_the_exercises():
    assert check.ex_02_1(lambda t, o, p: masks.oracle_mask(f"irm{p}", t, t + sum(o), o))
    assert check.ex_02_2(lambda S, X: masks.oracle_mask("psm", S, X, ()))
    assert check.ex_02_3(sdr)
    precision, recall = masks.precision_recall(
        torch.as_tensor(ESTIMATED), torch.as_tensor(IDEAL), [0.5]
    )
    assert check.ex_02_4((precision[0], recall[0]))


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda t, o, p: t.abs() ** p / sum(x.abs() ** p for x in o), "leaves out the target"),
        (lambda t, o, p: t.abs() ** p / (t.abs() ** p + sum(o).abs() ** p), "by itself"),
        (lambda t, o, p: t.abs() ** p / (t + sum(o)).abs() ** p, "magnitude of the mixture"),
        (lambda t, o, p: ratio(t, o, 1), "same as with power 1"),
        (lambda t, o, p: t / (t + sum(o)), "complex"),
        (lambda t, o, p: t.abs() ** p / (t.abs() ** p + sum(x.abs() ** p for x in o)), "NaN"),
        (lambda t, o, p: ratio(t, o, p)[..., :2], "shape"),
    ],
)
def test_wrong_ratio_masks(answer, says):
    verdict = check.ex_02_1(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda S, X: (S / X).real, "limit them"),
        (lambda S, X: (S.abs() / X.abs()).clamp(0, 1), "angle"),
        (lambda S, X: (S / X).real.abs().clamp(0, 1), "points away"),
        (lambda S, X: S / X, "complex"),
        (lambda S, X: (S.real / X.real).clamp(0, 1), "not Re(S / X)"),
    ],
)
def test_wrong_phase_sensitive_masks(answer, says):
    verdict = check.ex_02_2(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda s, e: 20 * torch.log10(s.square().sum() / (s - e).square().sum()), "not 20 log10"),
        (lambda s, e: 10 * torch.log10((s - e).square().sum() / s.square().sum()), "exchanged"),
        (
            lambda s, e: 10 * torch.log10(e.square().sum() / (s - e).square().sum()),
            "energy of the reference",
        ),
        (lambda s, e: 0.0, "it gives 0.00"),
    ],
)
def test_wrong_sdr(answer, says):
    verdict = check.ex_02_3(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        ((0.75, 0.6), "exchanged"),
        ((0.75, 0.75), "reaches the threshold"),
        ((0.6, 0.5), "recall"),
        ((0.33, 0.75), "precision"),
    ],
)
def test_wrong_precision_and_recall(answer, says):
    verdict = check.ex_02_4(answer)
    assert verdict.status == "wrong" and says in verdict.text
