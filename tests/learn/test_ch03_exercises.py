"""The checks of chapter 03: stubs, solutions, and the wrong answers that readers give."""

import math

import numpy as np
import pytest
import torch

from sepkit.learn.ch03.exercises import MIXING, check


def kurtosis(y):
    y = y - y.mean()
    return (y**4).mean() / (y**2).mean() ** 2 - 3


def whiten(x):
    x = x - x.mean(1, keepdim=True)
    values, E = torch.linalg.eigh(x @ x.T / x.shape[1])
    return (E / values.sqrt()).T @ x


def decorrelate(x):
    x = x - x.mean(1, keepdim=True)
    return torch.linalg.eigh(x @ x.T)[1].T @ x


def share(W, H, chosen):
    return (W[:, chosen] @ H[chosen]) / (W @ H)


def test_stubs_count_as_not_attempted():
    verdicts = (
        check.ex_03_1(...),
        check.ex_03_2(lambda y: ...),
        check.ex_03_3(lambda x: None),
        check.ex_03_4((...,) * 6),
    )
    assert all(
        verdict.status == "not attempted"
        for verdict in (*verdicts, check.ex_03_5(lambda W, H, chosen: ...))
    )


def test_solutions_are_right():
    assert check.ex_03_1(180 - math.degrees(math.atan(2)))
    assert check.ex_03_1(-math.degrees(math.atan(2)))  # the same line, turned by half a turn
    assert check.ex_03_2(kurtosis)
    assert check.ex_03_3(whiten)
    assert check.ex_03_4((True, False, False, True, False, False))
    assert check.ex_03_5(share)


def test_the_angle_silences_the_speaker_in_the_mixing_matrix():
    angle = math.radians(180 - math.degrees(math.atan(2)))
    heard = np.array([math.cos(angle), math.sin(angle)]) @ np.array(MIXING)
    assert abs(heard[0]) < 1e-12 and abs(heard[1]) > 0.3


def test_other_libraries_solve_the_exercises():
    from scipy import stats
    from sklearn.decomposition import PCA

    assert check.ex_03_2(lambda y: stats.kurtosis(y.numpy()))
    assert check.ex_03_3(
        lambda x: torch.from_numpy(PCA(whiten=True).fit_transform(x.T.numpy()).T.copy())
    )


@pytest.mark.parametrize(
    "answer, says",
    [
        (math.degrees(math.atan(2)), "sign"),
        (180 - math.degrees(math.atan(0.6 / 0.9)), "speaker 2"),
        (math.pi - math.atan(2), "radians"),
        (90.0, "still has the factor +0.50"),
    ],
)
def test_wrong_angles(answer, says):
    verdict = check.ex_03_1(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda y: kurtosis(y) + 3, "bell curve"),
        (lambda y: (y**4).mean() / (y**2).mean() ** 2 - 3, "mean out"),
        (lambda y: ((y - y.mean()) ** 4).mean() / y.var() - 3, "square of the variance"),
        (lambda y: y.std(), "it gives"),
    ],
)
def test_wrong_kurtosis(answer, says):
    verdict = check.ex_03_2(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda x: (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True), "still correlated"),
        (decorrelate, "variances are not 1"),
        (lambda x: whiten(x) + 0.1, "mean"),
        (lambda x: whiten(x)[:1], "shape"),
    ],
)
def test_wrong_whitening(answer, says):
    verdict = check.ex_03_3(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        ((True, True, False, True, False, False), "number 2: two linear equations"),
        ((True, False, True, True, False, False), "number 3: whitened Gaussians"),
        ((True, False, False, False, False, False), "number 4: one Gaussian"),
        ((True, False, False, True, True, False), "number 5: an echo"),
        ((True, False, False, True, False, True), "number 6: both columns"),
        ((True, False), "6 answers"),
        (("yes", False, False, True, False, False), "True or False"),
    ],
)
def test_wrong_conditions(answer, says):
    verdict = check.ex_03_4(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda W, H, chosen: W[:, chosen] @ H[chosen], "share of all"),
        (lambda W, H, chosen: 1 - share(W, H, chosen), "not chosen"),
        (lambda W, H, chosen: share(W, H, chosen) / (1 - share(W, H, chosen)), "leaves out"),
        (lambda W, H, chosen: H[chosen] / H.sum(0), "shape"),
        (lambda W, H, chosen: 0.5 * share(W, H, chosen), "not W_k H_k"),
    ],
)
def test_wrong_component_masks(answer, says):
    verdict = check.ex_03_5(answer)
    assert verdict.status == "wrong" and says in verdict.text
