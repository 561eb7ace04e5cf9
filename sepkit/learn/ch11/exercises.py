"""Exercises of chapter 11: an explained part, a kept band, gains of songs, attention's memory."""

from __future__ import annotations

import math
from typing import Any

import torch

from .. import tones
from ..exercises import Exercises, as_tensor, attempt, expect, judge_parts, need, number
from .leakage import kept

exercises = Exercises("11")
check, hint = exercises.check, exercises.hint


def _noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _hear_part(answer):
    """A drum track with a singer in it, the answer's part, and what is left without it."""
    voice, drum = tones.voice()[None], tones.drum()[None]
    estimate = drum - 0.4 * voice
    part = as_tensor(attempt(answer, estimate.float(), voice.float()), voice.shape)
    sounds = {
        "estimate: drums, and a leak of the voice": estimate,
        "the part that you found": part,
        "the estimate without it": estimate - part,
    }
    return tones.row(sounds, "the singer, who is gone when the part is.")


@exercises.add(
    "One number times the source comes as near to the estimate as possible. What is true of the"
    " rest?",
    "The rest is perpendicular to the source: g = <estimate, source> / <source, source>, one number"
    " for all channels and samples.",
    "`g = (estimate * source).sum() / (source**2).sum()`, then `g * source`; zeros where the source"
    " is silent.",
    hear=_hear_part,
)
def ex_11_1(answer: Any) -> None:
    """Its share of the estimate's energy is the squared cosine of the angle between the two; below
    you hear the leak go.
    """
    source = _noise(0, 2, 4000).double() * torch.tensor([[1.0], [0.2]])  # unequal channels
    source[:, 3000:] = 0
    other = _noise(1, 2, 4000).double()
    estimate = -0.5 * source * torch.tensor([[1.0], [3.0]]) + other
    inner, energy = (estimate * source).sum(), source.square().sum()
    got = as_tensor(attempt(answer, estimate.float(), source.float()))
    g, size = inner / energy, estimate.square().sum()
    need(
        got.numel() > 1 or not math.isclose(float(got.real), float(g), rel_tol=1e-3),
        "that is the gain; the part, gain times source, was asked for",
    )
    need(
        got.numel() > 1 or not math.isclose(float(got.real), float(g * inner / size), rel_tol=1e-3),
        "that is the share of the energy; the part itself was asked for",
    )
    got = as_tensor(got, source.shape)

    def is_(other):
        return torch.allclose(got, other.to(got.dtype), atol=1e-4)

    need(not is_(estimate - g * source), "that is what is left; the explained part was asked for")
    need(not is_(estimate), "that is the estimate; how much of it is the source?")
    need(not is_(source), "that is the source at its own level; bring it to that of the leak")
    need(not is_(g.abs() * source), "the gain is negative here: the leak is turned over")
    need(
        not is_(inner / size * source),
        "the gain is divided by the energy of the *source*, which it multiplies",
    )
    need(
        not is_(inner / size * estimate),
        "that is a part of the estimate's shape; the part is a multiple of the source",
    )
    need(not is_(inner * source), "the inner product must be divided by the source's energy")
    by_channel = (estimate * source).sum(1, keepdim=True) / source.square().sum(1, keepdim=True)
    need(not is_(by_channel * source), "a gain for each channel; one for both was asked for")
    need(
        not is_(estimate.norm() / source.norm() * source),
        "that is as loud as the whole estimate; only a part of it is the source",
    )
    need(
        is_(g * source),
        "what is left without it still resembles the source: another gain explains more",
    )
    silent = as_tensor(attempt(answer, estimate.float(), 0 * source.float()))
    need(
        bool((silent == 0).all()),
        "right, but a silent source explains nothing: return silence there, and do not divide by 0",
        credit=0.5,
    )


@exercises.add(
    "Which bins of a spectrum lie in the band, and how is their energy computed?",
    "`torch.fft.rfft` gives the spectrum, `torch.fft.rfftfreq(samples, 1 / sample_rate)` the"
    " frequencies of its bins. Add the squared magnitudes of the bins from low to high, over both"
    " channels, for the estimate and for the mixture.",
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
        return number(attempt(answer, first, second, rate, low, high))

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
    left = sides[0]
    need(not math.isclose(low, left, abs_tol=0.05), "that is the left channel alone; take both")
    need(
        not math.isclose(low, 10 ** (wanted / 10), rel_tol=1e-3),
        "that is a ratio of energies; decibels were asked for",
    )
    wider = kept(mixture, estimate, rate, 0, 2000)
    need(
        not math.isclose(low, wider, abs_tol=0.05),
        "the band's limits are off by a factor of two: the last bin lies at half the sample rate",
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
    silent = number(
        attempt(answer, mixture, torch.zeros_like(mixture), rate, 0, 1000), finite=False
    )
    need(silent < -60, f"nothing is kept of a silent estimate, but you give {silent:g} dB")


#: SDR of the six songs of exercise 3 in dB: in pieces, and whole.
PIECES = (3.1, 7.9, 5.2, 1.4, 9.6, 4.0)
WHOLE = (3.5, 8.1, 5.7, 1.6, 10.1, 4.2)


@exercises.add(
    "Each song has a gain of its own. How much do the six *gains* differ among themselves, and how"
    " much do the *songs*?",
    "Within songs: the mean of the gains over their standard error, which is their standard"
    " deviation divided by the root of their number. Between: the variances of both groups add up.",
    "With `gains = whole_songs - pieces`: `gains.std(ddof=1) / 6**0.5` is the first standard error,"
    " `np.sqrt((pieces.var(ddof=1) + whole_songs.var(ddof=1)) / 6)` the second. Six songs that all"
    " gain have p = 2 / 2**6.",
)
def ex_11_3(answer: Any) -> None:
    """The same twelve scores: five standard errors song by song, a fifth of one between songs."""
    pieces, whole = torch.tensor([PIECES, WHOLE], dtype=torch.float64)
    gains, root = whole - pieces, math.sqrt(len(PIECES))
    effect, own = float(gains.mean()), float(gains.std())
    groups = [float(values.std()) for values in (pieces, whole)]
    apart = math.hypot(*groups) / root

    def gain(value):
        slips = {
            -effect: "the other way round: whole less pieces",
            float(gains.sum()): "that is the sum of the gains; the mean was asked for",
            float(gains.median()): "a median of the gains; their mean was asked for",
            0.3: "the median of the gains; their mean was asked for",
            float(whole.mean()): "that is the mean of the whole songs; how much more is it?",
        }
        expect(value, effect, slips, "{got:g} dB is not the mean of the six gains")

    def within(value):
        slips = {
            effect / apart: "that is between songs; within them each song has one gain",
            effect / own: "divided by the deviation of the gains; their *mean* deviates less",
            effect / (own * math.sqrt(5 / 6) / root): "take the sample's deviation, with n - 1",
            own / root: "that is the standard error; how many of them is the gain?",
            own / root / effect: "turned round: the gain over its standard error",
        }
        expect(value, effect / (own / root), slips, "{got:g} is not the gain over its own error")

    def between(value):
        slips = {
            effect / (own / root): "that is within songs; here no score has a partner",
            effect
            / (apart * root): "divided by deviations; those of *means* are smaller by a root",
            effect / (groups[0] / root): "that is the error of one mean; both deviate",
            effect / (apart * math.sqrt(5 / 6)): "take the sample's variances, with n - 1",
            effect / (sum(groups) / root): "standard errors were added; add their squares",
            apart: "that is the standard error; how many of them is the gain?",
        }
        expect(value, effect / apart, slips, "{got:g} is not the gain over the error of two means")

    def decision(value):
        need(isinstance(value, str), "choose from holds, fails, undecided; in quotation marks")
        word = value.strip().lower()
        need(
            word in ("holds", "fails", "undecided"),
            f"{word!r}: choose from holds, fails, undecided",
        )
        need(word != "fails", "all six songs gain: nothing speaks for the other side")
        need(word == "holds", "six songs that all gain have p = 2/2^6 = 0.03: that is enough")

    judge_parts(answer, {"gain": gain, "within": within, "between": between, "verdict": decision})


@exercises.add(
    "One number for every pair of frames, in each head, layer and example.",
    "An STFT with a hop of 1024 has 1 + samples // 1024 frames; a float32 has 4 bytes.",
    "`frames = 1 + int(seconds * 44100) // 1024`, then `4 * batch * heads * layers * frames**2`.",
)
def ex_11_4(answer: Any) -> None:
    """100 MB for 6 s and a batch of 16, and a real matrix of 2 s has just these bytes. Sixteen
    times as much for four times the length.
    """

    def count(*given):
        return number(attempt(answer, *given))

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
    frames = 1 + int(2.0 * 44100) // 1024
    keys = torch.zeros(1, 2, frames, 4)
    matrix = torch.softmax(keys @ keys.mT, -1)
    measured = matrix.element_size() * matrix.numel()
    need(
        math.isclose(count(2.0, 1, 2, 1), measured, rel_tol=0.01),
        f"a matrix of 2 s in two heads has {measured} bytes, measured; you give"
        f" {count(2.0, 1, 2, 1):g}",
    )
    longer = count(24.0, 16, 8, 3) / wanted
    need(
        15 < longer < 17, f"four times as long should need about 16 times as much, not {longer:.1f}"
    )
