"""Exercises of chapter 02: a voice turned down, masks by hand, SDR foretold, the best real mask,
precision and recall.
"""

from functools import partial
from typing import Any

import numpy as np
import torch

from ... import masks
from ...metrics import sdr
from ...stft import STFT
from .. import tones
from ..exercises import Exercises, as_tensor, attempt, expect, judge_parts, need

exercises = Exercises("02")
check, hint = exercises.check, exercises.hint


def _hear_turned_down(answer):
    """The answer's mask at work on a voice and a drum."""
    voice, drum = tones.voice()[None].float(), tones.drum()[None].float()
    transform = STFT(1024, 256)
    S, N = transform(voice), transform(drum)
    mask = masks.oracle_mask("irm2", S, S + N, [N])
    sounds = {"the mixture": voice + drum}
    for db in (-12, 6):
        changed = as_tensor(attempt(answer, mask, db), mask.shape).float()
        sounds[f"voice at {db:+} dB, with your mask"] = transform.inverse(
            changed * (S + N), voice.shape[-1]
        )
    return tones.row(sounds, "the voice, which changes, and the drum, which should not.")


@exercises.add(
    "The mask of the voice says which share of a bin is voice. What happens to that share, and what"
    " to the rest?",
    "The share `mask` is multiplied by a gain, the share `1 - mask` by 1. Decibels of amplitude"
    " become a gain by `10 ** (db / 20)`.",
    "`gain * mask + (1 - mask)` with `gain = 10 ** (db / 20)`",
    hear=_hear_turned_down,
)
def ex_02_1(answer: Any) -> None:
    """At 0 dB nothing changes, far below it becomes karaoke, and above 0 dB the singer steps
    forward.
    """
    mask = torch.tensor([[0.0, 0.3, 1.0], [0.5, 0.9, 0.1]], dtype=torch.float64)
    for db in (-12.0, 6.0):
        got = as_tensor(attempt(answer, mask.clone(), db), mask.shape)
        gain = 10 ** (db / 20)

        def is_(other, got=got):
            return torch.allclose(got, as_tensor(other).expand_as(got), atol=1e-4)

        need(not got.is_complex(), "a gain is real: a complex mask would turn the phase as well")
        need(not is_(gain * mask), "that is the voice alone, turned down: the rest has gone")
        need(not is_(1 - mask), "that takes the voice out altogether, whatever `db` is")
        need(not is_(gain + 0 * mask), "that turns the whole mixture down, voice and rest alike")
        need(
            not is_(1 + (10 ** (db / 10) - 1) * mask),
            "`10 ** (db / 10)` is a ratio of powers; a mask multiplies amplitudes",
        )
        need(not is_(1 + (db - 1) * mask), "decibels are no factors: 6 dB is twice, not six times")
        need(not is_(1 + (1 / gain - 1) * mask), "the sign of `db` is turned: -12 is quieter")
        need(
            not is_(mask + gain * (1 - mask)),
            "that turns the rest down and keeps the voice: the two shares are exchanged",
        )
        need(not is_(1 + gain * mask), "the voice is there twice: once in the 1, once scaled")
        need(
            is_(1 + (gain - 1) * mask),
            f"a bin that is half voice, {db:+g} dB: {float(got[1, 0]):.3f} is not half of the gain"
            " and half of 1",
        )


#: exercise 2: (voice, the rest) of two bins, and what slips lead to for IBM, IRM1, IRM2 and PSM
_POWERS, _MAGNITUDES = "IRM1 shares magnitudes, not powers", "IRM2 shares powers, not magnitudes"
_BINS: dict[str, tuple[Any, ...]] = {
    "right angle": (
        (3, 4j),
        {0: "the voice has more than half of |X| = 5"},
        {9 / 25: _POWERS, 4 / 7: "that is the rest's share", 3 / 5: "|X| is not |S| + |N|"},
        {3 / 7: _MAGNITUDES, 16 / 25: "that is the rest's share", 9 / 49: "square, then add"},
        {
            3 / 5: "that is |S| / |X|, without the cosine of the angle",
            16 / 25: "the real part of S / X, not one minus it",
        },
    ),
    "opposed": (
        (3, -1),
        {0: "the voice has more than half of |X| = 2"},
        {9 / 10: _POWERS, 1 / 4: "that is the rest's share", 3 / 2: "|X| is not |S| + |N|"},
        {
            3 / 4: _MAGNITUDES,
            1 / 10: "that is the rest's share",
            9 / 16: "square, then add",
            9 / 4: "that is |S|² over |X|²; the powers to be added are those of S and N",
        },
        {
            3 / 2: "the mask is held between 0 and 1",
            2 / 3: "S / X, not X / S",
            0: "the two oppose each other, but the voice is the stronger: X points as S does",
        },
    ),
}


@exercises.add(
    "Draw the two arrows and their sum, the mixture. Which lengths does each mask need?",
    "In the first bin |S| = 3, |N| = 4 and |X| = 5; in the second |S| = 3, |N| = 1 and |X| = 2."
    " Only the phase-sensitive mask needs the angle: Re(S / X), held between 0 and 1.",
    "first: `1, 3 / 7, 9 / 25`, and `(3 / (3 + 4j)).real`; second: `1, 3 / 4, 9 / 10`, and 3 / 2 is"
    " held at 1.",
)
def ex_02_2(answer: Any) -> None:
    """Measured with the package's masks, the same. At a right angle the phase-sensitive mask *is*
    IRM2: Wiener's mask is what is best when the angles are random.
    """
    judges = {}
    for place, ((S, N), *slips) in _BINS.items():
        for mask, slip in zip(("IBM", "IRM1", "IRM2", "PSM"), slips):
            s, n = (torch.full((1, 1, 1), complex(z), dtype=torch.complex64) for z in (S, N))
            right = float(masks.oracle_mask(mask.lower(), s, s + n, [n]).real)
            otherwise = f"S = {S}, N = {N}: the mask is not {{got:g}}"
            judges[f"{place}, {mask}"] = partial(
                expect, right=right, slips=slip, otherwise=otherwise
            )
    judge_parts(answer, judges)


def _measured_sdr(gain=1.0, noise=0.0):
    s = tones.voice(1.0)[None]
    n = torch.randn(s.shape, dtype=s.dtype, generator=torch.Generator().manual_seed(2))
    n = n - (n * s).sum() / s.square().sum() * s
    return float(sdr(s, gain * s + noise * s.norm() / n.norm() * n))


@exercises.add(
    "What is the error, reference minus estimate, in each case? How large is it against the"
    " reference?",
    "Twice as loud leaves an error as large as the reference; turned over, one twice as large; at a"
    " tenth of the amplitude, 0.9 of it. Energies are squares.",
    "`20 * log10(1 / 1)`, `20 * log10(1 / 2)`, `20 * log10(1 / 0.9)`, `10 * log10(1 / 0.01)`",
)
def ex_02_3(answer: Any) -> None:
    """Measured on a voice: 0, -6, 0.9 and 20 dB. A perfect separation at a wrong level scores like
    silence, and one that nobody can tell from the reference by ear, -6 dB.
    """

    def twice(value):
        slips = {
            6.02: "it is *louder* by 6 dB; the SDR asks how large the error is, and that is one"
            " whole reference",
            -6.02: "the error is as large as the reference, not twice as large",
        }
        expect(value, _measured_sdr(2), slips, "measured on a voice it is not {got:g} dB", 0, 0.3)

    def turned(value):
        slips = {
            0: "0 dB is what silence scores; reference minus estimate is twice the reference here",
            6.02: "the error is the larger of the two, so the SDR is negative",
            -3.01: "the error has twice the amplitude, so four times the energy: 10 log10 of 1/4",
        }
        expect(value, _measured_sdr(-1), slips, "measured on a voice it is not {got:g} dB", 0, 0.3)

    def tenth(value):
        slips = {
            20: "what is *missing* counts: nine tenths of the reference",
            -20: "the level falls by 20 dB, but the error is at most the reference itself",
        }
        expect(value, _measured_sdr(0.1), slips, "measured on a voice it is not {got:g} dB", 0, 0.3)

    def leak(value):
        slips = {
            40: "a hundredth is a share of *energy* here: 10 log10, not 20",
            -20: "the reference is the stronger one, so the SDR is positive",
        }
        made = _measured_sdr(1, 0.1)
        expect(value, made, slips, "measured with noise as the leak it is not {got:g} dB", 0, 0.3)

    judge_parts(
        answer, {"twice as loud": twice, "turned over": turned, "a tenth": tenth, "leak": leak}
    )


_LIMITS = ((0.0, 1.0), (-2.0, 2.0), (-0.5, 3.0))


def _heard_bins():
    """S and X (1, bins, frames) of a voice and a drum as loud."""
    voice, drum = tones.voice()[None].float(), tones.drum()[None].float()
    transform = STFT(1024, 256)
    S, N = transform(voice), transform(drum * voice.norm() / drum.norm())
    return transform, voice, S, S + N


def _best_mask(S, X, lowest, highest):
    silent = X == 0
    ratio = (S / torch.where(silent, torch.ones_like(X), X)).real
    return torch.where(silent, torch.zeros_like(ratio), ratio.clamp(lowest, highest))


def gains_of_wider_limits() -> tuple[float, float]:
    """SDR of a voice in a drum, cut out by the best real mask from 0 to 1, and from -2 to 2."""
    transform, voice, S, X = _heard_bins()
    low, high = (
        float(sdr(voice, transform.inverse(_best_mask(S, X, *limits) * X, voice.shape[-1])))
        for limits in _LIMITS[:2]
    )
    return low, high


def _hear_best(answer):
    """The answer's mask with two pairs of limits."""
    transform, voice, S, X = _heard_bins()
    sounds = {"the mixture": transform.inverse(X, voice.shape[-1])}
    for low, high in _LIMITS[:2]:
        mask = as_tensor(attempt(answer, S, X, low, high), S.shape).float()
        sounds[f"your mask, {low:g} to {high:g}"] = transform.inverse(mask * X, voice.shape[-1])
    return tones.row(sounds, "how much of the drum is left with either mask.")


@exercises.add(
    "Section 4 found the real number that brings M X nearest to S. Which one is it? What is the"
    " best that is left if that number lies outside the limits?",
    "The error is a parabola in M, lowest at the real part of S / X, and it rises on both sides. So"
    " beyond a limit the limit itself is best. Mind that X can be 0.",
    "`(S / X).real.clamp(lowest, highest)`, with 0 where `X == 0`; `torch.where` chooses.",
    hear=_hear_best,
)
def ex_02_4(answer: Any) -> None:
    """Measured on a voice and a drum that is as loud: an SDR of 18.5 dB with limits of 0 and 1, of
    20.3 dB with -2 and 2, and hardly more without any. So `psm` is a ceiling for masks between 0
    and 1 only. What then is left of the error is the angle, which no real mask can mend.
    """
    S = torch.tensor([[3, 3, -1, 2 + 2j], [0.5j, 1 + 1j, 2, 0]], dtype=torch.complex128)
    N = torch.tensor([[4j, -1, 3, -1 - 2j], [1, -1.8 - 1j, -1.5, 0]], dtype=torch.complex128)
    X = S + N
    silent = X == 0
    divisor = torch.where(silent, torch.ones_like(X), X)
    clipped = (S / divisor).real.clamp(0, 1)
    for lowest, highest in _LIMITS:
        got = as_tensor(attempt(answer, S.clone(), X.clone(), lowest, highest), S.shape)
        right = _best_mask(S, X, lowest, highest)

        def is_(other, got=got):
            both = (got[~silent].to(X.dtype), other[~silent].to(X.dtype))
            return torch.allclose(*both, atol=1e-4)

        def cut(values, lowest=lowest, highest=highest):
            return values.clamp(lowest, highest)

        told = {
            "a real mask was asked for: S / X turns the phase as well": S / divisor,
            "its values go beyond the limits": (S / divisor).real,
            "that is |S| / |X|, which does not look at the angle": cut((S / divisor).abs()),
            "that is the other way round: S / X, not X / S": cut(
                (X / torch.where(S == 0, torch.ones_like(S), S)).real
            ),
            "that is a ratio mask, IRM1": cut(S.abs() / (S.abs() + N.abs()).clamp_min(1e-20)),
            "that is a ratio mask, IRM2": cut(
                S.abs() ** 2 / (S.abs() ** 2 + N.abs() ** 2).clamp_min(1e-20)
            ),
            "a conjugate is missing: Re(S X) is not Re(S) along X": cut(
                (S * X).real / divisor.abs() ** 2
            ),
            "divide by the square of |X|: with |X| alone it grows with the level": cut(
                (S * X.conj()).real / divisor.abs()
            ),
            "limits cut a mask; they do not stretch it": lowest + (highest - lowest) * clipped,
            "that is the part at right angles to the mixture": cut((S / divisor).imag),
            "the sign is lost: where waves cancel a negative value may be best": cut(
                (S / divisor).real.abs()
            ),
        }
        for because, slip in told.items():
            need(is_(right) or not is_(slip), because)
        need(not got.is_complex() or is_(right), "a mask with an imaginary part is not real")
        need(
            is_(right) or not is_(clipped),
            f"it keeps to 0 and 1 whatever the limits are; here they are {lowest:g} and"
            f" {highest:g}",
        )
        wrong = (got.real - right).abs() > 1e-4
        place = tuple(int(i) for i in (wrong & ~silent).nonzero()[0]) if not is_(right) else (0, 0)
        need(
            is_(right),
            f"S = {_plain(S[place])}, X = {_plain(X[place])}, limits {lowest:g} and {highest:g}:"
            f" {float(got.real[place]):.3f} is not the value that brings M X nearest to S",
        )
        need(
            bool((got.real[silent] == 0).all()),
            "right wherever something sounds; where X is 0, 0 / 0 is not a number: give 0 there",
            credit=0.5,
        )


def _plain(z):
    """A complex number as one writes it, such as 3 + 4i."""
    re, im = float(z.real), float(z.imag)
    return f"{re:g}" if im == 0 else f"{re:g} {'-' if im < 0 else '+'} {abs(im):g}i"


#: the toy masks of the notebook's exercise
ESTIMATED = np.array([[0.9, 0.7, 0.2], [0.6, 0.4, 0.1], [0.8, 0.3, 0.5]])
IDEAL = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]])


@exercises.add(
    "At threshold 0.5, take every bin with a value of 0.5 or more. How many are that? How many of"
    " them are ones in `IDEAL`?",
    "Precision: of what was taken, how much is right? Recall: of what is right, how much was"
    " taken?",
    "Five bins are taken, three of them rightly. `IDEAL` has four ones.",
)
def ex_02_5(answer: Any) -> None:
    """Of five taken bins three are the target's, and of its four bins three were taken."""

    def precision(value):
        slips = {
            0.75: "a value of exactly 0.5 reaches the threshold, so five bins are taken, not four",
            1 / 3: "three of the bins that were *taken*, not of all nine",
            0.8: "five bins are taken, and three of them are ones, not four",
            3: "that is how many are right; their share was asked for",
            60: "that is in per cent; a share lies between 0 and 1",
        }
        expect(value, 0.6, slips, "of the bins that were taken, {got:g} is not the target's share")

    def recall(value):
        slips = {
            0.6: "of the bins that *are* the target's; that is the precision",
            1 / 3: "three of the target's bins, not of all nine",
            0.5: "three of the four ones were taken, not two",
            75: "in per cent; a share lies between 0 and 1",
        }
        expect(value, 0.75, slips, "of the target's four bins, {got:g} is not the share taken")

    judge_parts(answer, {"precision": precision, "recall": recall})
