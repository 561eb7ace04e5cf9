"""Exercises of chapter 02: a ratio mask, the phase-sensitive mask, SDR, precision and recall."""

import math
from typing import Any

import numpy as np
import torch

from ..exercises import Exercises, as_tensor, attempt, need

exercises = Exercises("02")
check, hint = exercises.check, exercises.hint


def _spectra(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.complex64, generator=generator)


@exercises.add(
    "The numerator is `target.abs() ** power`. The denominator adds the same over all sources, the"
    " target included.",
    "Where every source is silent you divide 0 by 0. The mask should be 0 there: keep the"
    " denominator above a tiny number.",
    "`share / total.clamp(min=1e-20)` with `share = target.abs() ** power` and `total = share +"
    " sum(other.abs() ** power for other in others)`.",
)
def ex_02_1(answer: Any) -> None:
    """With power 1 it is IRM1, with power 2 it is IRM2; the masks of all sources add up to one."""
    target, *others = _spectra(1, 3, 1, 5, 7)
    for power in (1, 2):
        got = as_tensor(attempt(answer, target, others, power))
        need(
            got.shape == target.shape,
            f"the mask has shape {tuple(got.shape)}, the target {tuple(target.shape)}",
        )
        need(not got.is_complex(), "the mask is complex; it is made of magnitudes, `target.abs()`")
        got = got.to(target.real.dtype)
        rest = sum(other.abs() ** power for other in others)
        right = target.abs() ** power / (target.abs() ** power + rest)
        need(
            not torch.allclose(got, target.abs() ** power / rest),
            "the denominator leaves out the target itself",
        )
        joint = target.abs() ** power / (target.abs() ** power + sum(others).abs() ** power)
        need(
            not torch.allclose(got, joint),
            "each of the others counts by itself: add their magnitudes, not the spectrograms",
        )
        mixed = target.abs() ** power / (target + sum(others)).abs() ** power
        need(
            not torch.allclose(got, mixed),
            "the denominator is the sum of the sources' magnitudes, not the magnitude of the"
            " mixture",
        )
        other_power = target.abs() / (target.abs() + sum(o.abs() for o in others))
        need(
            power == 1 or not torch.allclose(got, other_power),
            "with power 2 the result is the same as with power 1",
        )
        need(
            torch.allclose(got, right, atol=1e-5),
            f"with power {power} the values are not |S|^p / sum |S_k|^p",
        )
    silent = as_tensor(attempt(answer, target * 0, [other * 0 for other in others], 1))
    need(
        bool(torch.isfinite(silent).all()),
        "where all sources are silent it gives NaN; 0 is wanted there",
    )
    need(bool((silent == 0).all()), "where all sources are silent the mask is not 0")


@exercises.add(
    "The best real number `m` for one bin makes `|m X - S|` small: move `m X` along the direction"
    " of `X` until it is nearest to `S`.",
    "That is a projection. For complex numbers: `Re(S * conj(X)) / |X|^2`, which is `Re(S / X)`.",
    "`(S / X).real.clamp(0, 1)`",
)
def ex_02_2(answer: Any) -> None:
    """The real mask that comes nearest to the target in every bin, held between 0 and 1."""
    S, X = _spectra(2, 1, 6, 8), _spectra(3, 1, 6, 8)
    got = as_tensor(attempt(answer, S, X))
    need(not got.is_complex(), "the mask is complex; only the real part of S / X is wanted")
    got = got.to(S.real.dtype)
    free = (S / X).real
    need(
        not torch.allclose(got, free, atol=1e-4),
        "the values leave the range from 0 to 1; limit them",
    )
    need(
        not torch.allclose(got, (S.abs() / X.abs()).clamp(0, 1), atol=1e-4),
        "that leaves the angle between S and X out",
    )
    need(
        not torch.allclose(got, free.abs().clamp(0, 1), atol=1e-4),
        "a negative value becomes 0, not positive: there the target points away from the mixture",
    )
    need(
        torch.allclose(got, free.clamp(0, 1), atol=1e-4),
        "the values are not Re(S / X), limited to 0 ... 1",
    )


@exercises.add(
    "The error is `reference - estimate`. Compare the energy (the sum of squares) of the reference"
    " with that of the error.",
    "Energies are powers, so it is `10 * log10`, not 20.",
)
def ex_02_3(answer: Any) -> None:
    """And an estimate at half the amplitude has 6.02 dB, however well it is separated: SDR punishes
    a wrong level.
    """
    reference = torch.sin(torch.arange(800) * 0.1)[None]
    estimate = 0.9 * reference + 0.05 * torch.cos(torch.arange(800) * 0.37)[None]
    got = float(attempt(answer, reference, estimate))
    error = reference - estimate
    right = float(10 * torch.log10(reference.square().sum() / error.square().sum()))
    need(
        not math.isclose(got, 2 * right, abs_tol=0.01),
        "the sums of squares are powers: 10 log10, not 20 log10",
    )
    need(
        not math.isclose(got, -right, abs_tol=0.01),
        "numerator and denominator are exchanged: a small error must give a large SDR",
    )
    swapped = float(10 * torch.log10(estimate.square().sum() / error.square().sum()))
    need(
        not math.isclose(got, swapped, abs_tol=0.001),
        "the numerator is the energy of the reference, not of the estimate",
    )
    need(
        math.isclose(got, right, abs_tol=0.01),
        f"for an estimate of {right:.2f} dB it gives {got:.2f}",
    )
    half = float(attempt(answer, reference, 0.5 * reference))
    need(
        math.isclose(half, 6.02, abs_tol=0.01),
        f"half the amplitude should give 6.02 dB, not {half:.2f}",
    )


#: the toy masks of the notebook's exercise
ESTIMATED = np.array([[0.9, 0.7, 0.2], [0.6, 0.4, 0.1], [0.8, 0.3, 0.5]])
IDEAL = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]])


@exercises.add(
    "At threshold 0.5, take every bin with a value of 0.5 or more. How many are that? How many of"
    " them are ones in `ideal`?",
    "Five bins are taken, three of them rightly. `ideal` has four ones.",
)
def ex_02_4(answer: Any) -> None:
    """Of five taken bins three are the target's, and of its four bins three were taken."""
    precision, recall = (float(part) for part in answer)
    need(
        not (math.isclose(precision, 0.75) and math.isclose(recall, 0.6)),
        "the two are exchanged: precision asks how much of what was taken is right",
    )
    need(
        not math.isclose(precision, 0.75),
        "precision: a value of exactly 0.5 reaches the threshold, so five bins are taken, not four",
    )
    need(
        math.isclose(precision, 0.6, abs_tol=0.005),
        f"precision: of the bins that were taken, the share of the target's is not {precision:.2f}",
    )
    need(
        math.isclose(recall, 0.75, abs_tol=0.005),
        f"recall: of the target's four bins, the share that was taken is not {recall:.2f}",
    )
