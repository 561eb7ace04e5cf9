"""The checks of chapter 03: stubs, right answers, and the wrong ones that readers give."""

import math

import numpy as np
import torch

from sepkit.learn.ch03.exercises import MIXING, check

from .tools import RIGHT, STUB, judged


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


ANSWERS = [
    (1, ..., STUB),
    (1, 180 - math.degrees(math.atan(2)), RIGHT),
    (1, -math.degrees(math.atan(2)), RIGHT),
    (1, math.degrees(math.atan(2)), "sign"),
    (1, 180 - math.degrees(math.atan(0.6 / 0.9)), "speaker 2"),
    (1, math.pi - math.atan(2), "radians"),
    (1, 90.0, "still has the factor +0.50"),
    (2, lambda y: ..., STUB),
    (2, kurtosis, RIGHT),
    (2, lambda y: kurtosis(y) + 3, "bell curve"),
    (2, lambda y: (y**4).mean() / (y**2).mean() ** 2 - 3, "mean out"),
    (2, lambda y: ((y - y.mean()) ** 4).mean() / y.var() - 3, "square of the variance"),
    (2, lambda y: y.std(), "it gives"),
    (3, lambda x: None, STUB),
    (3, whiten, RIGHT),
    (3, lambda x: (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True), "still correlated"),
    (3, decorrelate, "variances are not 1"),
    (3, lambda x: whiten(x) + 0.1, "mean"),
    (3, lambda x: whiten(x)[:1], "shape"),
    (3, lambda x: whiten(x).float(), RIGHT),
    (3, lambda x: whiten(torch.randn_like(x)), "not the signals"),
    (4, (...,) * 6, STUB),
    (4, (True, False, False, True, False, False), RIGHT),
    (4, (True, True, False, True, False, False), "number 2: two linear equations"),
    (4, (True, False, True, True, False, False), "number 3: whitened Gaussians"),
    (4, (True, False, False, False, False, False), "number 4: one Gaussian"),
    (4, (True, False, False, True, True, False), "number 5: an echo"),
    (4, (True, False, False, True, False, True), "number 6: both columns"),
    (4, (True, False), "6 answers"),
    (4, ("yes", False, False, True, False, False), "True or False"),
    (5, lambda W, H, chosen: ..., STUB),
    (5, share, RIGHT),
    (5, lambda W, H, chosen: W[:, chosen] @ H[chosen], "share of all"),
    (5, lambda W, H, chosen: 1 - share(W, H, chosen), "not chosen"),
    (5, lambda W, H, chosen: share(W, H, chosen) / (1 - share(W, H, chosen)), "leaves out"),
    (5, lambda W, H, chosen: H[chosen] / H.sum(0), "shape"),
    (5, lambda W, H, chosen: 0.5 * share(W, H, chosen), "not W_k H_k"),
]

test_answers_are_judged = judged(check, "03", ANSWERS)
