"""The checks of chapter 05: stubs, right answers, and the wrong ones that readers give."""

import math

import pytest
import torch

from sepkit.learn.ch05.exercises import check, hint
from sepkit.models import build
from sepkit.models.pqmf import PQMF
from sepkit.stft import STFT

from .tools import RIGHT, STUB, judged


def sdr(degrees):
    return -10 * math.log10(2 - 2 * math.cos(math.radians(degrees)))


def share(r):
    return math.acos(r / 2) / math.pi


def turn(real, imag, mask, cosine, sine, addition):
    magnitude = torch.hypot(real, imag)
    length = (magnitude * mask + addition).clamp(min=0) / magnitude
    return length * (real * cosine - imag * sine), length * (imag * cosine + real * sine)


def ideal(S, X):
    mask = (S.abs() / X.abs()).clamp(max=1)
    return mask, torch.polar(torch.ones_like(mask), S.angle() - X.angle()), S.abs() - mask * X.abs()


def frequency(band, number):
    offset = number * 11025 / 512
    return (band + 1) * 5512.5 - offset if band % 2 else band * 5512.5 + offset


def test_the_right_answers_are_what_signals_and_the_package_say():
    torch.manual_seed(0)
    S, angle = (
        torch.randn(4000, dtype=torch.complex128),
        torch.tensor(math.radians(30.0), dtype=torch.float64),
    )
    off = S * torch.polar(torch.ones_like(angle), angle)
    assert 10 * math.log10(
        float(S.abs().square().sum() / (off - S).abs().square().sum())
    ) == pytest.approx(sdr(30))
    angles = torch.rand(200_000, dtype=torch.float64) * 2 * math.pi
    smaller = (1 + 0.5 * torch.exp(1j * angles)).abs() < 1
    assert float(smaller.double().mean()) == pytest.approx(share(0.5), abs=0.005)

    # the paper's depth, thin
    model = build("resunet-ismir2021", widths=(1,) * 6, n_fft=128, hop=32)
    layers = [
        m for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.ConvTranspose2d)
    ]
    shortcuts = [m for m in layers if m.kernel_size == (1, 1) and m is not model.head]
    assert len(layers) - len(shortcuts) == 143

    bank, stft = PQMF(4), STFT(512, 128)
    for band, number in ((0, 40), (1, 30), (2, 100), (3, 60)):
        tone = torch.sin(2 * math.pi * frequency(band, number) * torch.arange(44100) / 44100)
        power = stft(bank.analysis(tone)[:, None]).abs().square().sum((1, 3))  # (bands, bins)
        assert divmod(int(power.argmax()), stft.bins) == (band, number)


def changed(**given):
    """`turn` with some of its arguments replaced."""
    names = ("real", "imag", "mask", "cosine", "sine", "addition")
    return lambda *values: turn(
        *(given.get(name, lambda v: v)(value) for name, value in zip(names, values))
    )


def without_relu(real, imag, mask, cosine, sine, addition):
    length = mask + addition / torch.hypot(real, imag)
    return length * (real * cosine - imag * sine), length * (imag * cosine + real * sine)


def too_long(real, imag, mask, cosine, sine, addition):
    one, other = turn(real, imag, mask, cosine, sine, addition)
    return one * torch.hypot(real, imag), other * torch.hypot(real, imag)


def maps(mask=lambda m: m, shift=lambda s: s, addition=lambda a: a):
    def answer(S, X):
        one, two, three = ideal(S, X)
        return mask(one), shift(two), addition(three)

    return answer


def test_every_exercise_has_hints():
    assert all(str(hint(number, 3)) for number in range(1, 7))


ANSWERS = [
    (1, lambda *given: ..., STUB),
    (1, ..., STUB),
    (1, sdr, RIGHT),
    (1, lambda a: -10 * math.log10(2 - 2 * math.cos(a)), "degrees"),
    (1, lambda a: -sdr(a), "error by signal"),
    (1, lambda a: 2 * sdr(a), "already a square"),
    (1, lambda a: -20 * math.log10(math.sin(math.radians(a))), "best real mask"),
    (1, lambda a: -20 * math.log10(math.radians(a)), "arc"),
    (1, lambda a: 5.7, "at 30 degrees"),
    (1, 5.7, "function"),
    (2, lambda *given: ..., STUB),
    (2, share, RIGHT),
    (2, lambda r: 1 - share(r), "at or below one"),
    (2, lambda r: math.acos(-r / 2) / math.pi, "at or below one"),
    (2, lambda r: math.acos(r / 2), "radians"),
    (2, lambda r: 2 * share(r), "both sides"),
    (2, lambda r: share(r) / 2, "not by 360"),
    (2, lambda r: 0.22, "120 of 180"),
    (3, lambda *given: ..., STUB),
    (3, turn, RIGHT),
    (3, changed(sine=lambda v: -v), "wrong way"),
    (3, without_relu, "ReLU"),
    (3, too_long, "twice"),
    (3, changed(addition=lambda v: 0 * v), "addition is missing"),
    (3, changed(cosine=torch.ones_like, sine=torch.zeros_like), "phase is still"),
    (
        3,
        lambda real, imag, mask, c, s, q: (
            mask * (real * c - imag * s) + q,
            mask * (imag * c + real * s),
        ),
        "bends",
    ),
    (3, lambda real, imag, mask, c, s, q: (real, imag), "not what"),
    (3, lambda *given: given[0], "two tensors"),
    (3, lambda *given: (torch.zeros(3), torch.zeros(3)), "shape (3,)"),
    (4, lambda *given: ..., STUB),
    (4, lambda S, X: (..., ..., ...), STUB),
    (4, ideal, RIGHT),
    (
        4,
        lambda S, X: (
            (S / X).abs().clamp(max=1),
            (S / X) / (S / X).abs(),
            S.abs() - (S / X).abs().clamp(max=1) * X.abs(),
        ),
        RIGHT,
    ),
    (
        4,
        lambda S, X: [
            part.to(torch.complex64 if part.is_complex() else torch.float32) for part in ideal(S, X)
        ],
        RIGHT,
    ),
    (4, lambda S, X: (*ideal(S, X)[:2], 0.0), "shape ()"),
    (4, maps(mask=lambda m: m[:3]), "shape (3,)"),
    (4, lambda S, X: ((S / X).abs(), ideal(S, X)[1], 0 * X.abs()), "sigmoid"),
    (4, lambda S, X: (S / X, *ideal(S, X)[1:]), "real number"),
    (4, maps(mask=lambda m: -m), "negative"),
    (4, maps(shift=torch.angle), "not an angle"),
    (4, maps(shift=lambda s: 2 * s), "magnitude 1"),
    (4, maps(shift=torch.conj), "from X to S"),
    (4, maps(shift=torch.ones_like), "direction of S"),
    (4, maps(addition=lambda a: -a), "wrong sign"),
    (4, maps(addition=lambda a: 0 * a), "do not reach"),
    (4, lambda S, X: (0 * X.abs(), ideal(S, X)[1], S.abs()), "more to the addition"),
    (4, lambda S, X: S / X, "three tensors"),
    (5, (..., ...), STUB),
    (5, (143, 2040), RIGHT),
    (5, (154, 2040), "shortcuts"),
    (5, (142, 2040), "head"),
    (5, (137, 2040), "transposed"),
    (5, (75, 2040), "two convolutions"),
    (5, (100, 2040), "do not have 100"),
    (5, (143, 1020), "two convolutions"),
    (5, (143, 510), "four blocks"),
    (5, (143, 136), "up to 32 frames"),
    (5, (143, 1016), "bottleneck is missing"),
    (5, (143, 3064), "not 64"),
    (5, (143, 2032), "last stage"),
    (5, (143, 1536), "decoder looks"),
    (5, (143, 300), "300 is not"),
    (6, lambda *given: ..., STUB),
    (6, frequency, RIGHT),
    (6, lambda k, b: k * 5512.5 + b * 11025 / 512, "backwards"),
    (6, lambda k, b: b * 11025 / 512, "within the band"),
    (6, lambda k, b: frequency(k + 1, b) - 5512.5, "counted from 0"),
    (6, lambda k, b: 2 * frequency(k, b), "11025 Hz"),
    (6, lambda k, b: 440.0, "band 0, bin 10"),
]

test_answers_are_judged = judged(check, "05", ANSWERS)
