"""Exercises of chapter 10: looking back, weights, rotations, one pair turned, a config, two
opinions.
"""

import cmath
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ...stft import STFT
from .. import tones
from ..exercises import Exercises, Wrong, as_tensor, attempt, expect, judge_parts, need, number
from ..players import players

exercises = Exercises("10")
check, hint = exercises.check, exercises.hint

#: The program's settings that exercise 5 asks about.
CONFIG = dict(chunk_size=131584, hop=512, sample_rate=44100, bands=62, overlaps=4)


def _scores(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.T / q.shape[-1] ** 0.5


def _hidden(scores: Tensor) -> Tensor:
    """The scores, with minus infinity for all keys behind the query."""
    return scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf)


# Slip -> what it gives for queries, keys and values.
_SLIPS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "the first query looks at all keys: those behind a query are to be hidden": lambda q, k, v: (
        _scores(q, k).softmax(-1) @ v
    ),
    "the scores are not divided by the square root of the width": lambda q, k, v: (
        _hidden(q @ k.T).softmax(-1) @ v
    ),
    "the scores are divided by the width; its square root was asked for": lambda q, k, v: (
        _hidden(q @ k.T / q.shape[-1]).softmax(-1) @ v
    ),
    "weights are taken away behind the softmax, so that the others do not add up to 1": (
        lambda q, k, v: _scores(q, k).softmax(-1).tril() @ v
    ),
    "a score of 0 hides nothing: the softmax gives it a weight of e^0 before dividing": (
        lambda q, k, v: _scores(q, k).tril().softmax(-1) @ v
    ),
    "it looks ahead and hides what was": lambda q, k, v: _hidden(_scores(q, k).T).T.softmax(-1) @ v,
    "the softmax runs over the queries: the weights of one query must add up to 1": (
        lambda q, k, v: _hidden(_scores(q, k)).softmax(0).nan_to_num() @ v
    ),
    "it takes the one key that fits best; the softmax takes something from all": lambda q, k, v: v[
        _hidden(_scores(q, k)).argmax(-1)
    ],
    "every query gets the plain mean of what has been; its scores are to count": (
        lambda q, k, v: v.cumsum(0) / torch.arange(1, len(v) + 1)[:, None]
    ),
}


def _hear_attention(answer):
    """A voice in noise, each frame made of the frames before it that are like it."""
    voice = tones.voice()
    noise = 0.03 * torch.randn(voice.shape, generator=torch.Generator().manual_seed(1)).double()
    transform = STFT(1024, 256)
    X = transform((voice + noise)[None])[0]  # (F, N), complex
    magnitude = X.abs().T  # (N, F)
    q = 30 * functional.normalize(magnitude.sqrt(), dim=-1) * magnitude.shape[-1] ** 0.25
    found = as_tensor(attempt(answer, q, q / 10, magnitude), magnitude.shape)
    mask = (found / magnitude.clamp_min(1e-9)).clamp(0, 1).T.to(X.real.dtype)
    sounds = {
        "a voice in noise": voice + noise,
        "with your attention to earlier frames": transform.inverse((mask * X)[None], len(voice))[0],
    }
    return players(sounds, tones.RATE)


@exercises.add(
    "A weight of nothing is what the softmax makes of a score that lies infinitely low. Which"
    " scores have to be that low?",
    "With queries in the rows and keys in the columns, they lie above the diagonal:"
    " `torch.triu(..., 1)`, or compare the numbers of rows and columns. Hide before the softmax.",
    "`hidden = torch.ones(len(Q), len(K)).triu(1).bool()`, then `scores.masked_fill(hidden,"
    " -torch.inf)`, softmax, and times `V`",
    hear=_hear_attention,
)
def ex_10_1(answer: Any) -> None:
    """Causal attention, as `scaled_dot_product_attention(..., is_causal=True)` has it: for streams,
    where nobody knows what comes.
    """
    generator = torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn(5, width, generator=generator, dtype=torch.float64) for width in (4, 4, 2)
    )
    got = as_tensor(attempt(answer, q, k, v))
    need(got.shape != (5, 5), "that is a row of weights for each query; multiply by the values")
    got = as_tensor(got, (5, 2))
    need(not got.isnan().any(), "the first query is left with nothing: each may look at itself")
    for slip, wrong in _SLIPS.items():
        need(not torch.allclose(got, wrong(q, k, v), atol=1e-4), slip)
    right = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    need(torch.allclose(got, right, atol=1e-4), "the numbers are not those of hidden scores")


@exercises.add(
    "Five of her six scores are 0. Which number does each change touch: her query, the list of"
    " keys, or what is given at the end?",
    "Her score of the singer is 8 / sqrt(4) = 4, so the weight is `e^4 / (e^4 + 5)`. What becomes"
    " of the 4, and of the 5?",
    "(a) `e^8 / (e^8 + 5)`; (b) `e^4 / (2 e^4 + 5)`; (c) six equal scores; (d) weights do not know"
    " of values",
)
def ex_10_2(answer: Any) -> None:
    """Longer queries decide more sharply, equal keys share, no question means the plain mean, and
    values have no say in the weights.
    """
    base = math.exp(4) / (math.exp(4) + 5)

    def judge(right, slips, otherwise, tolerance=0.03):
        told = f"{otherwise}; not {{got:.3g}}"
        return lambda value: expect(value, right, slips, told, rel=0, tolerance=tolerance)

    sharper = judge(
        math.exp(8) / (math.exp(8) + 5),
        {
            base: "that is what it was; her score is 8 now, and e^8 is far more than e^4",
            2 * base: "no weight is above 1",
            base / 2: "longer queries make the softmax sharper, not softer",
        },
        "the exponential of a score of 8 leaves next to nothing for five zeros",
    )
    shared = judge(
        math.exp(4) / (2 * math.exp(4) + 5),
        {
            base: "the other name fits her query just as well, and takes as much",
            base / 2: "half of what one had leaves the five others twice the share they get now",
            base / 7 * 6: "not every word gives up the same share: a second name is a rival",
            1 / 7: "seven words do not share alike: names have a score of 4",
        },
        "two names have the same score and share what one had",
        tolerance=0.01,
    )
    asked_nothing = judge(
        1 / 6,
        {
            0.0: "a softmax hands out all of its weight, asked or not",
            base: "without a query all scores are 0",
            1.0: "all six scores are equal then: the singer is no different",
        },
        "six equal scores make six equal weights",
    )
    given_more = judge(
        base,
        {
            2 * base: "that is what she takes; the weight was asked for",
            1.0: "values take no part in the scores",
        },
        "neither queries nor keys have changed",
    )
    judge_parts(
        answer,
        {
            "queries twice as long": sharper,
            "another name": shared,
            "no query": asked_nothing,
            "values doubled": given_more,
        },
    )


@exercises.add(
    "A pair that turns by f radians a frame is back after 2 pi / f frames. Which pair is the"
    " fastest, which the slowest?",
    "Pair k turns by 10000^(-2 k / 64) radians a frame; k runs from 0 to 31. A frame is 441 samples"
    " of 1/44100 s: 10 ms.",
    "`2 * math.pi * 0.01` and `2 * math.pi * 10000 ** (62 / 64) * 0.01`",
)
def ex_10_3(answer: Any) -> None:
    """From a sixteenth of a second to eight minutes: hands of a clock for every distance in a
    song.
    """
    fast, slow = 2 * math.pi * 0.01, 2 * math.pi * 10000 ** (62 / 64) * 0.01

    def fastest(value):
        slips = {
            slow: "the slowest pair comes second; this is the fastest",
            2 * math.pi: "6.28 are frames; a frame is 10 ms",
            0.01: "in one frame the first pair turns by 1 radian; once around is 2 pi",
            1 / fast: "that is turns a second; the seconds of a turn were asked for",
        }
        expect(value, fast, slips, "pair 0 turns by 1 radian every 10 ms, so {got:g} s is not it")

    def slowest(value):
        slips = {
            fast: "that is the fastest pair's turn",
            100 * slow: "these are frames, a hundred in a second",
            slow / 2 / math.pi: "a turn is 2 pi radians, not one",
            2 * math.pi * 100: "pair 31 is the last, not 32: the exponent is 62/64",
            2 * math.pi * 10000 ** (31 / 64) * 0.01: "the exponent is 2 k / 64, with k = 31",
        }
        expect(value, slow, slips, "{got:g} s is not the time that pair 31 takes for 2 pi")

    judge_parts(answer, {"fastest": fastest, "slowest": slowest})


# Slip -> what it makes of a pair z at a position with a rate; the right one is z e^(i p f).
_TURNS: dict[str, Callable[[complex, int, float], complex]] = {
    "the pair comes out as it went in; turn it": lambda z, p, f: z,
    "it turns the other way round: the angle grows with the position": lambda z, p, f: (
        z * cmath.exp(-1j * p * f)
    ),
    "it turns by the position alone: multiply by the rate": lambda z, p, f: z * cmath.exp(1j * p),
    "it turns by the rate, wherever it stands: multiply by the position": lambda z, p, f: (
        z * cmath.exp(1j * f)
    ),
    "the position is added, not turned in: the score then depends on where both stand": (
        lambda z, p, f: z + cmath.exp(1j * p * f)
    ),
    "each number is multiplied by itself alone; in a rotation each takes a part of the other": (
        lambda z, p, f: complex(z.real * math.cos(p * f), z.imag * math.sin(p * f))
    ),
    "both numbers are multiplied by the cosine: that shrinks the pair and does not turn it": (
        lambda z, p, f: z * math.cos(p * f)
    ),
    "the angle is in radians, not in degrees": lambda z, p, f: (
        z * cmath.exp(1j * math.radians(p * f))
    ),
    "the pair grows with its position; a rotation leaves its length": lambda z, p, f: z * p * f,
    "the two numbers have changed places": lambda z, p, f: complex(
        (z * cmath.exp(1j * p * f)).imag, (z * cmath.exp(1j * p * f)).real
    ),
    "a full turn too much: the rate is in radians already": lambda z, p, f: (
        z * cmath.exp(2j * math.pi * p * f)
    ),
}


@exercises.add(
    "Read the pair as one complex number. What does multiplication by a number of length 1 do to"
    " it?",
    "The factor is e to the i times the angle, and the angle is position times rate. Without"
    " complex numbers, each of the two new numbers takes a part of both old ones.",
    "With `a, b = pair` and `c, s = np.cos(position * rate), np.sin(position * rate)` it is"
    " `torch.stack([a * c - b * s, a * s + b * c])`",
)
def ex_10_4(answer: Any) -> None:
    """A query and a key that are 4 frames apart have one score, wherever they stand: attention
    hears how far, not where.
    """
    query, key, rate = 1.2 + 0.5j, -0.3 + 0.9j, 0.3

    def turned(z, position):
        pair = torch.tensor([z.real, z.imag], dtype=torch.float64)
        got = as_tensor(attempt(answer, pair, position, rate))
        if got.is_complex() and got.numel() == 1:
            return complex(got)
        need(not got.is_complex(), "two real numbers, or one complex one, were expected")
        return complex(*as_tensor(got.flatten(), (2,)).tolist())

    places = (0, 3, 10)
    found = [turned(query, place) for place in places]
    for slip, wrong in _TURNS.items():
        if all(abs(z - wrong(query, p, rate)) < 1e-4 for z, p in zip(found, places)):
            raise Wrong(slip, credit=0.5 if "the other way round" in slip else 0.0)
    scores = [
        (turned(query, place + 4) * turned(key, place).conjugate()).real for place in (0, 3, 10)
    ]
    need(
        max(scores) - min(scores) < 1e-4,
        f"4 frames apart the score is {scores[0]:.3f} at the beginning and {scores[2]:.3f} ten"
        " frames later; it must not depend on where",
    )
    need(
        all(abs(z - query * cmath.exp(1j * p * rate)) < 1e-4 for z, p in zip(found, places)),
        "scores depend on the distance alone, but the pair is not turned by position times rate",
        credit=0.5,
    )


@exercises.add(
    "Seconds: samples over the sample rate. A token is what one band holds in one frame. How many"
    " new pieces begin while one lasts?",
    "There is a frame every hop, the first on sample 0. `num_overlap: 4` lets a piece begin every"
    " quarter of a piece.",
    "`131584 / 44100`, `62 * (1 + 131584 // 512)` and `4`",
)
def ex_10_5(answer: Any) -> None:
    """Three seconds, sixteen thousand tokens, each moment heard in four pieces: four times the
    work.
    """
    frames = 1 + CONFIG["chunk_size"] // CONFIG["hop"]
    bands, length = CONFIG["bands"], CONFIG["chunk_size"] / CONFIG["sample_rate"]

    def seconds(value):
        slips = {
            frames: "258 are frames",
            1 / length: "samples over the rate, not the other way round",
            length / 4: "that is the step to the next piece; how long is one?",
        }
        expect(value, length, slips, "chunk_size is 2.98 s at 44 100 Hz, not {got:g}")

    def tokens(value):
        slips = {
            frames: "these are frames; each has a token for every band",
            bands: "these are bands; each has a token for every frame",
            frames + bands: "a grid of bands by frames: multiply, do not add",
            bands * (frames - 1): "the frame on sample 0 counts too",
            1025 * frames: "these are bins by frames; a band is one token, however wide",
        }
        expect(value, bands * frames, slips, "62 bands by 258 frames are not {got:g}", rel=0)

    def times(value):
        slips = {
            2: "pieces that begin every half would be two; these begin every quarter",
            1 / 4: "a quarter is the step as a share of a piece",
            3: "three others overlap it, and the piece itself counts",
        }
        expect(value, CONFIG["overlaps"], slips, "a piece has room for 4 steps, not for {got:g}")

    judge_parts(answer, {"seconds": seconds, "tokens": tokens, "times": times})


_GAINS: dict[str, Callable[[float], float]] = {
    "less error is a higher SDR: the gain is positive": lambda r: 10 * math.log10((1 + r) / 2),
    "energies become decibels with 10 log10": lambda r: -20 * math.log10((1 + r) / 2),
    "1 + rho, not 1 - rho: errors that are alike do not cancel": lambda r: (
        -10 * math.log10((1 - r) / 2)
    ),
    "that is for errors that have nothing in common; rho is given": lambda r: 10 * math.log10(2),
    "the errors are averaged, not summed: half the sum has a quarter of its energy": lambda r: (
        -10 * math.log10(2 * (1 + r))
    ),
    "rho is the correlation already: it is not squared": lambda r: (
        -10 * math.log10((1 + r * r) / 2)
    ),
    "that is the share of the error that is left; decibels were asked for": lambda r: (1 + r) / 2,
    "that is the share of the error that goes; decibels were asked for": lambda r: (1 - r) / 2,
}


@exercises.add(
    "The error of the mean is half the sum of both. What is its energy, if each has energy 1, and"
    " their product is rho on average?",
    "The energy of the sum is 1 + 2 rho + 1, a quarter of it that of the half. Decibels of energy"
    " take 10 log10, and less error is a gain.",
    "`-10 * math.log10((1 + rho) / 2)`",
)
def ex_10_6(answer: Any) -> None:
    """Errors that have nothing in common: 3 dB. Equal errors: nothing. The second opinion must be
    another one.
    """
    rhos = (0.0, 0.3, 0.8)
    got = [number(attempt(answer, rho)) for rho in rhos]
    for because, wrong in _GAINS.items():
        need(not all(math.isclose(g, wrong(r), abs_tol=0.05) for g, r in zip(got, rhos)), because)
    for g, rho in zip(got, rhos):
        right = -10 * math.log10((1 + rho) / 2)
        need(
            math.isclose(g, right, abs_tol=0.01),
            f"for rho = {rho:g} the gain is {right:.2f} dB, not {g:.2f} dB",
        )
