"""Exercises of chapter 09: encoder rates, upsampling, context, dilations, overlap, losses."""

import math
from typing import Any

import torch

from ...models import build
from ...stft import STFT
from .. import tones
from ..exercises import Exercises, as_tensor, attempt, expect, judge_parts, need, number
from ..words import counted

exercises = Exercises("09")
check, hint = exercises.check, exercises.hint

_M6_LOST, _M6_RATE = 65_527, 22_050  # samples at each end of the paper's chunk
_HANN_ENERGY = 384.0  # sum of w ** 2 for a Hann window of 1024: 3 / 8 of it


@exercises.add(
    "In one second of mono audio there are 44 100 numbers. How many frames, and how many real"
    " numbers in each?",
    "STFT: a frame every 1024 samples, with 2049 complex numbers, and a complex number is two real"
    " ones. Encoder: a frame every half filter, with one number for each filter.",
    "`2 * 2049 / 1024` and `256 / 10`",
)
def ex_09_1(answer: Any) -> None:
    """About 4 and 25.6. Numbers alone tell nothing about information, but they say what a network
    has to carry.
    """

    def stft(value):
        slips = {
            2049 / 1024: "a bin is a complex number, that is two real ones",
            2 * 2049 / 4096: "windows overlap, a frame begins every 1024 samples",
            2 * 2049: "that is for a frame; divide by the samples between frames",
            2 * 4096 / 1024: "of real audio only 2049 bins are kept, the others mirror them",
        }
        otherwise = "{got:g} is not it; 2049 complex numbers come out for every 1024 samples"
        expect(value, 2 * 2049 / 1024, slips, otherwise)

    def encoder(value):
        slips = {
            256 / 20: "the filters overlap by half, a frame begins every 10 samples",
            512 / 10: "its outputs are real numbers, one for each filter",
            256: "that is for a frame; divide by the samples between frames",
        }
        otherwise = "{got:g} is not it; 256 real numbers come out for every 10 samples"
        expect(value, 25.6, slips, otherwise)

    judge_parts(answer, {"STFT": stft, "encoder": encoder})


def _hear_image(answer):
    """A tone of 1500 Hz and its image at 4 kHz, at the answer's level."""
    level = number(attempt(answer, 1500.0, 11025.0))
    tone, image = tones.tone(1500), tones.tone(11025 / 2 - 1500)
    sounds = {
        "a tone of 1500 Hz": tone,
        f"with an image at {level:.1f} dB, your answer": tone + 10 ** (level / 20) * image,
    }
    return tones.row(sounds, "a second, higher tone; the fainter, the better the doubling.")


@exercises.add(
    "Doubling puts zeros between the samples and then convolves with [1/2, 1, 1/2]. The zeros make"
    " the image, as strong as the tone; the convolution decides what is left of each.",
    "At the angle `w = 2 * pi * frequency / new_rate`, the kernel [1/2, 1, 1/2] has the response 1"
    " + cos(w). The image lies at pi - w.",
    "`20 * log10((1 - cos(w)) / (1 + cos(w)))`",
    hear=_hear_image,
)
def ex_09_2(answer: Any) -> None:
    """The ratio is tan²(w / 2): low tones leave faint images, tones near the old Nyquist frequency
    leave images as strong as themselves.
    """
    cases = ((440.0, 11025.0), (1500.0, 11025.0), (4000.0, 44100.0))
    given = [number(attempt(answer, *case)) for case in cases]

    def says(formula):
        return all(
            math.isclose(value, formula(*case), abs_tol=0.05) for value, case in zip(given, cases)
        )

    def level(frequency, rate, factor=20.0):
        return factor * math.log10(math.tan(math.pi * frequency / rate) ** 2)

    need(
        not says(lambda f, rate: level(f, rate, 10.0)),
        "that is half of it: responses are amplitudes, so dB are 20 log10",
    )
    need(
        not says(lambda f, rate: -level(f, rate)),
        "that is the tone against the image; the image against the tone is asked for",
    )
    need(
        not says(lambda f, rate: level(f, 2 * rate)),
        "the angle is 2 pi f / new_rate: one turn is the whole new rate, not twice of it",
    )
    need(
        not says(lambda f, rate: level(f, 0.5 * rate)),
        "that is the angle at the old rate; the kernel is applied at the new one",
    )
    need(
        not says(lambda f, rate: 20 * math.log10((1 - math.cos(2 * math.pi * f / rate)) / 2)),
        "that is the image alone; the tone is changed by the kernel too, by 1 + cos(w)",
    )
    need(
        not says(lambda f, rate: 10 ** (level(f, rate) / 20)),
        "that is a ratio of amplitudes; dB were asked for",
    )
    need(
        not says(lambda f, rate: level(f, rate * 180 / math.pi))
        and not says(lambda f, rate: level(f, rate * math.pi / 180)),
        "`np.cos` takes radians, not degrees: a turn is 2 pi",
    )
    for (f, r), value in zip(cases, given):
        need(
            abs(value - level(f, r)) < 0.05,
            f"a tone of {f:g} Hz at a new rate of {r:g} Hz leaves an image of {level(f, r):.1f} dB;"
            f" you give {value:.1f}",
        )


def _context(levels, down, up):
    """Samples that an unpadded Wave-U-Net loses at each end."""
    return (down // 2 + up // 2) * (2**levels - 1) + down // 2 * 2**levels


@exercises.add(
    "How many samples does one convolution lose at one end, counted at the rate of its own level?"
    " And how many samples of the input is one sample of that level?",
    "A convolution of 15 taps loses 7 of its own samples at each end. After two decimations each of"
    " these is worth 4 samples of the input. Add up both ways, and the bottom.",
    "In a loop over the levels: `lost += (down_taps // 2 + up_taps // 2) * worth`, then"
    " `worth *= 2`; after it `down_taps // 2 * worth` for the bottom.",
)
def ex_09_3(answer: Any) -> None:
    """65 527 samples for the paper's network, as `fitting` says; each level more doubles the
    context, and with it the least that a chunk can cost.
    """
    cases = ((12, 15, 5), (1, 15, 5), (5, 15, 5), (3, 9, 3), (4, 3, 7))
    given = [number(attempt(answer, *case)) for case in cases]

    def says(formula):
        return all(
            math.isclose(value, formula(*case), abs_tol=0.5) for value, case in zip(given, cases)
        )

    need(
        not says(lambda *case: 2 * _context(*case)),
        "that is both ends together; each end was asked for",
    )
    need(
        not says(lambda *case: _context(*case) / _M6_RATE),
        "that is seconds; samples were asked for",
    )
    need(
        not says(lambda n, down, up: _context(n, down + 1, up + 1)),
        "a tap too many: of 15 taps one lies on the sample itself, and 7 on each side",
    )
    need(
        not says(lambda n, down, up: (down // 2 + up // 2) * (2**n - 1)),
        "the convolution at the bottom is missing, where a sample is worth most",
    )
    need(
        not says(lambda n, down, up: down // 2 * (2 ** (n + 1) - 1)),
        "that is the way down and the bottom; the convolutions on the way up lose samples as well",
    )
    need(
        not says(lambda n, down, up: (n + 1) * (down // 2) + n * (up // 2)),
        "samples of all levels were added as if they were alike; a sample after k decimations is"
        " worth 2**k samples of the input",
    )
    need(
        not says(lambda n, down, up: 2 * _context(n, down, up) - down // 2 * 2**n),
        "the first level works at the rate of the input: its samples are worth 1, not 2",
    )
    need(
        not says(lambda *case: _M6_LOST),
        "that is the paper's network for every size; levels and taps must count",
    )
    for (levels, down, up), value in zip(cases, given):
        built = _lost(levels, down, up)
        need(
            abs(value - built) < 0.5,
            f"a network with {counted(levels, 'level')} and taps {down} and {up} loses {built:g}"
            f" samples at each end; you give {value:g}",
        )


def _lost(levels, down, up):
    """The same, of a network that is built."""
    net = build("wave-u-net", levels=levels, kernel=down, merge_kernel=up, filters=1)
    out, given = net.fitting(1)
    return (given - out) / 2


@exercises.add(
    "How far to each side does a convolution with 3 taps reach, if its taps are d frames apart?",
    "One stack adds 2 * (1 + 2 + 4 + ... + 512) frames. There are 4 stacks; and one frame is there"
    " to begin with.",
    "`(1 + 4 * 2 * (2**10 - 1)) * 10 / 44100`",
)
def ex_09_4(answer: Any) -> None:
    """8185 frames, 1.86 s, from 40 convolutions with 3 taps each; without dilations it would be 81
    frames.
    """
    seconds, frame = number(answer), 10 / 44100
    frames = 1 + 4 * 2 * 1023
    need(
        not _near(seconds, frames),
        "that is frames; a frame begins every 10 samples, and seconds were asked for",
    )
    need(
        not _near(seconds, frames * 2 * frame),
        "a frame begins every half filter: 10 samples, not 20",
    )
    need(
        not _near(seconds, (1 + 2 * 1023) * frame),
        "that is one stack; there are four, one after the other",
    )
    need(
        not _near(seconds, (1 + 4 * 1023) * frame),
        "that is one side only: with 3 taps, each convolution looks back and ahead",
    )
    need(
        not _near(seconds, (1 + 4 * 10 * 2) * frame),
        "that is without dilations: in block i the taps are 2**i frames apart",
    )
    need(
        not _near(seconds, (1 + 2 * 1023) ** 4 * frame),
        "reaches of convolutions that follow one another add up, they do not multiply",
    )
    need(
        _near(seconds, frames * frame),
        f"{seconds:g} s is not it; each block adds twice its dilation to the frames that are"
        " reached",
    )


@exercises.add(
    "Two tensors of zeros: one collects the pieces times their weights, the other the weights."
    " Divide at the end.",
    "`rise = torch.arange(1, n + 1)` and `weight = torch.minimum(rise, rise.flip(0))`",
    "In a loop over `zip(pieces, starts)`: `total[start : start + n] += weight * piece` and"
    " `weights[start : start + n] += weight`",
)
def ex_09_5(answer: Any) -> None:
    """What all pieces agree on comes back unchanged, and where they disagree one fades into the
    other.
    """
    signal = torch.sin(torch.arange(26.0))
    pieces, starts = [signal[first : first + 10] for first in (0, 7, 14, 16)], [0, 7, 14, 16]
    same = as_tensor(attempt(answer, pieces, list(starts), 26), (26,)).float()
    need(not same.is_complex(), "the whole is real, as the pieces are")
    need(
        torch.isfinite(same).all(),
        "there are samples that are not a number: a triangle that begins with 0 leaves the first"
        " sample without weight",
    )
    need(
        not torch.allclose(same[:7], 0 * same[:7]),
        "the beginning is silent: the first piece begins at sample 0",
    )
    need(
        torch.allclose(same, signal, atol=1e-5),
        "pieces cut from one signal do not give that signal back; divide by the sum of the weights",
    )
    rise = torch.arange(1.0, 11.0)
    weight = torch.minimum(rise, rise.flip(0))
    fade = as_tensor(attempt(answer, [torch.zeros(10), torch.ones(10)], [0, 7], 17), (17,)).float()
    expected = weight[:3] / (weight[:3] + weight[7:])
    mean = torch.allclose(fade[7:10], torch.full((3,), 0.5))
    need(
        not torch.allclose(fade[7:10], torch.ones(3)),
        "a later piece is written over an earlier one; both should be heard in the overlap",
    )
    need(
        not torch.allclose(fade[7:10], torch.zeros(3)),
        "an earlier piece is kept, and the later one left out of the overlap",
    )
    need(
        not torch.allclose(fade[7:10], weight[:3].square() / (weight[:3] ** 2 + weight[7:] ** 2)),
        "those are the squares of the triangle",
    )
    need(
        not mean,
        "that is the plain mean of pieces: a jump at both ends of the overlap; weight by triangles",
    )
    need(
        torch.allclose(fade[7:10], expected, atol=0.02),
        "where a piece of 0 ends and a piece of 1 begins, your estimate is"
        f" {', '.join(f'{v:.2f}' for v in fade[7:10])}; triangles 1, 2, ..., 2, 1 give"
        f" {', '.join(f'{v:.2f}' for v in expected)}",
    )


@exercises.add(
    "What does Parseval's theorem say of one frame, and which samples does a frame hold: the"
    " error's own, or the windowed ones?",
    "Over all n_fft bins, the sum of |X|² is n_fft times the sum of (w x)², so their mean is the"
    " sum of (w x)². And x is not tied to the place of the window.",
    "`float((make_window('hann', 1024) ** 2).sum())`",
)
def ex_09_6(answer: Any) -> None:
    """384, 3/8 of the window; measured on a second of noise, within 1 %. A window four times as
    long has four times that: the number hangs on a setting that nobody hears.
    """
    factor = number(answer)
    need(
        not _near(factor, 4 * _HANN_ENERGY),
        "that is the window of 4096 samples of Table 5; this one has 1024",
    )
    need(
        not _near(factor, 1024), "that would be a window of ones; the Hann window lets less through"
    )
    need(not _near(factor, 512), "that is the sum of w; energies need the sum of w²")
    need(
        not _near(factor, math.sqrt(_HANN_ENERGY)),
        "that is the ratio of amplitudes; squared errors have its square",
    )
    need(not _near(factor, 0.375), "that is the mean of w² over the window; the sum is asked for")
    need(
        not _near(factor, 1.5),
        "that is the sum of w² over overlapping windows; here each frame counts by itself",
    )
    need(
        not _near(factor, 1024 * _HANN_ENERGY),
        "that is the *sum* over all bins of a frame; the mean was asked for",
    )
    noise = torch.randn(1, 44100, generator=torch.Generator().manual_seed(0))
    measured = float(STFT(1024, 256)(noise).abs().square().mean() / noise.square().mean())
    assert _near(measured, _HANN_ENERGY)
    need(
        _near(factor, _HANN_ENERGY),
        f"measured on a second of noise it is not {factor:g}: sum the squares of the window's 1024"
        " values",
    )


def _near(value, wanted):
    return abs(value - wanted) <= 0.01 * abs(wanted)
