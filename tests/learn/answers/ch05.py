"""Chapter 05: phase errors, rotation, ideal maps, a convolution, depth, bands."""

import math

import numpy as np
import torch

from sepkit.learn.ch05.exercises import KERNEL, PICTURE


def sdr(degrees):
    return -10 * math.log10(2 - 2 * math.cos(math.radians(degrees)))


def share(r):  # the law of Figure 3
    return math.acos(r / 2) / math.pi


def turn(real, imag, mask, cosine, sine, addition):
    magnitude = torch.hypot(real, imag).clamp(min=1e-12)
    length = (magnitude * mask + addition).clamp(min=0) / magnitude
    return length * (real * cosine - imag * sine), length * (imag * cosine + real * sine)


def changed(**given):
    """`turn` with some of its arguments replaced."""
    names = ("real", "imag", "mask", "cosine", "sine", "addition")
    return lambda *values: turn(
        *(given.get(name, lambda v: v)(value) for name, value in zip(names, values))
    )


def without_relu(real, imag, mask, cosine, sine, addition):
    length = mask + addition / torch.hypot(real, imag)
    return length * (real * cosine - imag * sine), length * (imag * cosine + real * sine)


def too_long(real, imag, *others):
    magnitude = torch.hypot(real, imag)
    return tuple(part * magnitude for part in turn(real, imag, *others))


def added_to_the_real_part(real, imag, mask, c, s, q):
    return mask * (real * c - imag * s) + q, mask * (imag * c + real * s)


def divided_by_zero(real, imag, mask, cosine, sine, addition):
    X, M = torch.complex(real, imag), torch.complex(cosine, sine)
    Y = torch.relu(X.abs() * mask + addition) / X.abs() * X * M
    return Y.real, Y.imag


def with_angles(real, imag, mask, cosine, sine, addition):
    X, M = torch.complex(real, imag), torch.complex(cosine, sine)
    Y = torch.polar(torch.relu(X.abs() * mask + addition), X.angle() + M.angle()) * (X != 0)
    return Y.real, Y.imag


def ideal(S, X):
    mask = (S.abs() / X.abs()).clamp(max=1)
    return mask, torch.polar(torch.ones_like(mask), S.angle() - X.angle()), S.abs() - mask * X.abs()


def by_division(S, X):
    ratio = S / X
    mask = ratio.abs().clamp(max=1)
    return mask, ratio / ratio.abs(), S.abs() - mask * X.abs()


def by_numpy(S, X):
    S, X = S.numpy(), X.numpy()
    mask = np.minimum(np.abs(S / X), 1)
    return [mask, np.exp(1j * np.angle(S / X)), np.abs(S) - mask * np.abs(X)]


def maps(mask=lambda m: m, shift=lambda s: s, addition=lambda a: a):
    def answer(S, X):
        one, two, three = ideal(S, X)
        return mask(one), shift(two), addition(three)

    return answer


def frequency(band, number):
    offset = number * 11025 / 512
    return (band + 1) * 5512.5 - offset if band % 2 else band * 5512.5 + offset


convolved = [[-4, 2], [4, 9]]


def by_products(kernel=np.asarray, stride=2, mode="constant"):
    """Cross-correlation by numpy alone: a product with every piece of the padded picture."""
    padded = np.pad(np.array(PICTURE), 1, mode=mode)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    return np.einsum("ktab,ab->kt", pieces, kernel(np.array(KERNEL)))[::stride, ::stride]


ANSWERS = {
    1: {
        "right": [
            sdr,
            lambda a: -20 * math.log10(2 * math.sin(math.radians(a) / 2)),
            lambda a: -20 * np.log10(np.abs(np.exp(1j * np.deg2rad(a)) - 1)),
            lambda a: torch.tensor(sdr(a)),
        ],
        "wrong": [
            (lambda a: -10 * math.log10(2 - 2 * math.cos(a)), "the angle is given in degrees"),
            (lambda a: -sdr(a), "not error by signal"),
            (lambda a: 2 * sdr(a), "already a square"),
            (lambda a: -20 * math.log10(math.sin(math.radians(a))), "the best real mask"),
            (lambda a: -20 * math.log10(math.radians(a)), "that is the arc"),
            (lambda a: -10 * math.log10(2 + 2 * math.cos(math.radians(a))), "sum of both arrows"),
            (lambda a: 2 - 2 * math.cos(math.radians(a)), "the energy of the error; decibels"),
            (lambda a: 5.7, "measured at 30 degrees it is 5.72 dB, not 5.70"),
            (lambda a: 1 / 0, "it divides by zero"),
            (5.7, "a function was expected"),
            (lambda a: None, "returns nothing"),
        ],
    },
    2: {
        "right": [
            turn,
            with_angles,
            lambda *given: torch.stack(turn(*given)),
            lambda *given: [part.numpy() for part in turn(*given)],
            lambda *given: [part.float() for part in turn(*given)],
        ],
        "wrong": [
            (changed(sine=lambda v: -v), "the wrong way"),
            (without_relu, "it must be 0 (ReLU)"),
            (too_long, "counts |X| twice"),
            (changed(addition=lambda v: 0 * v), "the addition is missing"),
            (changed(cosine=torch.ones_like, sine=torch.zeros_like), "still that of the mixture"),
            (added_to_the_real_part, "bends it as well"),
            (divided_by_zero, "right where X sounds", 1 / 2),
            (lambda real, imag, *others: (real, imag), "not what `decoupled` gives"),
            (lambda *given: turn(*given)[0], "two tensors were expected"),
            (lambda *given: torch.complex(*turn(*given)), "that is one complex tensor"),
            (lambda *given: (torch.zeros(3), torch.zeros(3)), "the shape is (3,)"),
            (lambda *given: turn(*given[:3]), "meets an error"),
        ],
    },
    3: {
        "right": [
            ideal,
            by_division,
            by_numpy,
            lambda S, X: [
                part.to(torch.complex64 if part.is_complex() else torch.float32)
                for part in ideal(S, X)
            ],
        ],
        "wrong": [
            (lambda S, X: (*ideal(S, X)[:2], 0.0), "the shape is ()"),
            (lambda S, X: ((S / X).abs(), ideal(S, X)[1], 0 * X.abs()), "comes out of a sigmoid"),
            (lambda S, X: (S / X, *ideal(S, X)[1:]), "mask and addition are real numbers"),
            (maps(mask=lambda m: -m), "the mask is negative"),
            (maps(shift=torch.angle), "not an angle"),
            (maps(shift=lambda s: 2 * s), "must have magnitude 1"),
            (maps(shift=torch.conj), "from S to X"),
            (maps(shift=torch.ones_like), "the direction of S"),
            (maps(addition=lambda a: -a), "the wrong sign"),
            (maps(addition=lambda a: 0 * a), "do not reach |S|"),
            (lambda S, X: (0 * X.abs(), ideal(S, X)[1], S.abs()), "leaves more to the addition"),
            (lambda S, X: S / X, "three tensors were expected"),
        ],
    },
    4: {
        "right": [
            convolved,
            [[float(value) for value in row] for row in convolved],
            np.array(convolved, dtype=np.float64),
            torch.tensor(convolved),
            torch.tensor(convolved, dtype=torch.float64)[None, None],
            np.array(convolved)[None],
            by_products(),
        ],
        "wrong": [
            (by_products(stride=1), "each of the 16 places"),
            ([[17]], "without padding one place is left"),
            ([-4, 2, 4, 9], "as two rows of two"),
            ([[-4, 2], [4, 9], [0, 0]], "the shape is (3, 2)"),
            (by_products(kernel=np.flip), "turned by 180 degrees"),
            (by_products(kernel=np.flipud), "first row belongs to bin k - 1"),
            (by_products(kernel=np.fliplr), "first column is frame t - 1"),
            (by_products(kernel=np.transpose), "the kernel's rows run along bins"),
            (np.transpose(convolved), "the rows should be bins"),
            ([[17, 0], [-6, 9]], "where the whole kernel fits in"),
            (by_products(stride=1)[1::2, 1::2], "bins and frames 1 and 3"),
            (by_products(stride=1).reshape(2, 2, 2, 2).mean((1, 3)), "the mean of every four"),
            (by_products(mode="edge"), "not its outermost values"),
            (by_products() / 9, "that is their mean"),
            (np.maximum(convolved, 0), "the ReLU comes after it"),
            ([[-4, 2], [4, 8]], "at bin 2, frame 2 the nine products do not add up to 8"),
            ([[-4, float("inf")], [4, 9]], "a finite number"),
            (lambda: convolved, "and not a function"),
        ],
    },
    5: {
        "right": [(67, 764), [67.0, 764.0], np.array([67, 764]), torch.tensor([67, 764])],
        "wrong": [
            ((143, 764), "143 is the number of the paper's network", 1 / 2),
            ((78, 764), "78 counts the 1x1 shortcuts"),
            ((66, 764), "the head is missing"),
            ((61, 764), "begins with a transposed"),
            ((37, 764), "layers: a residual block has two"),
            ((60, 764), "the convolutions of the blocks alone"),
            ((63, 764), "after the decoder, has two blocks too"),
            ((100, 764), "last stage: not 100"),
            ((67, 2040), "that is the paper's network"),
            ((67, 382), "two blocks, of two convolutions each"),
            ((67, 60), "up to 32 frames"),
            ((67, 508), "the bottleneck is missing"),
            ((67, 1020), "not 64"),
            ((67, 760), "has four convolutions too"),
            ((67, 512), "the decoder looks"),
            ((67, 1528), "that is both sides"),
            ((67, 795), "that is the longer side"),
            ((67, 300), "300 is not the reach"),
        ],
    },
    6: {
        "right": [
            frequency,
            lambda k, b: np.float32(frequency(k, b)),
            lambda k, b: abs((k + k % 2) * 5512.5 + (-1) ** k * b * 11025 / 512),
            lambda k, b: [frequency(k, b)],
        ],
        "wrong": [
            (lambda k, b: k * 5512.5 + b * 11025 / 512, "odd bands run backwards: their bin 0"),
            (lambda k, b: b * 11025 / 512, "the frequency within the band"),
            (lambda k, b: frequency(k + 1, b) - 5512.5, "counted from 0: it is 1 and 3"),
            (lambda k, b: 2 * frequency(k, b), "a quarter of the rate"),
            (lambda k, b: (k + 1) * 5512.5 - b * 11025 / 512, "band 0 begins at 0 Hz"),
            (lambda k, b: frequency(k, b / 2), "21.5 Hz"),
            (lambda k, b: 440.0, "band 0, bin 10: not 440.0 Hz"),
            (lambda k: 440.0, "meets an error"),
            (440.0, "a function was expected"),
            (lambda k, b: None, "returns nothing"),
        ],
    },
}
