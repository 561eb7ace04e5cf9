"""Exercises of chapter 01: folded frequencies, the shape of an STFT, window lengths, decibels."""

import math
from typing import Any

from ..exercises import Exercises, attempt, need

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


@exercises.add(
    "Start with the tones of the figure: 3 Hz and 5 Hz at 8 samples a second. Then ask what 9, 11"
    " and 13 Hz do.",
    "Adding a whole sample rate changes nothing: first take `frequency % rate`.",
    "What is left lies between 0 and `rate`. Above `rate / 2` it folds down to `rate - rest`.",
)
def ex_01_1(answer: Any) -> None:
    """Every frequency folds into the range from 0 to half the sample rate."""
    for frequency, rate in _FOLDS:
        got = float(attempt(answer, frequency, rate))
        rest = frequency % rate
        right = min(rest, rate - rest)
        if math.isclose(got, right, abs_tol=1e-3):  # the arc cosine is that coarse near 0
            continue
        need(
            got >= 0,
            f"{frequency} Hz at {rate} samples a second gives {got:g} Hz; a tone that is heard has"
            " a positive frequency",
        )
        need(
            got <= rate / 2,
            f"{frequency} Hz at {rate} samples a second gives {got:g} Hz, above half the sample"
            " rate: it folds further",
        )
        need(
            not math.isclose(got, min(frequency, rate / 2)),
            f"{frequency} Hz at {rate} samples a second does not stop at the limit, it turns back",
        )
        need(
            False,
            f"{frequency} Hz at {rate} samples a second is heard at {right:g} Hz, not at {got:g}",
        )


@exercises.add(
    "Bins: a real signal of `n_fft` samples has `n_fft // 2 + 1` frequencies, both ends included.",
    "Frames are centred on the samples 0, hop, 2 hop, ... up to the end: `1 + length // hop`.",
    "The bins are `rate / n_fft` Hz apart, the frames `hop / rate` seconds.",
)
def ex_01_2(answer: Any) -> None:
    """Two channels, 1025 bins 21.5 Hz apart, 259 frames 11.6 ms apart."""
    shape, bin_hz, frame_ms = answer
    need(len(shape) == 3, "the shape has three numbers: channels, bins, frames")
    channels, bins, frames = shape
    need(channels == 2, f"the recording is stereo, so there are 2 channels, not {channels}")
    need(
        bins != 2048,
        "2048 counts the negative frequencies too; for real audio they mirror the positive ones",
    )
    need(bins != 1024, "1024 leaves one end out: both 0 Hz and half the sample rate have a bin")
    need(bins == 1025, f"the bins are n_fft // 2 + 1, not {bins}")
    need(frames != 258, "258 hops fit, but the frame at sample 0 counts too")
    need(
        frames == 259,
        f"{frames} frames: with frames centred on every 512th sample there are 1 + 132300 // 512",
    )
    need(
        not math.isclose(bin_hz, 44100 / 1025, rel_tol=0.01),
        "bin spacing: the bins share 22050 Hz, not 44100 Hz",
    )
    need(
        math.isclose(bin_hz, 44100 / 2048, rel_tol=0.04),
        f"neighbouring bins are not {bin_hz:g} Hz apart; it is rate / n_fft",
    )
    need(
        not math.isclose(frame_ms, 512 / 44100, rel_tol=0.01),
        "frame spacing: that is in seconds; milliseconds were asked for",
    )
    need(
        not math.isclose(frame_ms, 2048 / 44.1, rel_tol=0.01),
        "frame spacing: that is the length of a window; windows overlap",
    )
    need(
        math.isclose(frame_ms, 512 / 44.1, rel_tol=0.04),
        f"neighbouring frames are not {frame_ms:g} ms apart; it is hop / rate",
    )


@exercises.add(
    "(a) How many Hz lie between the notes? Four bins must fit in there: `4 * rate / n_fft <="
    " distance`.",
    "(b) How many samples are 30 ms? The window must not be longer.",
    "(a) `n_fft >= 4 * 44100 / 13.47`, about 13 096. (b) `n_fft <= 0.030 * 44100 = 1323`.",
)
def ex_01_3(answer: Any) -> None:
    """16384 for the notes, 1024 for the strokes: no single window serves both."""
    notes, strokes = answer
    for part, value in (("a", notes), ("b", strokes)):
        need(
            value > 0 and math.log2(value) == int(math.log2(value)),
            f"({part}) {value} is not a power of two",
        )
    need(
        not (notes == 1024 and strokes == 16384),
        "the two are exchanged: fine frequency needs a long window",
    )
    need(
        notes != 4096,
        "(a) one bin fits between the notes with 4096, but the Hann window's peak is four bins"
        " wide",
    )
    need(notes >= 16384, f"(a) with {notes} the peaks of the two notes still run into each other")
    need(notes == 16384, f"(a) {notes} tells them apart, but a shorter window does so too")
    need(
        strokes <= 1024,
        f"(b) a window of {strokes} samples lasts {strokes / 44.1:.0f} ms: both strokes fall"
        " into it",
    )
    need(strokes == 1024, f"(b) {strokes} is short enough, but a longer window still is")


@exercises.add(
    "Undo `20 * log10(ratio) = 12` for the amplitude.",
    "`10 ** (12 / 20)` for the amplitude. Power is the square of amplitude.",
)
def ex_01_4(answer: Any) -> None:
    """12 dB: amplitude almost exactly 4 times, power 16 times smaller."""
    amplitude, power = (float(part) for part in answer)
    need(
        not (
            math.isclose(amplitude, 15.85, rel_tol=0.02) and math.isclose(power, 3.98, rel_tol=0.02)
        ),
        "the two are exchanged: power is the square of amplitude",
    )
    need(
        amplitude > 1 and power > 1,
        "the question is how many times smaller, so both numbers are above 1",
    )
    need(
        not math.isclose(amplitude, 15.85, rel_tol=0.02),
        "amplitude: 10 ** (12 / 10) is the ratio of powers",
    )
    need(
        not math.isclose(amplitude, 12, rel_tol=0.02),
        "decibels are logarithms, not ratios: 12 dB is not 12 times",
    )
    need(
        math.isclose(amplitude, 3.98, rel_tol=0.02),
        f"amplitude: 20 log10({amplitude:g}) is {20 * math.log10(amplitude):.1f} dB, not 12",
    )
    need(
        math.isclose(power, 15.85, rel_tol=0.02),
        f"power: 10 log10({power:g}) is {10 * math.log10(power):.1f} dB, not 12",
    )
