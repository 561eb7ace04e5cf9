"""Exercises of chapter 06: bands, a split, fixed lengths, reach, complex masks, overlap."""

import math
from functools import partial
from typing import Any

import torch

from ...models.bands import SPLITS, band_edges
from .. import tones
from ..exercises import Exercises, as_tensor, attempt, expect, judge_parts, need, number

exercises = Exercises("06")
check, hint = exercises.check, exercises.hint

#: the notebook's split: pairs (upper limit, width) in Hz
SPLIT = ((2000, 100), (8000, 500), (16000, 2000))


@exercises.add(
    "Walk through the pairs and remember where the last one ended. How many bands of the given"
    " width fit between there and the new limit?",
    "`(upper - lower) / width` for every pair. What lies above the last limit is one band more.",
    "`bands, lower = 1, 0`, then `for upper, width in split: bands, lower = bands + (upper - lower)"
    " // width, upper`",
)
def ex_06_1(answer: Any) -> None:
    """37 for this split, and 41 for V7: `len(band_edges("V7")) - 1` agrees."""
    for split, right in (
        (SPLIT, 37),
        *((SPLITS[name], len(band_edges(name)) - 1) for name in ("V1", "V4", "V7")),
    ):
        got = number(attempt(answer, split))
        need(got != right - 1, "the rest is missing: what lies above the last limit is a band too")
        from_zero = 1 + sum(upper / width for upper, width in split)
        need(
            got == right or got != from_zero,
            "every pair begins where the one before it ended, not at 0 Hz",
        )
        need(
            got == right or got != from_zero - 1,
            "every pair begins where the one before it ended, and the rest above is a band too",
        )
        need(
            got != len(split) and got != len(split) + 1,
            "those are the pairs; a pair stands for many bands of one width",
        )
        top = split[-1][0] / split[-1][1]
        need(
            got == right or got != top + 1,
            "all of it at the last pair's width; the lower bands are narrower",
        )
        need(got != 22050 / 100, "bands of 100 Hz up to the top; above 2 kHz they are wider")
        need(got == right, f"for {split} it gives {got:g}; there are {right} bands")


def _pairs(answer):
    """The answer as (limit, width) pairs of numbers, limits rising and widths that go into them."""
    flat = hasattr(answer, "__len__") and not isinstance(answer, (str, dict))
    need(flat and len(answer) > 0, "a split is a list of pairs (upper limit, width)")
    pairs, lower = [], 0.0
    for pair in answer:
        two = hasattr(pair, "__len__") and not isinstance(pair, (str, dict)) and len(pair) == 2
        need(two, "each entry is a pair: upper limit and width, both in Hz")
        upper, width = (number(value) for value in pair)
        need(width > 0, "a band has a width above 0 Hz")
        need(upper > lower, f"the limits must rise: {upper:g} Hz comes after {lower:g} Hz")
        count = (upper - lower) / width
        need(
            abs(count - round(count)) < 1e-6,
            f"from {lower:g} to {upper:g} Hz there is no whole number of bands of {width:g} Hz",
        )
        pairs.append((upper, width))
        lower = upper
    need(lower <= 22050, "half the sample rate is 22050 Hz; nothing lies above")
    return pairs


def _edges(pairs):
    """Where the bands begin and end, in Hz, up to half the sample rate."""
    edges = [0.0]
    for upper, width in pairs:
        edges += [edges[-1] + width * k for k in range(1, round((upper - edges[-1]) / width) + 1)]
    return edges + [22050.0] * (edges[-1] < 22050)


def every_second_band(sound: torch.Tensor, edges: list[float]) -> torch.Tensor:
    """Keep of a sound (samples,) at `tones.RATE` the first, third, ... band, by its Fourier sum."""
    hertz = torch.fft.rfftfreq(len(sound), 1 / tones.RATE, dtype=torch.float64)
    band = torch.bucketize(hertz, torch.tensor(edges, dtype=torch.float64), right=True)
    return torch.fft.irfft(torch.fft.rfft(sound) * (band % 2), len(sound))


def _hear_split(answer):
    """A bass line, and the same with every second band of the answer taken out."""
    time = torch.arange(tones.RATE, dtype=torch.float64) / tones.RATE
    fade = torch.exp(-2 * time) * (1 - torch.exp(-200 * time))
    notes = [
        sum(torch.sin(2 * math.pi * k * pitch * time) / k for k in range(1, 25)) * fade
        for pitch in (55.0, 65.4, 73.4, 82.4)
    ]
    line = 0.15 * torch.cat(notes)
    part = every_second_band(line, _edges(_pairs(answer)))
    sounds = {"a bass line": line, "every second band alone": part}
    return tones.row(sounds, "which notes and which overtones fall into one band, and go together.")


@exercises.add(
    "Where does a bass have its energy? Cut finely there, and spend as little as you can above.",
    "Ten bands below 500 Hz: how wide are they, if all are equal? Six bands are left for the rest.",
    "Begin with `(500, 50)`, and go on with two or three pairs of much wider bands.",
    hear=_hear_split,
)
def ex_06_2(answer: Any) -> None:
    """As the authors' own split for the bass: fine where it plays, and next to nothing above."""
    pairs = _pairs(answer)
    edges = _edges(pairs)
    widths = [width for _, width in pairs]
    low = sum(edge < 500 for edge in edges[:-1])
    failed = {
        f"a band of {min(widths):g} Hz has no two bins; they lie 21.5 Hz apart": (
            min(widths) < 2 * 44100 / 2048
        ),
        f"{low} bands begin below 500 Hz, where the bass plays: too few": low < 10,
        f"with what lies above the last limit these are {len(edges) - 1} bands: too many": (
            len(edges) - 1 > 16
        ),
        "higher up, no band should be narrower than one below it": widths != sorted(widths),
    }
    wrong = [reason for reason, true in failed.items() if true]
    need(not wrong, "".join(wrong[:1]), credit=1 - len(wrong) / len(failed))


@exercises.add(
    "At which samples do the frames lie? And over how many numbers does each norm go?",
    "Frames: `1 + samples // hop`. The band has 5 bins in 2 channels, so 20 real numbers. A layer"
    " norm has a weight and a bias of the shape that it normalises over: (20,) in the paper, (263,"
    " 20) in the public layout.",
    "`1 + 6 * 44100 // 512`, `2 * 20` and `2 * 263 * 20`",
)
def ex_06_3(answer: Any) -> None:
    """517 frames do not fit weights for 263: such a network takes windows of 3.04 s and nothing
    else.
    """

    def frames(value):
        slips = {
            516: "the one on sample 0 counts too",
            1 + (6 * 44100 - 2048) // 512: "the windows are centred and may reach beyond the ends,"
            " where the audio is continued",
            263: "that is the public layout's, of 3.04 s; here there are 6 s",
        }
        otherwise = "there is one every 512 samples, from sample 0 on; that is not {got:g}"
        expect(value, 517, slips, otherwise, rel=0)

    def paper(value):
        slips = {
            20: "a weight *and* a bias for each of the 20 numbers",
            10: "the bins are complex, in two channels: 20 real numbers, with a weight and a bias"
            " each",
            400: "a norm has no matrix: each number has one weight and one bias",
        }
        expect(value, 40, slips, "{got:g} is not a weight and a bias for each of 20 numbers", rel=0)

    def public(value):
        slips = {
            263 * 20: "a weight *and* a bias, for each of 20 numbers in each of 263 frames",
            40: "that is the paper's; the public layout has them for each of 263 frames",
            517 * 40: "the layout has 263 frames, however long the audio",
        }
        expect(value, 263 * 40, slips, "{got:g} is not 263 times the paper's norm", rel=0)

    judge_parts(answer, {"frames": frames, "paper's norm": paper, "public norm": public})


@exercises.add(
    "The RNN over time runs along one band, from the first frame to the last and back. Does it see"
    " other bands?",
    "Over time: all frames of one band. Over bands: all bands of one frame. Then the second RNN"
    " spreads what the first one has spread.",
    "`(frames, bands, bands * frames)`",
)
def ex_06_4(answer: Any) -> None:
    """Two RNNs across each other reach everything: a row, then every column."""

    def over_time(value):
        slips = {
            41: "the RNN over time stays within its band",
            150: "the RNN is bidirectional: it also carries what it has seen backwards, to earlier"
            " frames",
            1: "the change travels: an RNN hands it on from frame to frame",
            299: "the changed cell counts too",
        }
        otherwise = "the change travels along its band of 300 frames, so {got:g} is not it"
        expect(value, 300, slips, otherwise, rel=0)

    def over_bands(value):
        slips = {
            300: "the RNN over bands stays within its frame",
            1: "the change travels, band by band",
        }
        otherwise = "the change travels along its frame of 41 bands, so {got:g} is not it"
        expect(value, 41, slips, otherwise, rel=0)

    def both(value):
        slips = {
            340: "340 is a row and a column. But the RNN over bands starts from *every* frame that"
            " the first one has changed",
            341: "a row and a column, and one cell twice; every frame of the row starts anew",
        }
        expect(
            value,
            12300,
            slips,
            "every frame of the row spreads over all bands; that is not {got:g}",
            rel=0,
        )

    judge_parts(answer, {"(a)": over_time, "(b)": over_bands, "(c)": both})


@exercises.add(
    "The complex mask turns X into S: which number times X is S?",
    "A real mask can only make X longer or shorter. The nearest point to S on the line through X is"
    " at the real part of S / X.",
    "`M = S / X`, `m = M.real`, `error = abs(S - m * X)`",
)
def ex_06_5(answer: Any) -> None:
    """No real number does better: whatever is at right angles to X stays wrong. A magnitude mask
    cannot turn.
    """
    X, S = 1 + 1j, 2j

    def complex_mask(value):
        found = as_tensor(value)
        need(found.numel() == 1, f"one number was expected, not {found.numel()}")
        M = complex(found.reshape(()).item())
        need(M == M, "that is not a number (NaN)")
        need(abs(M - X / S) > 1e-3, "that is X / S, which would turn S into X")
        need(abs(M - abs(S / X)) > 0.005, "a length alone: the complex mask turns X as well")
        need(abs(M - (S - X)) > 1e-3, "a mask multiplies; S - X would have to be added")
        need(abs(M - S / X) < 1e-3, f"{M:g} times X is {M * X:g}, not S")

    def real_mask(value):
        m = number(value)
        need(
            not math.isclose(m, abs(S / X), abs_tol=0.005),
            "|S| / |X| gives the right length, but pointing along X; a shorter vector comes nearer"
            " to S",
        )
        need(not math.isclose(m, 0, abs_tol=1e-3), "at 0 the error is all of S; it can be smaller")
        need(
            math.isclose(m, 1, abs_tol=1e-3),
            f"with {m:g} the error is {abs(S - m * X):.2f}, and there is a better one",
        )

    def error(value):
        slips = {
            2: "that is its square; the distance |S - m X| was asked for",
            0: "only the complex mask makes it zero",
            -math.sqrt(2): "a distance is not negative",
        }
        otherwise = "|S - m X| with the best m is not {got:g}"
        expect(value, abs(S - 1 * X), slips, otherwise, rel=0.005)

    judge_parts(answer, {"M": complex_mask, "m": real_mask, "error": error})


def _hear_ripple(answer):
    """A steady tone at the answer's two gains in turn, beside the same tone without ripple."""
    gains = [10 ** (number(part) / 20) for part in answer]
    tone = tones.tone(440, 3.0)
    turns = (torch.arange(len(tone)) * 4 // tones.RATE % 2).bool()  # four a second
    rippled = torch.where(turns, gains[1] * tone, gains[0] * tone)
    sounds = {"a steady tone": tone, "with your two gains in turn": rippled}
    return tones.row(sounds, "how the tone throbs, twice a second.")


@exercises.add(
    "Where n windows overlap, n copies of the sound are added, and the sum is divided by 5.614.",
    "Amplitudes become decibels with 20 log10.",
    "`20 * math.log10(5 / 5.614)` and `20 * math.log10(6 / 5.614)`",
    hear=_hear_ripple,
)
def ex_06_6(answer: Any) -> None:
    """A song that is 1.6 dB louder and softer, twice a second: the division must be by the number
    of windows that are there.
    """

    def overlap(count, value):
        ratio = count / 5.614
        right = 20 * math.log10(ratio)
        slips = {
            right / 2: "copies of a sound add up in amplitude: 20 log10, not 10 log10",
            -right: "the fraction is upside down: copies are divided by 5.614",
            ratio: "that is a factor; decibels were asked for",
            20 * math.log10((11 - count) / 5.614): f"that is where {11 - count} windows overlap",
            20 * math.log10(count): "and then they are divided by 5.614",
            20 * math.log(ratio): "decibels have the logarithm to base 10",
        }
        otherwise = f"{count} copies divided by 5.614 are not {{got:g}} dB"
        expect(value, right, slips, otherwise, rel=0, tolerance=0.01)

    judge_parts(answer, {"five": partial(overlap, 5), "six": partial(overlap, 6)})
