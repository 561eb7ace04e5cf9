"""Exercises of chapter 11: an explained share, a kept band, a speed-up, attention's memory."""

from __future__ import annotations

import math
from typing import Any

import torch

from ..exercises import Exercises, attempt, need
from .leakage import kept

exercises = Exercises("11")
check, hint = exercises.check, exercises.hint


def _noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@exercises.add(
    "The gain that fits best makes the rest perpendicular to the source: one number for all"
    " channels and samples.",
    "g = <estimate, source> / <source, source>; the part is g times the source; compare energies.",
    "`g = (estimate * source).sum() / energy`, then `g**2 * energy / (estimate**2).sum()`; where an"
    " energy is 0, the share is 0.",
)
def ex_11_1(answer: Any) -> None:
    """A share from 0 to 1: the squared cosine of the angle between the two signals."""

    def share(estimate, source):
        return float(attempt(answer, estimate, source))

    source = _noise(0, 2, 4000) * torch.tensor([[1.0], [0.2]])  # unequal channels
    other = _noise(1, 2, 4000)
    other = other - (other * source).sum() / source.square().sum() * source  # perpendicular
    need(
        abs(share(source, source) - 1) < 1e-3,
        "a source in place of the estimate explains all of it: the share is 1",
    )
    need(
        abs(share(-0.5 * source, source) - 1) < 1e-3,
        "-0.5 times the source is explained wholly, but you give"
        f" {share(-0.5 * source, source):.3g}; square the gain, divide by the estimate's energy",
    )
    need(
        abs(share(other, source)) < 1e-3, "a perpendicular signal explains nothing: the share is 0"
    )
    mixed = 0.5 * source + other
    energy = [float(x.square().sum()) for x in (0.5 * source, mixed)]
    wanted, found = energy[0] / energy[1], share(mixed, source)
    need(not math.isclose(found, math.sqrt(wanted), rel_tol=1e-3), "that is the cosine; square it")
    left, right = mixed * torch.tensor([[2.0], [1.0]]), source
    gain = float((left * right).sum() / right.square().sum())
    joint = gain**2 * float(right.square().sum() / left.square().sum())
    need(
        math.isclose(found, wanted, rel_tol=1e-3)
        and math.isclose(share(left, right), joint, rel_tol=1e-3),
        f"half the source plus something perpendicular: {wanted:.3f} of the energy is explained,"
        f" you give {found:.3f}; take one gain for both channels together",
    )
    silent = torch.zeros(2, 100)
    for pair, which in (
        ((silent, source[:, :100]), "estimate"),
        ((source[:, :100], silent), "source"),
    ):
        need(share(*pair) == 0, f"a silent {which} should give a share of 0, not {share(*pair)}")


@exercises.add(
    "`torch.fft.rfft` gives the spectrum, `torch.fft.rfftfreq(samples, 1 / sample_rate)` the"
    " frequencies of its bins.",
    "Add the squared magnitudes of the bins from low to high, over both channels, for the estimate"
    " and for the mixture.",
    "10 log10 of estimate over mixture: energies have a factor of 10.",
)
def ex_11_2(answer: Any) -> None:
    """The same number that `leakage.kept` gives, apart from its floor."""
    rate, samples = 8000, 4000
    mixture = _noise(2, 2, samples) * torch.tensor([[1.0], [0.1]])
    spectrum = torch.fft.rfft(mixture)
    frequency = torch.fft.rfftfreq(samples, 1 / rate)
    gain = torch.where(frequency < 1000, 0.1, 0.5) * torch.tensor([[-1.0], [2.0]])
    estimate = torch.fft.irfft(gain * spectrum, samples)

    def level(low, high, first=mixture, second=estimate):
        return float(attempt(answer, first, second, rate, low, high))

    low, wanted = level(0, 1000), kept(mixture, estimate, rate, 0, 1000)
    need(not math.isclose(low, -wanted, abs_tol=0.05), "the wrong way round: divide by the mixture")
    need(
        not math.isclose(low, 2 * wanted, abs_tol=0.05),
        "twice too many decibels: squared magnitudes are energies, so the factor is 10, not 20",
    )
    need(
        not math.isclose(low, kept(mixture, estimate, rate), abs_tol=0.05),
        "that is the whole spectrum; take the bins from low to high only",
    )
    mono = kept(mixture.mean(0, keepdim=True), estimate.mean(0, keepdim=True), rate, 0, 1000)
    need(
        not math.isclose(low, mono, abs_tol=0.05),
        "that is of the averaged channels, in which what has opposite signs cancels; add energies",
    )
    sides = [kept(mixture[c : c + 1], estimate[c : c + 1], rate, 0, 1000) for c in (0, 1)]
    need(
        not math.isclose(low, sum(sides) / 2, abs_tol=0.05),
        "that is the mean of two levels; add the energies of both channels before dividing",
    )
    need(
        math.isclose(low, wanted, abs_tol=0.05),
        f"from 0 to 1000 Hz, {wanted:.2f} dB of a test signal are kept, you give {low:.2f} dB",
    )
    high = kept(mixture, estimate, rate, 1000, 4000)
    need(
        math.isclose(level(1000, 4000), high, abs_tol=0.05),
        f"from 1000 to 4000 Hz it is {high:.2f} dB, you give {level(1000, 4000):.2f} dB",
    )
    silent = level(0, 1000, mixture, torch.zeros_like(mixture))
    need(silent < -60, f"nothing is kept of a silent estimate, but you give {silent} dB")


@exercises.add(
    "How many times as fast is the second machine? That is a ratio of seconds.",
    "Four times as many cores compute four times as fast, at best. Divide the one by the other.",
    "`speed_up = 1160.948 / 105.891`, and `speed_up / (8 / 2)`.",
)
def ex_11_3(answer: Any) -> None:
    """Eleven times as fast with four times the cores: the cores alone do not explain it. The second
    machine also has faster cores and eight times the memory.
    """
    speed_up, per_core = (float(value) for value in answer)
    ratio = 1160.948 / 105.891
    need(
        not math.isclose(speed_up, 1 / ratio, rel_tol=0.01),
        "that is how much slower; turn it round",
    )
    need(
        not math.isclose(speed_up, 1160.948 - 105.891, rel_tol=0.01),
        "those are seconds saved; divide the times instead",
    )
    need(
        not math.isclose(speed_up, 4, rel_tol=0.01),
        "that is the ratio of the cores; the times have another",
    )
    need(math.isclose(speed_up, ratio, rel_tol=0.01), f"{speed_up:g} is not 1160.948 s / 105.891 s")
    need(
        not math.isclose(per_core, ratio / 8, rel_tol=0.01),
        "the first machine has cores, too: it is 8 against 2",
    )
    need(
        not math.isclose(per_core, 4 / ratio, rel_tol=0.01),
        "turned round: gain in speed over gain in cores",
    )
    need(
        math.isclose(per_core, ratio / 4, rel_tol=0.01),
        f"second number: {per_core:g} is not the speed-up divided by the ratio of the cores",
    )


@exercises.add(
    "One number for every pair of frames, in each head, layer and example.",
    "An STFT with a hop of 1024 has 1 + samples // 1024 frames; a float32 has 4 bytes.",
    "`frames = 1 + int(seconds * 44100) // 1024`, then `4 * batch * heads * layers * frames**2`.",
)
def ex_11_4(answer: Any) -> None:
    """100 MB for 6 s and a batch of 16. Sixteen times as much for four times the length."""

    def count(*given):
        return float(attempt(answer, *given))

    frames = 1 + int(6.0 * 44100) // 1024
    wanted, found = 4 * 16 * 8 * 3 * frames**2, count(6.0, 16, 8, 3)
    need(not math.isclose(found, wanted / 4, rel_tol=0.01), "those are numbers; each has 4 bytes")
    need(not math.isclose(found, wanted * 2, rel_tol=0.01), "float32 has 4 bytes, not 8")
    need(
        not math.isclose(found, wanted / frames, rel_tol=0.01),
        "that grows with the frames; every frame attends to every other, so square them",
    )
    need(not math.isclose(found, wanted / 2, rel_tol=0.01), "a pair counts in both directions")
    need(found < 1e12, "those are samples squared; attention is among frames of 1024 samples")
    need(
        math.isclose(found, wanted, rel_tol=0.01),
        f"6 s, a batch of 16, 8 heads and 3 layers: {wanted / 1e6:.1f} MB, you give"
        f" {found / 1e6:.1f} MB",
    )
    for change, factor, what in (
        ((6.0, 1, 8, 3), 1 / 16, "batch"),
        ((6.0, 16, 4, 3), 1 / 2, "heads"),
        ((6.0, 16, 8, 1), 1 / 3, "layers"),
    ):
        need(
            math.isclose(count(*change), wanted * factor, rel_tol=0.01),
            f"it should grow in proportion to the {what}",
        )
    longer = count(24.0, 16, 8, 3) / wanted
    need(
        15 < longer < 17, f"four times as long should need about 16 times as much, not {longer:.1f}"
    )
