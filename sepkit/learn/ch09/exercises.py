"""Exercises of chapter 09: encoder rates, upsampling, context, dilations, overlap, losses."""

import math
from typing import Any

import torch

from ...stft import STFT
from .. import tones
from ..exercises import Exercises, as_tensor, attempt, expect, judge_parts, need, number

exercises = Exercises("09")
check, hint = exercises.check, exercises.hint

_M6_IN, _M6_OUT, _M6_RATE = 147_443, 16_389, 22_050
_HANN_ENERGY = 1536.0  # sum of w ** 2 for a Hann window of 4096: 3 / 8 of it


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
        not says(lambda f, rate: level(f, rate * 180 / math.pi)),
        "`np.cos` takes radians, not degrees",
    )
    need(
        says(level),
        "a tone of 440 Hz at a new rate of 11025 Hz leaves an image of -36.0 dB; you give"
        f" {given[0]:.1f}",
    )


@exercises.add(
    "Both ends of the chunk lose the same number of samples.",
    "Context: half of what is lost, over 22 050. Work: to get 16 389 samples, 147 443 must go in.",
    "`(147443 - 16389) / 2 / 22050` and `147443 / 16389`",
)
def ex_09_3(answer: Any) -> None:
    """Almost 3 s on each side, and 9 times the samples: fine for training, but songs are separated
    in longer pieces.
    """
    lost = _M6_IN - _M6_OUT

    def context(value):
        slips = {
            lost / _M6_RATE: "that is both sides together",
            lost / 2 / 44100: "the paper's network works at 22 050 Hz",
            lost / 2: "that is samples; seconds were asked for",
            _M6_IN / _M6_RATE: "that is the whole chunk; what comes out is not context",
            _M6_OUT / _M6_RATE: "that is what comes out; context is what does not",
        }
        otherwise = "{got:g} s is not it; 147 443 - 16 389 samples are lost, at two ends"
        expect(value, lost / 2 / _M6_RATE, slips, otherwise)

    def work(value):
        slips = {
            _M6_OUT / _M6_IN: "that is samples out per sample in; the inverse is asked for",
            lost / _M6_OUT: "the samples that come out had to go in as well",
            lost: "that is how many are lost; a ratio was asked for",
        }
        otherwise = "{got:g} is not it; 147 443 samples go in for 16 389 that come out"
        expect(value, _M6_IN / _M6_OUT, slips, otherwise)

    judge_parts(answer, {"context": context, "work": work})


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
    "Parseval, for one frame: over all n_fft bins, the sum of |X|² is n_fft times the sum of (w"
    " x)². So their mean is the sum of (w x)².",
    "The error x is not tied to the place of the window: on average, sum of (w x)² is the sum of"
    " w² times the mean of x².",
    "`float((make_window('hann', 4096) ** 2).sum())`",
)
def ex_09_6(answer: Any) -> None:
    """1536, 3/8 of the window; measured on a second of noise, within 1 %: the same error, three
    zeros more.
    """
    factor = number(answer)
    need(
        not _near(factor, 4096), "that would be a window of ones; the Hann window lets less through"
    )
    need(not _near(factor, 2048), "that is the sum of w; energies need the sum of w²")
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
        not _near(factor, 4096 * _HANN_ENERGY),
        "that is the *sum* over all bins of a frame; the mean was asked for",
    )
    noise = torch.randn(1, 44100, generator=torch.Generator().manual_seed(0))
    measured = float(STFT()(noise).abs().square().mean() / noise.square().mean())
    assert _near(measured, _HANN_ENERGY)
    need(
        _near(factor, _HANN_ENERGY),
        f"measured on a second of noise it is not {factor:g}: sum the squares of the window's 4096"
        " values",
    )


def _near(value, wanted):
    return abs(value - wanted) <= 0.01 * abs(wanted)
