"""Exercises of chapter 03: a silencing angle, kurtosis, whitening, ICA's conditions, NMF masks."""

import math
from typing import Any

import numpy as np
import torch

from ..exercises import Exercises, as_tensor, attempt, need

exercises = Exercises("03")
check, hint = exercises.check, exercises.hint

#: how the notebook's two microphones hear its two speakers: row = microphone, column = speaker
MIXING = [[1.0, 0.6], [0.5, 0.9]]


def _signals(seed=0, samples=4000):
    """Mix uniform and spiky noise, neither centred nor of variance 1: (2, samples) float64."""
    rng = np.random.default_rng(seed)
    sources = np.stack([rng.uniform(-1, 1, samples), rng.laplace(size=samples)])
    return torch.from_numpy(
        np.array([[1.0, 0.7], [0.4, 1.5]]) @ sources + np.array([[0.5], [-0.3]])
    )


@exercises.add(
    "Speaker 1 reaches microphone 1 with factor 1.0 and microphone 2 with factor 0.5. How much of"
    " speaker 1 is in `cos(angle) * x1 + sin(angle) * x2`?",
    "It is `1.0 * cos(angle) + 0.5 * sin(angle)`. Where is that zero?",
    "`tan(angle) = -1.0 / 0.5`. The tangent repeats after 180 degrees: `180 - degrees(atan(2))`.",
)
def ex_03_1(answer: Any) -> None:
    """Two microphones can silence any one direction; here with a minus sign, since the cosine is
    negative beyond 90 degrees.
    """
    angle = float(answer)
    (a11, a12), (a21, a22) = MIXING
    right, other = (
        math.degrees(math.atan2(top, -bottom)) for top, bottom in ((a11, a21), (a12, a22))
    )
    need(
        not math.isclose(angle, math.radians(right), abs_tol=0.01),
        "that is in radians; degrees are wanted",
    )
    need(
        not math.isclose(angle % 180, other, abs_tol=0.5),
        "that silences speaker 2: you took the second column of A",
    )
    need(
        not math.isclose(angle % 180, 180 - right, abs_tol=0.5),
        "the sign is missing: at that angle both microphones add, and speaker 1 is at its loudest",
    )
    need(
        math.isclose(angle % 180, right, abs_tol=0.5),
        f"at {angle:.1f} degrees speaker 1 still has the factor {_left(angle):+.2f}",
    )


def _left(angle):
    return MIXING[0][0] * math.cos(math.radians(angle)) + MIXING[1][0] * math.sin(
        math.radians(angle)
    )


@exercises.add(
    "Take the mean out first. Then you need the mean of the fourth power, and the mean of the"
    " square.",
    "Divide the mean of the fourth power by the *square* of the variance, so that a louder signal"
    " gives the same number. The bell curve has 3; subtract that.",
    "`y = y - y.mean()`, then `(y**4).mean() / (y**2).mean() ** 2 - 3`",
)
def ex_03_2(answer: Any) -> None:
    """It is zero for a Gaussian, negative for flat distributions such as the uniform one (-1.2),
    and large for speech.
    """
    y = 3 + 2 * _signals()[1]
    got = float(attempt(answer, y))
    d = y - y.mean()
    right = float((d**4).mean() / (d**2).mean() ** 2 - 3)
    unscaled = "divide by the square of the variance, or a louder signal changes the number"
    slips = {
        "the 3 of the bell curve is not taken away": right + 3,
        "take the mean out of the signal first": float((y**4).mean() / (y**2).mean() ** 2 - 3),
        unscaled: float((d**4).mean() / (d**2).mean() - 3),
        unscaled + ".": float((d**4).mean() - 3),
    }
    for because, value in slips.items():
        need(not math.isclose(got, value, rel_tol=5e-3), because)
    # variances over T or T - 1
    need(
        math.isclose(got, right, abs_tol=0.02),
        f"for a test signal of kurtosis {right:.2f} it gives {got:.2f}",
    )


@exercises.add(
    "Three steps: take the mean out of every channel, turn the axes until the channels are"
    " uncorrelated, scale each to variance 1.",
    "The turning is done by the eigenvectors of the covariance `C = x @ x.T / T`; the variances"
    " along them are its eigenvalues.",
    "`values, E = torch.linalg.eigh(C)`, then `z = (E / values.sqrt()).T @ x`.",
)
def ex_03_3(answer: Any) -> None:
    """The covariance is the identity. So it would be after any further rotation: that is why
    whitening alone does not separate.
    """
    x = _signals()
    z = as_tensor(attempt(answer, x.clone()))
    need(
        tuple(z.shape) == tuple(x.shape),
        f"two channels of {x.shape[1]} samples were expected, not shape {tuple(z.shape)}",
    )
    need(bool((z.mean(1).abs() < 1e-6).all()), "the channels still have a mean; take it out first")
    C = (z @ z.T / z.shape[1]).double()
    need(
        abs(float(C[0, 1])) < 1e-3 * float(C.diagonal().max()),
        "the channels are still correlated: scaling each channel is not enough, turn the axes"
        " first",
    )
    need(
        bool((C.diagonal() - 1).abs().max() < 0.01),
        "the channels are uncorrelated, but their variances are not 1; divide by the square roots"
        " of the eigenvalues",
    )
    centred = (x - x.mean(1, keepdim=True)).to(z.dtype)
    by_matrix = torch.linalg.lstsq(centred.T, z.T).solution.T @ centred
    need(
        torch.allclose(by_matrix, z, atol=1e-3),
        "the covariance is right, but these are not the signals that came in, times a matrix",
    )


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
        (
            "one Gaussian source is allowed: the other one's direction can be found, and what is at"
            " right angles to it is the noise"
        ),
    ),
    (False, "an echo is a delayed copy; one number for each microphone and speaker cannot undo it"),
    (
        False,
        (
            "both columns of A are multiples of each other: the right channel says nothing that the"
            " left one did not say"
        ),
    ),
)


@exercises.add(
    "Ask of each: is it `x = A s` with one number for each pair? Does A have an inverse? Is at most"
    " one source Gaussian?",
    "Echoes break the first condition; too few channels, or two sources at one place, the second;"
    " two Gaussian sources the third.",
)
def ex_03_4(answer: Any) -> None:
    """No delays, as many different mixtures as sources, at most one of them Gaussian: these are the
    conditions of ICA.
    """
    answers = list(answer)
    need(len(answers) == len(_CASES), f"{len(_CASES)} answers were expected, not {len(answers)}")
    for number, (given, (right, because)) in enumerate(zip(answers, _CASES), start=1):
        need(isinstance(given, (bool, np.bool_)), f"number {number}: answer True or False")
        need(given == right, f"number {number}: {because}")


@exercises.add(
    "The chosen components together explain `W[:, chosen] @ H[chosen]` of the spectrogram, all of"
    " them `W @ H`.",
    "A mask is the share: chosen divided by all. Keep the denominator above a tiny number.",
    "`(W[:, chosen] @ H[chosen]) / (W @ H).clip(1e-12)`",
)
def ex_03_5(answer: Any) -> None:
    """The masks of all groups add up to one, so nothing of the mixture is lost or counted twice."""
    rng = np.random.default_rng(0)
    W, H, chosen = rng.uniform(0.1, 1, (6, 4)), rng.uniform(0.1, 1, (4, 5)), [0, 2]
    got = np.asarray(attempt(answer, W, H, chosen), dtype=float)
    need(
        got.shape == (6, 5),
        f"the mask has shape {got.shape}; it should be as large as the spectrogram, here (6, 5)",
    )
    part, whole = W[:, chosen] @ H[chosen], W @ H
    need(
        not np.allclose(got, part),
        "that is the magnitude that the chosen components explain; a mask is its share of all"
        " components",
    )
    need(
        not np.allclose(got, part / (whole - part)),
        "the denominator leaves out the chosen components",
    )
    need(
        not np.allclose(got, 1 - part / whole),
        "that is the mask of the components that were not chosen",
    )
    need(
        not np.allclose(got, part**2 / (part**2 + (whole - part) ** 2)),
        "share the magnitudes themselves here, not their squares",
    )
    need(np.allclose(got, part / whole), "the values are not W_k H_k / (W H)")
