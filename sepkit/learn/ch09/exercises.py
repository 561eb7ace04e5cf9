"""Exercises of chapter 09: encoder rates, upsampling, context, dilations, overlap, losses."""

import math
from typing import Any

import torch

from ..exercises import Exercises, attempt, need

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
    stft, encoder = (float(part) for part in answer)
    need(not _near(stft, 2049 / 1024), "STFT: a bin is a complex number, that is two real ones")
    need(
        not _near(stft, 2 * 2049 / 4096), "STFT: windows overlap, a frame begins every 1024 samples"
    )
    need(
        _near(stft, 2 * 2049 / 1024),
        f"STFT: {stft:g} is not it; 2049 complex numbers come out for every 1024 samples",
    )
    need(
        not _near(encoder, 256 / 20),
        "encoder: the filters overlap by half, a frame begins every 10 samples",
    )
    need(not _near(encoder, 512 / 10), "encoder: its outputs are real numbers, one for each filter")
    need(
        _near(encoder, 25.6),
        f"encoder: {encoder:g} is not it; 256 real numbers come out for every 10 samples",
    )


@exercises.add(
    "Doubling puts zeros between the samples and then convolves with [1/2, 1, 1/2]. The zeros make"
    " the image, as strong as the tone; the convolution decides what is left of each.",
    "At the angle `w = 2 * pi * frequency / new_rate`, the kernel [1/2, 1, 1/2] has the response 1"
    " + cos(w). The image lies at pi - w.",
    "`20 * log10((1 - cos(w)) / (1 + cos(w)))`",
)
def ex_09_2(answer: Any) -> None:
    """The ratio is tan²(w / 2): low tones leave faint images, tones near the old Nyquist frequency
    leave images as strong as themselves.
    """
    cases = ((440.0, 11025.0), (1500.0, 11025.0), (4000.0, 44100.0))
    given = [float(attempt(answer, *case)) for case in cases]

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
    context, work = (float(part) for part in answer)
    lost = _M6_IN - _M6_OUT
    need(not _near(context, lost / _M6_RATE), "context: that is both sides together")
    need(not _near(context, lost / 2 / 44100), "context: the paper's network works at 22 050 Hz")
    need(not _near(context, lost / 2), "context: that is samples; seconds were asked for")
    need(
        _near(context, lost / 2 / _M6_RATE),
        f"context: {context:g} s is not it; 147 443 - 16 389 samples are lost, at two ends",
    )
    need(
        not _near(work, _M6_OUT / _M6_IN),
        "work: that is samples out per sample in; the inverse is asked for",
    )
    need(not _near(work, lost / _M6_OUT), "work: the samples that come out had to go in as well")
    need(
        _near(work, _M6_IN / _M6_OUT),
        f"work: {work:g} is not it; 147 443 samples go in for 16 389 that come out",
    )


@exercises.add(
    "A convolution with 3 taps and dilation d reaches d frames further on each side.",
    "One stack adds 2 * (1 + 2 + 4 + ... + 512) frames. There are 4 stacks; and one frame is there"
    " to begin with.",
    "`(1 + 4 * 2 * (2**10 - 1)) * 10 / 44100`",
)
def ex_09_4(answer: Any) -> None:
    """8185 frames, 1.86 s, from 40 convolutions with 3 taps each; without dilations it would be 81
    frames.
    """
    seconds, frame = float(answer), 10 / 44100
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
    same = torch.as_tensor(attempt(answer, pieces, starts, 26), dtype=torch.float32)
    need(same.shape == (26,), f"26 samples were expected, not the shape {tuple(same.shape)}")
    need(
        torch.isfinite(same).all(),
        "there are samples that are not a number: a triangle that begins with 0 leaves the first"
        " sample without weight",
    )
    need(
        torch.allclose(same, signal, atol=1e-5),
        "pieces cut from one signal do not give that signal back; divide by the sum of the weights",
    )
    rise = torch.arange(1.0, 11.0)
    weight = torch.minimum(rise, rise.flip(0))
    fade = torch.as_tensor(
        attempt(answer, [torch.zeros(10), torch.ones(10)], [0, 7], 17), dtype=torch.float32
    )
    expected = weight[:3] / (weight[:3] + weight[7:])
    mean = torch.allclose(fade[7:10], torch.full((3,), 0.5))
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
    """1536, 3/8 of the window: the same error, three zeros more."""
    factor = float(answer)
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
        _near(factor, _HANN_ENERGY),
        f"{factor:g} is not it; sum the squares of the window's 4096 values",
    )


def _near(value, wanted):
    return abs(value - wanted) <= 0.01 * abs(wanted)
