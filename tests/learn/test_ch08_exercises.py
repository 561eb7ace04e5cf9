"""The right answers of chapter 08 are what the package computes."""

import torch

from sepkit.learn.ch08.exercises import DIFFERENCES, FRAMES, check
from sepkit.metrics import sdr, si_sdr, statistics

from .answers.ch08 import at_best_level


def test_the_package_solves_the_exercises():
    assert check.ex_08_3(
        tuple(statistics.aggregate(FRAMES, how) for how in ("median of medians", "mean of means"))
    )
    assert check.ex_08_5(lambda d: statistics.sign_flip(d).p)


def test_songs_that_all_agree_reach_five_per_cent_with_six_and_one_per_mille_with_eleven():
    needed = [
        next(n for n in range(2, 13) if statistics.sign_flip([1.0] * n).p <= alpha)
        for alpha in (0.05, 0.001)
    ]
    p = statistics.sign_flip(DIFFERENCES).p
    assert check.ex_08_4((p, statistics.sign_flip([1.0] * 5).p, *needed))


def test_at_the_best_level_the_sdr_is_highest_and_follows_from_the_si_sdr():
    """With c the cosine between the two, SI-SDR is c² / (1 - c²) and the best SDR 1 / (1 - c²)."""
    draw = torch.Generator().manual_seed(1)
    s, noise = (torch.randn(2, 500, generator=draw, dtype=torch.float64) for _ in range(2))
    estimate = -0.2 * s + 0.1 * noise
    best = at_best_level(s, estimate)
    assert all(sdr(s, best) > sdr(s, gain * best) for gain in (0.98, 1.02, -1))
    ratio = 10 ** (float(si_sdr(s, estimate)) / 10)
    assert abs(10 ** (float(sdr(s, best)) / 10) - (1 + ratio)) < 1e-6 * ratio
