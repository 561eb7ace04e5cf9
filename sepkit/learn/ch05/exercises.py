"""Exercises of chapter 05: phase errors, rotation, ideal maps, a convolution, depth, bands."""

import math
from typing import Any

import torch

from ...models.resunet import decoupled
from ...stft import STFT
from .. import tones
from ..exercises import Exercises, as_tensor, attempt, expect, judge_parts, need, number

exercises = Exercises("05")
check, hint = exercises.check, exercises.hint


def _close(one, other, tolerance=1e-3):
    return math.isclose(one, other, abs_tol=tolerance)


@exercises.add(
    "Draw it: two arrows of length 1 with an angle between them. How long is the arrow from one tip"
    " to the other?",
    "The square of that length is 2 - 2 cos(angle). The signal's energy is 1.",
    "`-10 * math.log10(2 - 2 * math.cos(math.radians(degrees)))`",
)
def ex_05_1(answer: Any) -> None:
    """Measured on a voice: 11.7 dB at 15 degrees, 0 dB at 60. A perfect magnitude with a phase 60
    degrees off scores like silence, and nobody hears a turn that is the same everywhere.
    """
    angles = (15.0, 30.0, 60.0, 120.0)
    got = {a: number(attempt(answer, a)) for a in angles}
    S = STFT(1024, 256)(tones.voice(1.0)[None].float()).to(torch.complex128)

    def is_(function):
        return all(_close(got[a], function(math.radians(a)), 0.01) for a in angles)

    def right(a):  # measured
        off = S * torch.polar(torch.ones(()).double(), torch.tensor(a).double())
        return 10 * math.log10(float(S.abs().square().sum() / (off - S).abs().square().sum()))

    in_degrees = all(_close(got[a], right(a), 0.01) for a in angles)
    need(
        not in_degrees,
        "the angle is given in degrees; `math.radians` turns it into what `math.cos` takes",
    )
    need(
        not is_(lambda a: -right(a)),
        "signal divided by error, not error by signal: a small angle should score high",
    )
    need(
        not is_(lambda a: -20 * math.log10(2 - 2 * math.cos(a))),
        "2 - 2 cos is already a square, an energy: 10 log10",
    )
    need(
        not is_(lambda a: -20 * math.log10(math.sin(a))),
        "that is the error of the best real mask; here the magnitude stays the true one",
    )
    need(
        not is_(lambda a: -10 * math.log10(a * a)),
        "that is the arc; the error is the straight line between the tips",
    )
    need(
        not is_(lambda a: -10 * math.log10(2 + 2 * math.cos(a))),
        "that is the length of the sum of both arrows; the error is their difference",
    )
    need(
        not is_(lambda a: 2 - 2 * math.cos(a)),
        "that is the energy of the error; decibels were asked for",
    )
    need(
        is_(right), f"measured at 30 degrees it is {right(math.pi / 6):.2f} dB, not {got[30.0]:.2f}"
    )


def _bins(count=60):
    generator = torch.Generator().manual_seed(5)
    return torch.randn(count, 2, dtype=torch.float64, generator=generator)


@exercises.add(
    "Two things happen to each bin: its length becomes max(0, |X| mask + addition), and its"
    " direction turns.",
    "The direction of X is (real / |X|, imag / |X|): the cosine and sine of its angle. Adding"
    " angles: cos(a + b) = cos a cos b - sin a sin b, sin(a + b) = sin a cos b + cos a sin b.",
    "`length = (torch.hypot(real, imag) * mask + addition).clamp(min=0) / torch.hypot(real, imag)`;"
    " then `length * (real * cosine - imag * sine)` and `length * (imag * cosine + real * sine)`",
)
def ex_05_2(answer: Any) -> None:
    """The same as `decoupled`, without a single complex number or angle."""
    X = torch.view_as_complex(_bins())
    given = torch.rand(60, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    shift = torch.polar(torch.ones(60, dtype=torch.float64), 6 * given.flip(0))
    addition = _bins()[:, 0].flip(0)
    got = attempt(answer, X.real, X.imag, given, shift.real, shift.imag, addition)
    need(
        not torch.is_complex(got) if torch.is_tensor(got) else True,
        "that is one complex tensor; its real and its imaginary part were asked for, apart",
    )
    several = isinstance(got, (tuple, list)) or getattr(got, "ndim", 0) > 0
    need(
        several and len(got) == 2, "two tensors were expected: the real and the imaginary part of Y"
    )
    real, imag = (as_tensor(part, X.shape) for part in got)
    need(not real.is_complex() and not imag.is_complex(), "each of the two is a real number a bin")
    Y = torch.complex(real, imag)

    def is_(other):
        return torch.allclose(Y, other, atol=1e-5)

    length = X.abs() * given + addition
    need(
        not is_(decoupled(X, given, shift.conj(), addition)),
        "it turns the wrong way: check the signs of the sine terms",
    )
    need(
        not is_(length / X.abs() * X * shift),
        "where the length would be negative it must be 0 (ReLU), or the arrow flips over",
    )
    need(
        not is_(length.clamp(min=0) * X * shift),
        "the length counts |X| twice: divide X by |X| before you stretch it",
    )
    need(not is_(decoupled(X, given, shift, 0 * addition)), "the addition is missing")
    need(
        not is_(decoupled(X, given, torch.ones_like(shift), addition)),
        "the phase is still that of the mixture",
    )
    need(
        not is_(X * given * shift + addition),
        "the addition lengthens the arrow; added to the real part it bends it as well",
    )
    need(
        is_(decoupled(X, given, shift, addition)),
        "it is not what `decoupled` gives for the same maps",
    )
    zero = torch.zeros_like(given)
    silent = attempt(answer, zero, zero, given, shift.real, shift.imag, addition)
    need(
        all(bool((as_tensor(part, X.shape) == 0).all()) for part in silent),
        "right where X sounds; where it is 0, the estimate should be 0 too, and not divide by it",
        credit=0.5,
    )


def _hear_maps(answer):
    """The answer's maps at work: what comes out of the mixture of a voice and a drum."""
    voice, drum = tones.voice()[None].float(), tones.drum()[None].float()
    transform = STFT(1024, 256)
    S, X = transform(voice).to(torch.complex128), transform(voice + drum).to(torch.complex128)
    X = torch.where(X == 0, torch.full_like(X, 1e-9), X)
    mask, shift, addition = (as_tensor(part, S.shape) for part in attempt(answer, S, X))
    made = decoupled(X, mask.real, shift.to(X.dtype), addition.real)
    sounds = {
        "the mixture": voice + drum,
        "the mixture through your maps": transform.inverse(
            made.nan_to_num().to(torch.complex64), voice.shape[-1]
        ),
        "the voice": voice,
    }
    return tones.row(sounds, "the drum, of which ideal maps leave nothing.")


@exercises.add(
    "First the mask: how large may it be? Then ask what is left to do.",
    "The shift is a number of magnitude 1 with the angle of S / X: divide S / X by its magnitude."
    " The addition is what the magnitude still lacks.",
    "`mask = (S / X).abs().clamp(max=1)`, `shift = (S / X) / (S / X).abs()`, `addition = S.abs() -"
    " mask * X.abs()`",
    hear=_hear_maps,
)
def ex_05_3(answer: Any) -> None:
    """With these three maps any voice comes out exactly; a network only has to guess them."""
    X, S = torch.view_as_complex(_bins()), torch.view_as_complex(_bins().roll(7, 0))
    got = attempt(answer, S, X)
    need(
        isinstance(got, (tuple, list)) and len(got) == 3,
        "three tensors were expected: mask, shift and addition",
    )
    mask, shift, addition = (as_tensor(part, S.shape) for part in got)
    ratio = S / X
    need(
        not torch.is_complex(mask) and not torch.is_complex(addition),
        "mask and addition are real numbers for every bin; the turning is the shift's part",
    )
    need(
        float(mask.max()) <= 1 + 1e-6,
        f"the mask reaches {float(mask.max()):.1f}; it comes out of a sigmoid, so hold it at 1 or"
        " below",
    )
    need(
        float(mask.min()) >= 0,
        "the mask is negative somewhere; turning by 180 degrees is the shift's part",
    )
    need(
        torch.is_complex(shift),
        "the shift is a complex number of magnitude 1, not an angle: `torch.polar(ones, angle)`"
        " makes one of the other",
    )
    need(
        torch.allclose(shift.abs(), torch.ones_like(shift.abs()), atol=1e-5),
        "the shift must have magnitude 1; the length is the business of mask and addition",
    )
    need(
        not torch.allclose(shift, (ratio / ratio.abs()).conj(), atol=1e-5),
        "the shift leads from S to X; it should lead from X to S",
    )
    need(
        torch.allclose(shift, ratio / ratio.abs(), atol=1e-5),
        "the shift does not turn X into the direction of S",
    )
    need(
        not torch.allclose(addition, mask * X.abs() - S.abs(), atol=1e-5)
        or torch.allclose(addition, 0 * addition),
        "the addition has the wrong sign",
    )
    made = X.abs() * mask + addition
    need(
        torch.allclose(made, S.abs(), atol=1e-5),
        "mask and addition together do not reach |S|: the addition is what the mask leaves open",
    )
    best = torch.allclose(mask, ratio.abs().clamp(max=1), atol=1e-5)
    need(
        best,
        "the estimate is right, but the mask leaves more to the addition than it has to: let it"
        " come as near to |S| / |X| as 1 allows",
    )


#: Exercise 4: a picture of 4 bins and 4 frames (bin 0 first), and the kernel that slides over it.
PICTURE = ((0, 2, 0, 1), (3, 0, 0, 0), (1, 0, 4, 0), (0, 2, 0, 1))
KERNEL = ((0, -1, 0), (2, 1, -2), (1, 0, 3))


def _slid(picture, kernel, padding=1, stride=2):
    return torch.nn.functional.conv2d(
        picture[None, None], kernel[None, None], None, stride, padding
    )[0, 0]


@exercises.add(
    "Draw the picture with a border of zeros, and lay the kernel over it, its middle on bin"
    " 0 of frame 0. Which of its nine weights meet something that is not 0?",
    "At the first place, four weights lie inside the picture: the middle, the one to its right, the"
    " one below and the one diagonally below. Then move on by two frames, and by two bins.",
    "At bin 0 and frame 0: `1 * 0 + (-2) * 2 + 0 * 3 + 3 * 0 = -4`. The other three likewise.",
)
def ex_05_4(answer: Any) -> None:
    """Four sums of at most nine products. `torch.nn.functional.conv2d(picture[None, None],
    kernel[None, None], padding=1, stride=2)` writes down the same four.
    """
    picture, kernel = (torch.tensor(rows, dtype=torch.float64) for rows in (PICTURE, KERNEL))
    right, everywhere = _slid(picture, kernel), _slid(picture, kernel, stride=1)
    need(not callable(answer), "four numbers were expected, and not a function")
    got = as_tensor(answer)
    need(not got.is_complex(), "real weights on a real picture give real numbers")
    while got.ndim > 2 and len(got) == 1:  # (1, 1, 2, 2) and (1, 2, 2) hold one picture as well
        got = got[0]
    sizes = tuple(got.shape)
    need(
        sizes != tuple(everywhere.shape),
        "that is a result at each of the 16 places; in steps of two, four are left",
    )
    need(
        sizes != (1, 1),
        "without padding one place is left in steps of two; a border of zeros was asked for",
    )
    need(sizes != (4,), "give the four as two rows of two: bins 0 and 2, each with frames 0 and 2")
    need(sizes == (2, 2), f"two bins and two frames were expected, but the shape is {sizes}")
    got = got.double()
    need(bool(got.isfinite().all()), "each of the four is a finite number")

    def is_(other):
        return torch.allclose(got, other, atol=1e-3)

    need(
        not is_(_slid(picture, kernel.flip(0, 1))),
        "the kernel has been turned by 180 degrees, as mathematicians do it; `conv2d` does not",
    )
    need(not is_(_slid(picture, kernel.flip(0))), "the kernel's first row belongs to bin k - 1")
    need(not is_(_slid(picture, kernel.flip(1))), "the kernel's first column is frame t - 1")
    need(not is_(_slid(picture, kernel.T)), "the kernel's rows run along bins, not along frames")
    need(
        not is_(right.T), "the four are right, but the rows should be bins, and the columns frames"
    )
    need(
        not is_(_slid(picture, kernel, padding=0, stride=1)),
        "those are the places where the whole kernel fits in; the first is at bin 0 and frame 0",
    )
    need(not is_(everywhere[1::2, 1::2]), "those are bins and frames 1 and 3; begin at 0")
    need(
        not is_(torch.nn.functional.avg_pool2d(everywhere[None], 2)[0]),
        "that is the mean of every four neighbours; here three of the four are never computed",
    )
    edges = torch.nn.functional.pad(picture[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    need(
        not is_(_slid(edges, kernel, padding=0)),
        "around the picture lie zeros, not its outermost values once more",
    )
    need(not is_(right / 9), "the nine products are added up; that is their mean")
    need(not is_(right.relu()), "a convolution may give negative numbers; the ReLU comes after it")
    for k, t in ((0, 0), (0, 1), (1, 0), (1, 1)):
        value = float(got[k, t])
        need(
            _close(value, float(right[k, t])),
            f"at bin {2 * k}, frame {2 * t} the nine products do not add up to {value:g}",
        )


@exercises.add(
    "A residual block has two 3x3 convolutions. The encoder has 6 stages, the bottleneck 2, the"
    " decoder 6, and there is one more at the end, all of two blocks. Each decoder stage begins"
    " with one transposed convolution, and the head is one more layer.",
    "A 3x3 convolution sees one place to each side, of its own grid. In stage k of the encoder (k ="
    " 0, 1, ...) a step of the grid is 2**k frames; in the bottleneck it is 32 (the last stage"
    " halves bins only); the decoder goes back from 32 to 1, the last stage has 1.",
    "layers: `(6 + 2 + 6 + 1) * 2 * 2 + 6 + 1`; frames: `4 * (sum(scales) + 2 * 32 + sum(scales) +"
    " 1)` with `scales = [1, 2, 4, 8, 16, 32]`",
)
def ex_05_5(answer: Any) -> None:
    """67 layers, and 764 frames: with half the depth, three eighths of the reach, since the
    bottleneck, where a step is widest, has lost stages and blocks.
    """

    def layers(value):
        slips = {
            143: "143 is the number of the paper's network; this one has two blocks a stage, and"
            " two stages at the bottom",
            78: "78 counts the 1x1 shortcuts too; the paper does not",
            66: "the head is missing",
            61: "each stage of the decoder begins with a transposed convolution",
            37: "a residual block has two convolutions",
            60: "that is the convolutions of the blocks alone",
            63: "the last stage, after the decoder, has two blocks too",
        }
        expect(value, 67, slips, "encoder, bottleneck, decoder and last stage: not {got:g}", rel=0)

    def frames(value):
        slips = {
            2040: "that is the paper's network; this one has half as many blocks, and half as many"
            " stages at the bottom",
            382: "a stage has two blocks, of two convolutions each",
            60: "that is one for every 3x3 convolution; deep in the network a step is worth up to"
            " 32 frames",
            508: "the bottleneck is missing, 2 stages on a grid of 32 frames",
            1020: "the bottleneck's grid is 32 frames, not 64: the last stage of the encoder halves"
            " the bins only",
            760: "the last stage, after the decoder, has four convolutions too",
            512: "the decoder looks to the sides as far as the encoder does",
            1528: "that is both sides; the reach to one side was asked for",
            795: "that is the longer side, with the 1 + 2 + 4 + 8 + 16 frames that the averages"
            " add; without them",
        }
        otherwise = (
            "{got:g} is not the reach to one side; sum 3x3 convolutions times the frames that a"
            " step of their grid is worth"
        )
        expect(value, 764, slips, otherwise, rel=0)

    judge_parts(answer, {"layers": layers, "frames": frames})


@exercises.add(
    "How many Hz has a band, how far apart are its bins, and which way does it run?",
    "A band has half of its own sample rate: 5512.5 Hz. Its bins are 11025 / 512 Hz apart. Band k"
    " begins at k * 5512.5 Hz. In odd bands the frequencies run backwards, from the upper end.",
    "`offset = bin * 11025 / 512`; even: `band * 5512.5 + offset`; odd: `(band + 1) * 5512.5 -"
    " offset`",
)
def ex_05_6(answer: Any) -> None:
    """In an odd band, low bins are high notes: figures have to turn those bands over, as Figure 9
    does.
    """
    asked = ((0, 10), (1, 0), (1, 30), (2, 100), (3, 256))
    got = [number(attempt(answer, *pair)) for pair in asked]
    offset, width = 11025 / 512, 44100 / 8

    def is_(function):
        return all(_close(value, function(*pair), 0.5) for value, pair in zip(got, asked))

    need(
        not is_(lambda k, b: k * width + b * offset),
        "odd bands run backwards: their bin 0 lies at the upper end",
    )
    need(
        not is_(lambda k, b: b * offset),
        "that is the frequency within the band; band k begins at k * 5512.5 Hz",
    )
    need(
        not is_(lambda k, b: k * width + b * offset if k % 2 else (k + 1) * width - b * offset),
        "bands are counted from 0: it is 1 and 3 that run backwards",
    )
    need(
        not is_(lambda k, b: (k + 1) * width - b * offset),
        "only odd bands run backwards; band 0 begins at 0 Hz",
    )
    need(
        not is_(
            lambda k, b: (k + 1) * width - b * offset / 2 if k % 2 else k * width + b * offset / 2
        ),
        "the bins of a band are its own sample rate over 512 apart: 21.5 Hz",
    )
    doubled = [
        2 * ((k + 1) * width - b * offset if k % 2 else k * width + b * offset) for k, b in asked
    ]
    need(
        not all(_close(value, other, 0.5) for value, other in zip(got, doubled)),
        "a quarter of the rate, 11025 Hz, carries frequencies up to 5512.5 Hz",
    )
    for value, (k, b) in zip(got, asked):
        right = (k + 1) * width - b * offset if k % 2 else k * width + b * offset
        need(_close(value, right, 0.5), f"band {k}, bin {b}: not {value:.1f} Hz")
