"""Chapter 10: attention that looks back, weights, rotations, a config, two opinions."""

import math

import numpy as np
import torch
from torch.nn import functional

INF = float("inf")


def scores(q, k):
    return q @ k.T / q.shape[-1] ** 0.5


def back(s, diagonal=1):
    return s.masked_fill(torch.ones_like(s).triu(diagonal).bool(), -INF)


def looking_back(q, k, v):
    return back(scores(q, k)).softmax(-1) @ v


def one_by_one(q, k, v):
    return [(scores(q, k)[n, : n + 1].softmax(-1) @ v[: n + 1]).tolist() for n in range(len(q))]


E4, E8 = math.exp(4), math.exp(8)
WEIGHTS = (E8 / (E8 + 5), E4 / (2 * E4 + 5), 1 / 6, E4 / (E4 + 5))
TURNS = (2 * math.pi * 0.01, 2 * math.pi * 10000 ** (62 / 64) * 0.01)
PIECE = (131584 / 44100, 62 * (1 + 131584 // 512), 4)


def but(values, place, value):
    return (*values[:place], value, *values[place + 1 :])


def gain(rho):
    return -10 * math.log10((1 + rho) / 2)


def turned(pair, position, rate):
    a, b = pair.tolist()
    c, s = np.cos(position * rate), np.sin(position * rate)
    return a * c - b * s, a * s + b * c


ANSWERS = {
    1: {
        "right": [
            looking_back,
            lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, is_causal=True),
            lambda q, k, v: looking_back(q.float(), k.float(), v.float()).numpy(),
            one_by_one,
            lambda q, k, v: (
                (scores(q, k).exp().tril() @ v) / scores(q, k).exp().tril().sum(-1, keepdim=True)
            ),
        ],
        "wrong": [
            (lambda q, k, v: scores(q, k).softmax(-1) @ v, "looks at all keys"),
            (lambda q, k, v: back(q @ k.T).softmax(-1) @ v, "not divided by the square root"),
            (lambda q, k, v: back(q @ k.T / 4).softmax(-1) @ v, "its square root was asked for"),
            (lambda q, k, v: scores(q, k).softmax(-1).tril() @ v, "behind the softmax"),
            (lambda q, k, v: scores(q, k).tril().softmax(-1) @ v, "hides nothing"),
            (lambda q, k, v: back(scores(q, k).T).T.softmax(-1) @ v, "looks ahead"),
            (lambda q, k, v: back(scores(q, k)).softmax(0) @ v, "runs over the queries"),
            (lambda q, k, v: v[back(scores(q, k)).argmax(-1)], "the one key"),
            (lambda q, k, v: v.cumsum(0) / torch.arange(1, 6)[:, None], "plain mean"),
            (lambda q, k, v: back(scores(q, k), 0).softmax(-1) @ v, "left with nothing"),
            (lambda q, k, v: back(scores(q, k)).softmax(-1), "multiply by the values"),
            (lambda q, k, v: looking_back(q, k, v)[:3], "(5, 2) was expected"),
            (lambda q, k, v: 2 * looking_back(q, k, v), "of hidden scores"),
            ("softmax", "a function was expected"),
        ],
    },
    2: {
        "right": [
            WEIGHTS,
            [1.0, 0.48, 0.17, 0.92],
            np.array(WEIGHTS, dtype=np.float32),
            tuple(torch.tensor([w]) for w in WEIGHTS),
            {
                "queries twice as long": 0.998,
                "another name": 0.478,
                "no query": 1 / 6,
                "values doubled": 0.916,
            },
        ],
        "wrong": [
            (but(WEIGHTS, 0, 0.916), "far more than e^4", 3 / 4),
            (but(WEIGHTS, 0, 1.83), "no weight is above 1"),
            (but(WEIGHTS, 0, 0.458), "not softer"),
            (but(WEIGHTS, 0, 0.7), "next to nothing"),
            (but(WEIGHTS, 1, 0.916), "takes as much"),
            (but(WEIGHTS, 1, 0.785), "is a rival"),
            (but(WEIGHTS, 1, 0.458), "half of what one had"),
            (but(WEIGHTS, 1, 1 / 7), "do not share alike"),
            (but(WEIGHTS, 1, 0.3), "share what one had"),
            (but(WEIGHTS, 2, 0), "asked or not"),
            (but(WEIGHTS, 2, 0.916), "all scores are 0"),
            (but(WEIGHTS, 2, 1), "the singer is no different"),
            (but(WEIGHTS, 2, 0.5), "six equal weights"),
            (but(WEIGHTS, 3, 1.83), "what she takes"),
            (but(WEIGHTS, 3, 1), "no part in the scores"),
            (but(WEIGHTS, 3, 0.5), "have changed"),
            (WEIGHTS[:3], "4 answers were expected"),
        ],
    },
    3: {
        "right": [
            TURNS,
            [0.0628, 471],
            np.array(TURNS, dtype=np.float32),
            {"fastest": torch.tensor(0.0628), "slowest": 471.2},
        ],
        "wrong": [
            ((TURNS[1], TURNS[1]), "the slowest pair comes second", 1 / 2),
            ((6.283, TURNS[1]), "6.28 are frames"),
            ((0.01, TURNS[1]), "by 1 radian; once around"),
            ((15.92, TURNS[1]), "turns a second"),
            ((3.0, TURNS[1]), "so 3 s is not it"),
            ((TURNS[0], TURNS[0]), "the fastest pair's turn"),
            ((TURNS[0], 47117), "a hundred in a second"),
            ((TURNS[0], 74.99), "not one"),
            ((TURNS[0], 628.3), "not 32"),
            ((TURNS[0], 5.44), "2 k / 64"),
            ((TURNS[0], 1.0), "1 s is not the time"),
        ],
    },
    4: {
        "right": [
            turned,
            lambda pair, p, f: list(turned(pair, p, f)),
            lambda pair, p, f: complex(*pair.tolist()) * np.exp(1j * p * f),
            lambda pair, p, f: torch.view_as_real(
                torch.view_as_complex(pair) * torch.polar(torch.ones(1), torch.tensor([p * f]))
            ),
            lambda pair, p, f: np.array(turned(pair, p, f), np.float32),
        ],
        "wrong": [
            (lambda pair, p, f: pair, "as it went in"),
            (lambda pair, p, f: turned(pair, -p, f), "the other way round", 1 / 2),
            (lambda pair, p, f: turned(pair, p, 1.0), "the position alone"),
            (lambda pair, p, f: turned(pair, 1, f), "wherever it stands"),
            (
                lambda pair, p, f: pair + torch.tensor([np.cos(p * f), np.sin(p * f)]),
                "added, not turned in",
            ),
            (
                lambda pair, p, f: pair * torch.tensor([np.cos(p * f), np.sin(p * f)]),
                "a part of the other",
            ),
            (lambda pair, p, f: pair * np.cos(p * f), "by the cosine"),
            (lambda pair, p, f: turned(pair, p, np.pi / 180 * f), "not in degrees"),
            (lambda pair, p, f: pair * p * f, "leaves its length"),
            (lambda pair, p, f: turned(pair, p, f)[::-1], "have changed places"),
            (lambda pair, p, f: turned(pair, p, 2 * np.pi * f), "in radians already"),
            (lambda pair, p, f: pair + p, "depend on where"),
            (lambda pair, p, f: turned(pair, p, 3 * f), "alone, but the pair", 1 / 2),
            (lambda pair, p, f: [1.0, 2.0, 3.0], "the shape is (3,)"),
            (0.5, "a function was expected"),
        ],
    },
    5: {
        "right": [
            PIECE,
            [2.98, 15996, 4.0],
            np.array(PIECE),
            {"seconds": 2.984, "tokens": torch.tensor([15996]), "times": np.int64(4)},
        ],
        "wrong": [
            (but(PIECE, 0, 258), "258 are frames", 2 / 3),
            (but(PIECE, 0, 0.335), "the other way round"),
            (but(PIECE, 0, 0.746), "how long is one"),
            (but(PIECE, 0, 8), "2.98 s at"),
            (but(PIECE, 1, 258), "for every band"),
            (but(PIECE, 1, 62), "for every frame"),
            (but(PIECE, 1, 320), "do not add"),
            (but(PIECE, 1, 62 * 257), "sample 0 counts"),
            (but(PIECE, 1, 1025 * 258), "however wide"),
            (but(PIECE, 1, 100), "are not 100"),
            (but(PIECE, 2, 2), "would be two"),
            (but(PIECE, 2, 0.25), "as a share"),
            (but(PIECE, 2, 3), "the piece itself counts"),
            (but(PIECE, 2, 8), "not for 8"),
        ],
    },
    6: {
        "right": [
            gain,
            lambda rho: np.float32(gain(rho)),
            lambda rho: torch.tensor([gain(rho)]),
            lambda rho: 10 * np.log10(2) - 10 * np.log10(1 + rho),
        ],
        "wrong": [
            (lambda rho: -gain(rho), "is positive"),
            (lambda rho: 2 * gain(rho), "energies become decibels"),
            (lambda rho: gain(-rho), "do not cancel"),
            (lambda rho: 3, "nothing in common"),
            (lambda rho: gain(rho) - 6.0206, "not summed"),
            (lambda rho: gain(rho**2), "not squared"),
            (lambda rho: (1 + rho) / 2, "that is left"),
            (lambda rho: (1 - rho) / 2, "that goes"),
            (lambda rho: 1.0, "3.01 dB, not 1.00"),
            (3.0, "a function was expected"),
        ],
    },
}
