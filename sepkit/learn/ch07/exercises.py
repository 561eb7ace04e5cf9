"""Exercises of chapter 07: counting and making remixes, SNR gains, targets, verdicts, seeds."""

import math
from functools import partial
from typing import Any

import numpy as np
import torch

from ...metrics import usdr
from ...metrics.statistics import sign_flip
from .. import tones
from ..exercises import Exercises, as_tensor, attempt, expect, judge_parts, need, number
from ..words import counted

exercises = Exercises("07")
check, hint = exercises.check, exercises.hint

#: exercise 5: one difference in SDR a song (dB), trained with remixing minus without
CASES = {
    "A": (0.4, 0.2, 0.5, 0.3, 0.1, 0.6, 0.3, 0.2),
    "B": (7.4, -0.2, 0.3, -0.1, 0.2, -0.3, 0.1, -0.2),
    "C": (1.9, 2.1, 1.7, 2.2, 2.0),
}


@exercises.add(
    "The vocals may come from any of the songs, the drums from any of them too, whichever it was"
    " for the vocals, and so on.",
    "Whichever song the vocals come from: how likely is it that the drums come from the same one?"
    " And the bass? And the rest?",
    "`songs ** 4` and `(1 / songs) ** 3`",
)
def ex_07_1(answer: Any) -> None:
    """331 776 out of 24, and one remix in 13 824 is a real combination: there is hardly any real
    music in a remixed epoch.
    """

    def mixtures(value):
        slips = {
            24 * 4: "choices for several stems multiply, they do not add up",
            24 * 23 * 22 * 21: "a song may give several stems, so every stem has 24 choices",
            4**24: "24 choices, made four times; not four choices, made 24 times",
            24**3: "the first stem chooses too: four choices, not three",
            24**4 - 24: "the real songs are among the combinations",
        }
        otherwise = "24 choices for each of four stems are not {got:g}"
        expect(value, 24**4, slips, otherwise, rel=1e-6)

    def same(value):
        got = number(value)
        need(0 <= got <= 1, f"{got:g} does not lie between 0 and 1")
        slips = {
            1 / 24**4: "that is one certain song; any of the 24 will do",
            1 / 24: "the vocals choose freely, but *three* other stems must follow them",
            4 / 24: "three conditions at once multiply, they do not add up",
        }
        otherwise = "three stems must come from the song of the vocals; that is not {got:g}"
        expect(got, 1 / 24**3, slips, otherwise)

    judge_parts(answer, {"mixtures": mixtures, "probability": same})


@exercises.add(
    "Treat one stem after the other: which examples does stem s come from?",
    "An index may be a list of numbers: `stems[order, s]` picks, for stem s, the examples in an"
    " order. Put the results side by side along the axis of the stems, which is axis 1.",
    "`torch.stack([stems[orders[s], s] for s in range(stems.shape[1])], dim=1)`",
)
def ex_07_2(answer: Any) -> None:
    """No stem is lost, none occurs twice, each stays in its place: only who plays with whom has
    changed. It costs no reading at all.
    """
    batch, count = 6, 4
    # every number says whose it is: example, stem, channel; one stem of one example is silent
    stems = torch.arange(batch * count * 2.0).view(batch, count, 2, 1) - 7.0 + torch.zeros(3)
    stems[2, 1] = 0
    # (S, B): stem s by s + 1 places
    orders = torch.stack([torch.arange(batch).roll(s + 1) for s in range(count)])
    got = as_tensor(attempt(answer, stems.clone(), orders.clone()), stems.shape).to(stems.dtype)
    right = torch.stack([stems[orders[s], s] for s in range(count)], dim=1)

    def is_(other):
        return torch.equal(got, other)

    need(
        not is_(stems),
        "nothing has changed: stem s of example b should come from example orders[s][b]",
    )
    together = any(is_(stems[order]) for order in orders)
    need(
        not together, "all stems follow one order: the songs have changed places, and none is mixed"
    )
    need(
        not is_(torch.stack([stems[b, orders[:, b] % count] for b in range(batch)])),
        "stems have changed places within an example: the vocals must stay in place 0",
    )
    need(
        not any(is_(stems.roll(shift, 1)) for shift in range(1, count)),
        "the stems of each example have moved one place: the vocals must stay in place 0",
    )
    need(
        not is_(torch.stack([stems[orders[s].argsort(), s] for s in range(count)], dim=1)),
        "the orders are used backwards: what is in example b should come from example orders[s][b]",
    )
    need(
        not is_(right.flip(2)),
        "left and right are exchanged; only the examples should change places",
    )
    need(
        not is_(right.sum(1, keepdim=True).expand_as(right)),
        "that is the mixture; the stems were asked for, each by itself",
    )
    need(
        not is_(right / count), "the samples have been scaled; the stems stay as loud as they were"
    )
    need(
        is_(right),
        "stem s of example b should be stem s of example orders[s][b]; that is not so for all of"
        " them",
    )


def _hear_snr(answer):
    """The answer's gain, for a voice over drums at +10 and -10 dB."""
    speech, music = 0.3 * tones.voice()[None], tones.drum()[None]
    sounds = {"as they are": speech + music}
    for snr in (10.0, -10.0):
        gain = number(attempt(answer, speech.float(), music.float(), snr))
        sounds[f"SNR {snr:+g} dB, by your gain"] = gain * speech + music
    return tones.row(sounds, "who leads: the singer at +10 dB, the drum at -10 dB.")


@exercises.add(
    "Of which two energies is the SNR a ratio, and what does a gain do to one of them?",
    "SNR = 10 log10(speech energy / music energy). A gain g multiplies the energy of the speech by"
    " g squared: 10 log10(g² S / M) should be `snr`. Solve for g.",
    "`torch.sqrt(music.square().sum() / speech.square().sum()) * 10 ** (snr / 20)`",
    hear=_hear_snr,
)
def ex_07_3(answer: Any) -> None:
    """`SpeechRemix` scales the music instead; after the mixture is normalised, nobody can tell the
    difference.
    """
    generator = torch.Generator().manual_seed(7)
    for snr, level in ((5.0, 0.3), (-5.0, 2.0)):
        speech, music = (torch.randn(2, 8000, generator=generator) for _ in range(2))
        speech = speech * torch.tensor([[level], [0.1]])  # unequal channels, then silence
        speech[:, 5000:] = 0
        gain = number(attempt(answer, speech, music, snr))
        energies = float(speech.square().sum()), float(music.square().sum())
        right = math.sqrt(energies[1] / energies[0]) * 10 ** (snr / 20)
        need(gain > 0, f"a gain above 0 was expected, not {gain:g}")
        need(
            not math.isclose(gain, 10 ** (snr / 20), rel_tol=1e-3),
            "that brings two *equally loud* sounds to the SNR; these two are not",
        )
        need(
            not math.isclose(
                gain, math.sqrt(energies[1] / energies[0]) * 10 ** (snr / 10), rel_tol=1e-3
            ),
            "10 ** (snr / 10) is a ratio of energies; a gain multiplies amplitudes, so it takes snr"
            " / 20",
        )
        need(
            not math.isclose(gain, energies[1] / energies[0] * 10 ** (snr / 20), rel_tol=1e-3),
            "the ratio of the energies needs its square root; 10 ** (snr / 20) is right",
        )
        need(
            not math.isclose(gain, right**2, rel_tol=1e-3),
            "that is the gain of the energy; take its square root",
        )
        need(
            not math.isclose(
                gain, math.sqrt(energies[1] / energies[0]) * 10 ** (-snr / 20), rel_tol=1e-3
            ),
            "the sign is turned: this is the right distance, with the music that much above the"
            " speech",
        )
        need(
            not math.isclose(gain, 1 / right, rel_tol=1e-3),
            "that gain belongs to the music; the speech was asked for",
        )
        need(
            not math.isclose(gain, float(music.std() / speech.std()), rel_tol=1e-3),
            "that makes both equally loud: `snr` is missing",
        )
        left = float(music[0].norm() / speech[0].norm()) * 10 ** (snr / 20)
        need(
            not math.isclose(gain, left, rel_tol=1e-3),
            "that is the left channel alone; take the energies over both",
        )
        reached = 10 * math.log10(gain**2 * energies[0] / energies[1])
        need(
            math.isclose(gain, right, rel_tol=1e-3),
            f"with this gain the SNR is {reached:.1f} dB instead of {snr:g} dB",
        )


@exercises.add(
    "The estimate is g s, the target s. What is left is (1 - g) s: which part of the target's"
    " energy is that?",
    "SDR = -20 log10|1 - g|. For the second, 20 dB are a factor of 10 in amplitude.",
    "`-20 * math.log10(1 - 0.5)`, and 1 - g = 0.1",
)
def ex_07_4(answer: Any) -> None:
    """A gain of a tenth too little is enough to hold a perfect network down at 20 dB, and the
    mixture does not tell it.
    """
    voice = tones.voice(1.0)[None]

    def score(value):
        slips = {
            3.0103: "energies are squares of amplitudes: 20 log10",
            -6.0206: "the sign is turned; the target is stronger than the error",
            0: "0 dB is silence; half of it is there",
            12.0412: "the error has half the amplitude, a quarter of the energy: 6 dB",
        }
        got = number(value, finite=False)
        need(math.isfinite(got), "infinite it is only with one gain for both")
        right = float(usdr(voice, 0.5 * voice))
        otherwise = "measured on a voice at half the amplitude it is not {got:g} dB"
        expect(got, right, slips, otherwise, rel=0, tolerance=0.05)

    def gain(value):
        got = number(value)
        need(not math.isclose(got, 0.1, abs_tol=1e-3), "0.1 is what is *missing*, 1 - g")
        need(
            not math.isclose(got, 0.99, abs_tol=1e-3),
            "20 dB are a factor of 100 in energy, but only of 10 in amplitude",
        )
        need(got != 1, "with 1 the score is infinite")
        need(
            math.isclose(got, 0.9, abs_tol=1e-3) or math.isclose(got, 1.1, abs_tol=1e-3),
            f"with {got:g} the score, measured, is {float(usdr(voice, got * voice)):.1f} dB",
        )

    judge_parts(answer, {"score": score, "gain": gain})


@exercises.add(
    "Look at the signs before you look at the means. How many sign patterns does each number of"
    " songs have?",
    "`statistics.sign_flip(CASES['A']).p` does the counting. Five songs have 2^5 = 32 patterns, and"
    " two of them are the most extreme.",
    "A: all eight point the same way, p = 2 / 256. B: one song makes the mean. C: p = 2 / 32 ="
    " 0.0625.",
)
def ex_07_5(answer: Any) -> None:
    """The largest mean was no proof, and the smallest effect was. C may well be true: ask for more
    songs.
    """
    p = {name: sign_flip(values).p for name, values in CASES.items()}
    slips = {
        "A": {
            "undecided": f"small, but every song points the same way (p = {p['A']:.3f}): chance"
            " does that once in 128 times",
            "fails": "every song gains; how could that speak against it?",
        },
        "B": {
            "holds": "the mean of +0.9 dB is one single song; the other seven go up and down (p ="
            f" {p['B']:.2f})",
            "fails": "the mean is positive, so this is no evidence that remixing does harm either",
        },
        "C": {
            "holds": f"five songs have 32 sign patterns, p cannot fall below 2/32 (here"
            f" {p['C']:.4f}): more songs are needed",
            "fails": "all five songs gain; that cannot speak against it",
        },
    }

    def verdict(slips, value):
        need(
            isinstance(value, str),
            "choose one of the words 'holds', 'fails' and 'undecided', in quotation marks",
        )
        word = value.strip().lower()
        need(
            word in ("holds", "fails", "undecided"),
            f"choose from 'holds', 'fails' and 'undecided'; {word!r} is none of them",
        )
        need(word not in slips, slips.get(word, ""))

    judge_parts(answer, {name: partial(verdict, slips[name]) for name in CASES})


#: exercise 6: standard deviations (dB) of songs, seeds and the rest, and the number of songs
_PARTS, _SONGS, _ASKED = (0.3, 0.2, 0.4), 24, 0.12


def _standard_error(seeds):
    a, b, e = _PARTS
    return math.sqrt(a**2 / _SONGS + b**2 / seeds + e**2 / (_SONGS * seeds))


def _scatter(seeds):
    """How far the means of tables (songs, seeds) scatter that were drawn with dice, in dB."""
    tables = min(20_000, 400_000 // seeds)  # so many that their own luck is in the third decimal
    dice, (a, b, e) = np.random.default_rng(7), _PARTS
    songs = a * dice.standard_normal((tables, _SONGS)).mean(1)
    luck = b * dice.standard_normal((tables, seeds)).mean(1)
    rest = e * dice.standard_normal((tables, _SONGS, seeds)).mean((1, 2))
    return float((songs + luck + rest).std())


@exercises.add(
    "Every part is averaged over what it varies with: the songs' over songs, the seeds' over"
    " seeds, the rest over both. Which parts does one more seed make smaller?",
    "Variances add up: 0.3² / songs + 0.2² / seeds + 0.4² / (songs × seeds), and the root"
    " of the sum. A number that grows without end makes its part vanish.",
    "`standard_error((0.3, 0.2, 0.4), 24, 1)`, the same with 2, 3, ... in the place of 1, and with"
    " a million in the place of the seeds or of the songs.",
)
def ex_07_6(answer: Any) -> None:
    """Drawn with dice, tables of 24 songs scatter as far as you predicted. A second seed brings
    more here than any number of further songs.
    """
    a, b, e = _PARTS

    def one_seed(value):
        slips = {
            _standard_error(1) ** 2: "that is the variance; take its root",
            math.hypot(a, b, e): "that is how far single differences scatter; 24 are averaged",
            math.hypot(a, b, e) / math.sqrt(_SONGS): "all 24 songs share the one seed: its part"
            " is not averaged over songs",
            math.hypot(a / math.sqrt(_SONGS), b): "the rest is missing, 0.4 dB over 24 songs",
            a / math.sqrt(_SONGS): "that is the songs' part alone",
        }
        otherwise = f"tables drawn with dice scatter by {_scatter(1):.3f} dB, not by {{got:g}}"
        expect(value, _standard_error(1), slips, otherwise, rel=0.03)

    def needed(value):
        seeds = number(value)
        need(seeds == int(seeds) and 1 <= seeds <= 1000, "a whole number from 1 to 1000, please")
        seeds = int(seeds)
        scatter = f"tables drawn with dice scatter by {_scatter(seeds):.3f} dB"
        told = f"with {counted(seeds, 'seed')}, {scatter}"
        need(_standard_error(seeds) <= _ASKED, f"{told}, which is too far")
        need(
            seeds == 1 or _standard_error(seeds - 1) > _ASKED,
            f"{told}: enough, and fewer seeds are enough too",
        )

    def songs_stay(value):
        slips = {
            0.0: "24 songs stay 24 songs: their part is not averaged over seeds",
            a: "that is a single song; 24 are averaged",
            a**2 / _SONGS: "the variance again; its root was asked for",
            b: "that is the seeds' part, the one that vanishes",
        }
        otherwise = "with very many seeds only 0.3 dB over 24 songs is left, which is not {got:g}"
        expect(value, a / math.sqrt(_SONGS), slips, otherwise, rel=0.03)

    def seed_stays(value):
        slips = {
            0.0: "more songs do not make a second seed",
            b**2: "a variance; its root is left",
            math.hypot(b, e): "the rest is averaged over the songs, and vanishes",
        }
        otherwise = "with very many songs only the one seed is left, which is not {got:g}"
        expect(value, b, slips, otherwise, rel=0.02)

    judge_parts(
        answer,
        {
            "one seed": one_seed,
            "seeds needed": needed,
            "24 songs, many seeds": songs_stay,
            "one seed, many songs": seed_stays,
        },
    )
