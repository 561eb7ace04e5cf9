"""Exercises of chapter 01: folded frequencies, the shape of an STFT, window lengths, the sum of
squared windows, decibels, a delay.
"""

import math
from typing import Any

import numpy as np
import torch

from ... import audio
from ...stft import make_window
from .. import tones
from ..exercises import Exercises, as_tensor, attempt, expect, judge_parts, need, number

exercises = Exercises("01")
check, hint = exercises.check, exercises.hint

_FOLDS = (
    (1000, 8000),
    (5000, 8000),
    (8000, 8000),
    (9000, 8000),
    (13000, 8000),
    (30000, 44100),
    (100.5, 7350),
)


def _hear_folded(answer):
    """5 kHz at 8000 samples a second, without a filter, beside a tone at the answer."""
    heard = number(attempt(answer, 5000, 8000))
    folded = audio.resample(tones.tone(5000, rate=8000)[None].float(), 8000, tones.RATE)
    sounds = {
        "5000 Hz, 8000 samples a second": folded,
        f"a tone of {heard:g} Hz, your answer": tones.tone(heard)[None],
    }
    return tones.row(sounds, "one pitch in both sounds.")


@exercises.add(
    "Start with the tones of the figure: 3 Hz and 5 Hz at 8 samples a second. Then ask what 9, 11"
    " and 13 Hz do.",
    "Adding a whole sample rate changes nothing: first take `frequency % rate`.",
    "What is left lies between 0 and `rate`. Above `rate / 2` it folds down to `rate - rest`.",
    hear=_hear_folded,
)
def ex_01_1(answer: Any) -> None:
    """Every frequency folds into the range from 0 to half the sample rate. Listen: both sounds
    below have one pitch.
    """
    for frequency, rate in _FOLDS:
        got = number(attempt(answer, frequency, rate))
        rest = frequency % rate
        right = min(rest, rate - rest)
        given = f"{frequency} Hz at {rate} samples a second"
        if math.isclose(got, right, abs_tol=1e-3):  # the arc cosine is that coarse near 0
            continue
        need(
            not math.isclose(got, frequency / rate, rel_tol=1e-6),
            f"{given} gives {got:g}: that is a share of the sample rate, and Hz were asked for",
        )
        need(got >= 0, f"{given} gives {got:g} Hz; a tone that is heard has a positive frequency")
        need(
            not math.isclose(got, min(frequency, rate / 2)),
            f"{given} does not stop at the limit, it turns back",
        )
        need(
            not math.isclose(got, (frequency - rate / 2) % (rate / 2)),
            f"{given} gives {got:g} Hz: above the limit a tone runs downwards from it, it does not"
            " begin at 0 again",
        )
        need(got <= rate / 2, f"{given} gives {got:g} Hz, above half the sample rate: it folds")
        need(False, f"{given} is heard at {right:g} Hz, not at {got:g}")


@exercises.add(
    "How many frequencies does one frame tell apart, from 0 Hz up to half the sample rate? And at"
    " which samples do the frames lie?",
    "Bins: of `n_fft` frequencies the upper half mirrors the lower one, and both ends of the lower"
    " one count. Frames are centred on the samples 0, hop, 2 hop, ... up to the end.",
    "`n_fft // 2 + 1` bins, `1 + length // hop` frames; the bins are `rate / n_fft` Hz apart, the"
    " frames `hop / rate` seconds.",
)
def ex_01_2(answer: Any) -> None:
    """Two channels, 1025 bins 21.5 Hz apart, 259 frames 11.6 ms apart."""

    def shape(value):
        need(
            not hasattr(value, "__len__") or len(value) == 3,
            "it has three numbers: channels, bins, frames",
        )
        judge_parts(value, {"channels": channels, "bins": bins, "frames": frames})

    def channels(value):
        expect(value, 2, {}, "the recording is stereo, so there are 2, not {got:g}", rel=0)

    def bins(value):
        slips = {
            2048: "2048 counts the negative frequencies too; for real audio they mirror the"
            " positive ones",
            1024: "1024 leaves one end out: both 0 Hz and half the sample rate have a bin",
        }
        expect(value, 1025, slips, "there are not {got:g}; count from 0 Hz to 22 050 Hz", rel=0)

    def frames(value):
        slips = {
            258: "258 hops fit, but the frame at sample 0 counts too",
            1 + (3 * 44100 - 2048) // 512: "the windows may reach beyond the ends; only their"
            " centres lie within the recording",
        }
        otherwise = "{got:g} is not it; one is centred on every 512th of 132 300 samples"
        expect(value, 259, slips, otherwise, rel=0)

    def bin_hz(value):
        slips = {22050 / 512: "the 1024 steps between the bins share 22 050 Hz, not 44 100 Hz"}
        expect(value, 44100 / 2048, slips, "neighbours are not {got:g} Hz apart", rel=0.04)

    def frame_ms(value):
        slips = {
            512 / 44100: "that is in seconds; milliseconds were asked for",
            2048 / 44.1: "that is the length of a window; windows overlap",
        }
        expect(value, 512 / 44.1, slips, "neighbours are not {got:g} ms apart", rel=0.04)

    judge_parts(answer, {"shape": shape, "bin spacing": bin_hz, "frame spacing": frame_ms})


def _power_of_two(value):
    got = number(value)
    need(got > 0 and math.log2(got) == int(math.log2(got)), f"{got:g} is not a power of two")
    return got


@exercises.add(
    "(a) How many Hz lie between the notes, and how many bins must fit in there? (b) How many"
    " samples are 30 ms?",
    "(a) The bins are `44100 / n_fft` Hz apart; four of them must fit between the notes. (b) The"
    " window must not be longer than 30 ms.",
    "(a) `n_fft >= 4 * 44100 / 13.47`, about 13 096. (b) `n_fft <= 0.030 * 44100 = 1323`.",
)
def ex_01_3(answer: Any) -> None:
    """16384 for the notes, 1024 for the strokes, and measured: no single window serves both."""

    def notes(value):
        got = _power_of_two(value)
        need(
            got != 4096,
            "one bin fits between the notes with 4096, but the Hann window's peak is four bins"
            " wide",
        )
        need(got != 1024, "a fine frequency needs a long window; is this your answer to (b)?")
        need(got >= 16384, f"measured with {got:g}: {_dip(int(got)) if got < 16384 else ''}")
        need(got == 16384, f"{got:g} tells them apart, but a shorter window does so too")

    def strokes(value):
        got = _power_of_two(value)
        need(got != 16384, "a fine time needs a short window; is this your answer to (a)?")
        need(
            got <= 1024,
            f"a window of {got:g} samples lasts {got / 44.1:.0f} ms: both strokes fall into it",
        )
        need(got == 1024, f"{got:g} is short enough, but a longer window still is")

    judge_parts(answer, {"(a)": notes, "(b)": strokes})


def _dip(n_fft):
    """How far the spectrum of both notes falls between them, in words."""
    notes = tones.tone(110, n_fft / 44100, 44100) + tones.tone(123.47, n_fft / 44100, 44100)
    levels = torch.fft.rfft(notes * make_window("hann", n_fft)).abs()
    low, high = (round(frequency * n_fft / 44100) for frequency in (110, 123.47))
    if high - low < 2:
        return "the peaks of the two notes share their bins"
    between = levels[low : high + 1].min() / torch.minimum(levels[low], levels[high])
    dip = -20 * math.log10(float(between))
    return f"between the two peaks the level falls by only {dip:.0f} dB: they run into each other"


def _disturbed_tone(hop):
    """A tone of 440 Hz through an STFT with this hop, with noise in every frame, and back."""
    size, generator = 2048, torch.Generator().manual_seed(4)
    window = torch.hann_window(size, dtype=torch.float64)
    sound = tones.tone(440)
    total, weight = torch.zeros_like(sound), torch.zeros_like(sound)
    for start in range(0, len(sound) - size + 1, hop):
        here = slice(start, start + size)
        noise = 0.03 * torch.randn(size, dtype=torch.float64, generator=generator)
        total[here] += window * (window * sound[here] + noise)
        weight[here] += window**2
    return (total / weight.clamp(min=1e-3))[size : len(sound) - 2 * size].clamp(-1, 1)


def _hear_disturbed(answer):
    """The same noise in the frames, with the three hops."""
    hops = {"N/4": 512, "N/2": 1024, "3N/4": 1536}
    sounds = {f"hop {name}": _disturbed_tone(hop) for name, hop in hops.items()}
    return tones.row(sounds, "where noise bursts out: many times a second, where the sum is small.")


@exercises.add(
    "Where is the sum greatest, where is it smallest? Draw two or three windows on paper, at their"
    " places; between two neighbours everything repeats.",
    "With 3N/4 only a quarter of the window overlaps the next one. The sum is smallest in the"
    " middle of that overlap, an eighth of the window from either end: what is the square of a"
    " Hann window there, and how many windows are there?",
    "A Hann window is `sin(pi n / N) ** 2`. N/4: the sum is 1.5 everywhere. N/2: at the quarters"
    " two windows of 1/2, squared. 3N/4: `2 * sin(pi / 8) ** 4` against 1.",
    hear=_hear_disturbed,
)
def ex_01_4(answer: Any) -> None:
    """1, 0.5 and 0.043. With three quarters of a window as hop, noise in the frames is up to
    23 times (14 dB) stronger in power at the joints than a flat sum would leave it: listen to the
    third sound.
    """
    turned = "the least over the greatest was asked for, which is at most 1"

    def quarter(value):
        slips = {
            1.5: "1.5 is the sum itself; least and greatest are both that",
            0: "a flat sum has no place where it is zero",
        }
        expect(value, 1, slips, "not {got:g}; look at the left panel of Figure 8", rel=0.02)

    def half(value):
        slips = {
            1: "the windows add up to a constant with this hop, but not their squares",
            2: turned,
            0: "where one window is at zero, its neighbour is at its top",
            50: "a ratio was asked for, not per cent",
            0.25: "there are two windows of 1/2 at that place: add both squares",
            2**-0.5: "that is its root; the squares of the windows are added, not more",
        }
        otherwise = "not {got:g}; in the middle between two tops both windows are 1/2"
        expect(value, 0.5, slips, otherwise, rel=0.02)

    def three_quarters(value):
        sine = math.sin(math.pi / 8)
        slips = {
            0: "the windows overlap by a quarter, so nowhere is the sum zero",
            sine**4: "that is one window's square; two overlap there",
            2 * sine**2: "the squares of the windows are added, not the windows",
            sine**2: "that is one window, neither squared nor added to its neighbour",
            1 / (2 * sine**4): turned,
            200 * sine**4: "a ratio was asked for, not per cent",
            0.25: "a quarter is how much of a window overlaps; what do the windows weigh there?",
        }
        otherwise = (
            "not {got:g}; the sum is smallest in the middle of the overlap, N/8 from the end of"
            " one window and from the beginning of the next"
        )
        expect(value, 2 * sine**4, slips, otherwise, rel=0.03)

    parts = {"hop N/4": quarter, "hop N/2": half, "hop 3N/4": three_quarters}
    judge_parts(answer, parts)


@exercises.add(
    "Decibels of an amplitude are 20 times the logarithm of a ratio. Turn that round.",
    "Undo `20 * log10(ratio) = 12` for the amplitude. Power is the square of amplitude.",
    "`10 ** (12 / 20)` for the amplitude, `10 ** (12 / 10)` for the power.",
)
def ex_01_5(answer: Any) -> None:
    """12 dB: amplitude almost exactly 4 times, power 16 times smaller."""

    def amplitude(value):
        got = number(value)
        need(not math.isclose(got, 15.85, rel_tol=0.02), "10 ** (12 / 10) is the ratio of powers")
        need(
            not math.isclose(got, 12, rel_tol=0.02),
            "decibels are logarithms, not ratios: 12 dB is not 12 times",
        )
        need(got > 1, "the question is how many times smaller, so the number is above 1")
        need(
            math.isclose(got, 3.98, rel_tol=0.02),
            f"20 log10({got:g}) is {20 * math.log10(got):.1f} dB, not 12",
        )

    def power(value):
        got = number(value)
        need(
            not math.isclose(got, 3.98, rel_tol=0.02), "that is the ratio of amplitudes; square it"
        )
        need(not math.isclose(got, 144, rel_tol=0.02), "the ratio is squared, not the decibels")
        need(got > 1, "how many times smaller? That number is above 1")
        need(
            math.isclose(got, 15.85, rel_tol=0.02),
            f"10 log10({got:g}) is {10 * math.log10(got):.1f} dB, not 12",
        )

    judge_parts(answer, {"amplitude": amplitude, "power": power})


def _factor(answer, delay, n_fft):
    """The answer's numbers for all bins of a frame (bins,)."""
    k = np.arange(n_fft // 2 + 1)
    return as_tensor(attempt(answer, k, delay, n_fft), k.shape).to(torch.complex128)


def _hear_delayed(answer):
    """A drum, and the same with itself a quarter of a second later, by the answer's numbers."""
    drum = tones.drum()
    turned = torch.fft.rfft(drum) * _factor(answer, tones.RATE // 4, len(drum))
    later = torch.fft.irfft(turned, len(drum))
    sounds = {"a drum": drum, "and with its echo, by your numbers": drum + 0.6 * later}
    return tones.row(sounds, "a softer stroke, a quarter of a second after every stroke.")


@exercises.add(
    "How many times does the wave of bin k swing in N samples? And in `delay` samples? Each whole"
    " swing turns the phase once around.",
    "It swings k times in N samples, so k times delay / N times in `delay` samples. What comes"
    " later lags behind: the angle is negative. A number of magnitude 1 and a given angle is e to"
    " the i times that angle.",
    "The angle is `-2 * np.pi * k * delay / n_fft`, the number is `np.exp(1j * angle)`.",
    hear=_hear_delayed,
)
def ex_01_6(answer: Any) -> None:
    """Every magnitude stays, every phase turns, and the more the higher the bin. So whoever looks
    at magnitudes alone cannot tell a frame from its delayed copy; the ear has the frames before and
    after it.
    """
    for delay, n_fft in ((3, 16), (5, 64), (20, 50)):
        given = _factor(answer, delay, n_fft)
        k = torch.arange(n_fft // 2 + 1, dtype=torch.float64)
        share = k * delay / n_fft
        noise = torch.randn(
            n_fft, dtype=torch.float64, generator=torch.Generator().manual_seed(n_fft)
        )
        right = torch.fft.rfft(noise.roll(delay)) / torch.fft.rfft(noise)

        def is_(other, given=given):
            return torch.allclose(given, other.to(given.dtype), atol=1e-6)

        def turn(swings):
            return torch.polar(torch.ones_like(swings), 2 * torch.pi * swings)

        slips = {
            "the sign is turned: this makes everything come earlier": turn(share),
            "that is the angle; the number that turns by it is e to the i times the angle": (
                -2 * torch.pi * share
            ),
            "that is how often the wave swings meanwhile; each swing turns by 2 pi": share,
            "all bins turn by one angle: in the same time the wave of a higher bin swings more"
            " often": turn(torch.full_like(k, -delay / n_fft)),
            "one whole swing is an angle of 2 pi, not of pi": turn(-share / 2),
            "the angle is counted in swings: one swing is 2 pi": turn(-share / (2 * torch.pi)),
            "without the i nothing turns: it makes high bins softer": torch.exp(
                -2 * torch.pi * share
            ),
            "whole numbers of swings turn nothing: divide by `n_fft`": torch.ones_like(k),
            "a real number changes the size and cannot turn: the sine is missing": turn(share).real,
            "`delay` and `n_fft` have changed places": turn(-k * n_fft / delay),
            "an angle in degrees was handed to a function that takes radians": turn(
                -360 * share / (2 * torch.pi)
            ),
        }
        for because, slip in slips.items():
            need(is_(right) or not is_(slip), because)
        sizes = given.abs()
        need(
            is_(right) or torch.allclose(sizes, torch.ones_like(sizes), atol=1e-6),
            "its magnitude is not 1 in every bin: a delay makes nothing louder or softer",
        )
        need(
            is_(right),
            f"in bin 1 of {n_fft}, a delay of {delay} turns the phase by"
            f" {float(right[1].angle()):+.3f}, not by {float(given[1].angle()):+.3f}",
        )
