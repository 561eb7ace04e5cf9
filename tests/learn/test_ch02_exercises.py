"""The right answers of chapter 02 are what the package computes."""

import re

import pytest
import torch

from sepkit import masks
from sepkit.learn.ch02.exercises import ESTIMATED, IDEAL, check, gains_of_wider_limits
from sepkit.metrics import sdr


def test_the_masks_by_hand_are_those_of_the_package():
    made = []
    for voice, rest in ((3, 4j), (3, -1)):
        S, N = (torch.full((1, 1, 1), complex(z), dtype=torch.complex64) for z in (voice, rest))
        for kind in ("ibm", "irm1", "irm2", "psm"):
            made.append(masks.oracle_mask(kind, S, S + N, [N]).real)
    assert check.ex_02_2(made)


def test_the_foretold_sdr_is_that_of_any_signal():
    s = torch.tensor([[1.0, -2.0, 0.5, 3.0], [0.1, 0.2, -0.3, 0.0]])
    leak = torch.tensor([[2.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])  # at right angles to s
    leak = 0.1 * leak * s.norm() / leak.norm()
    assert check.ex_02_3([sdr(s, estimate) for estimate in (2 * s, -s, 0.1 * s, s + leak)])


def test_the_package_counts_precision_and_recall_as_by_hand():
    precision, recall = masks.precision_recall(
        torch.as_tensor(ESTIMATED), torch.as_tensor(IDEAL), [0.5]
    )
    assert check.ex_02_5((precision[0], recall[0]))


def test_the_best_mask_between_0_and_1_is_the_package_s_phase_sensitive_one():
    def package(S, X, lowest, highest):
        S, X = S.to(torch.complex64)[None], X.to(torch.complex64)[None]
        psm = masks.oracle_mask("psm", S, X, [X - S])[0].real.double()
        return psm if (lowest, highest) == (0, 1) else ...

    said = check.ex_02_4(package)  # right with these limits, and not attempted with others
    assert said.status == "not attempted"


def test_what_is_said_of_wider_limits_is_measured():
    told = [float(dB) for dB in re.findall(r"([\d.]+) dB", check.ex_02_4(best_mask).text)]
    assert told == [pytest.approx(dB, abs=0.05) for dB in gains_of_wider_limits()]


def best_mask(S, X, lowest, highest):
    sounding = X != 0
    ratio = torch.zeros(S.shape, dtype=torch.float64)
    ratio[sounding] = (S[sounding] / X[sounding]).real
    return ratio.clamp(lowest, highest)
