"""The checks of chapter 02: stubs, right answers, and the wrong ones that readers give."""

import torch

from sepkit import masks
from sepkit.learn.ch02.exercises import ESTIMATED, IDEAL, check
from sepkit.metrics import sdr

from .tools import RIGHT, STUB, judged


def ratio(target, others, power):
    share = target.abs() ** power
    return share / (share + sum(other.abs() ** power for other in others)).clamp(min=1e-20)


def test_the_package_solves_the_exercises():
    assert check.ex_02_1(lambda t, o, p: masks.oracle_mask(f"irm{p}", t, t + sum(o), o))
    assert check.ex_02_2(lambda S, X: masks.oracle_mask("psm", S, X, ()))
    assert check.ex_02_3(sdr)
    precision, recall = masks.precision_recall(
        torch.as_tensor(ESTIMATED), torch.as_tensor(IDEAL), [0.5]
    )
    assert check.ex_02_4((precision[0], recall[0]))


ANSWERS = [
    (1, lambda t, o, p: ..., STUB),
    (1, ratio, RIGHT),
    (1, lambda t, o, p: ratio(t.to(torch.complex128), o, p), RIGHT),
    (1, lambda t, o, p: ratio(t, o, p) + 1.0 * (t == 0), "silent the mask is not 0"),
    (1, lambda t, o, p: t.abs() ** p / sum(x.abs() ** p for x in o), "leaves out the target"),
    (1, lambda t, o, p: t.abs() ** p / (t.abs() ** p + sum(o).abs() ** p), "by itself"),
    (1, lambda t, o, p: t.abs() ** p / (t + sum(o)).abs() ** p, "magnitude of the mixture"),
    (1, lambda t, o, p: ratio(t, o, 1), "same as with power 1"),
    (1, lambda t, o, p: t / (t + sum(o)), "complex"),
    (1, lambda t, o, p: t.abs() ** p / (t.abs() ** p + sum(x.abs() ** p for x in o)), "NaN"),
    (1, lambda t, o, p: ratio(t, o, p)[..., :2], "shape"),
    (2, lambda s, x: None, STUB),
    (2, lambda S, X: (S / X).real.clamp(0, 1), RIGHT),
    (2, lambda S, X: (S.to(torch.complex128) / X).real.clamp(0, 1), RIGHT),
    (2, lambda S, X: (S / X).real, "limit them"),
    (2, lambda S, X: (S.abs() / X.abs()).clamp(0, 1), "angle"),
    (2, lambda S, X: (S / X).real.abs().clamp(0, 1), "points away"),
    (2, lambda S, X: S / X, "complex"),
    (2, lambda S, X: (S.real / X.real).clamp(0, 1), "not Re(S / X)"),
    (3, ..., STUB),
    (3, lambda s, e: 10 * torch.log10(s.square().sum() / (s - e).square().sum()), RIGHT),
    (3, lambda s, e: 20 * torch.log10(s.square().sum() / (s - e).square().sum()), "not 20 log10"),
    (3, lambda s, e: 10 * torch.log10((s - e).square().sum() / s.square().sum()), "exchanged"),
    (
        3,
        lambda s, e: 10 * torch.log10(e.square().sum() / (s - e).square().sum()),
        "energy of the reference",
    ),
    (3, lambda s, e: 0.0, "it gives 0.00"),
    (4, (..., ...), STUB),
    (4, (3 / 5, 3 / 4), RIGHT),
    (4, (0.75, 0.6), "exchanged"),
    (4, (0.75, 0.75), "reaches the threshold"),
    (4, (0.6, 0.5), "recall"),
    (4, (0.33, 0.75), "precision"),
]

test_answers_are_judged = judged(check, "02", ANSWERS)
