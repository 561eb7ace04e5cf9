"""The right answers of chapter 02 are what the package computes."""

import torch

from sepkit import masks
from sepkit.learn.ch02.exercises import ESTIMATED, IDEAL, check
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
    assert check.ex_02_4((precision[0], recall[0]))
