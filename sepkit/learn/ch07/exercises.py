"""Exercises of chapter 07: counting remixes, remixing a batch, SNR gains, targets, verdicts."""

import math
from typing import Any

import torch

from ..exercises import Exercises, attempt, need

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
    mixtures, same = (float(part) for part in answer)
    need(mixtures != 24 * 4, "mixtures: choices for several stems multiply, they do not add up")
    need(
        mixtures != 24 * 23 * 22 * 21,
        "mixtures: a song may give several stems, so every stem has 24 choices",
    )
    need(
        mixtures != 4**24, "mixtures: 24 choices, made four times; not four choices, made 24 times"
    )
    need(mixtures == 24**4, f"mixtures: 24 choices for each of four stems are not {mixtures:g}")
    need(
        not math.isclose(same, 1 / 24**4, rel_tol=1e-3),
        "probability: that is one certain song; any of the 24 will do",
    )
    need(
        not math.isclose(same, 1 / 24, rel_tol=1e-3),
        "probability: the vocals choose freely, but *three* other stems must follow them",
    )
    need(0 <= same <= 1, f"probability: {same:g} does not lie between 0 and 1")
    right = math.isclose(same, 1 / 24**3, rel_tol=1e-2)
    need(
        right,
        f"probability: three stems must come from the song of the vocals; that is not {same:g}",
    )


@exercises.add(
    "`stems[orders[s], s]` picks, for stem s, the examples in the order that is wanted.",
    "Do that for every s, and put the results side by side along the axis of the stems, which is"
    " axis 1.",
    "`torch.stack([stems[orders[s], s] for s in range(stems.shape[1])], dim=1)`",
)
def ex_07_2(answer: Any) -> None:
    """No stem is lost, none occurs twice, each stays in its place: only who plays with whom has
    changed. It costs no reading at all.
    """
    batch, count = 5, 4
    stems = torch.arange(batch * count).view(batch, count, 1, 1) + torch.zeros(batch, count, 2, 3)
    # (S, B): stem s by s places
    orders = torch.stack([torch.arange(batch).roll(s) for s in range(count)])
    got = attempt(answer, stems.clone(), orders)
    need(torch.is_tensor(got), f"a tensor was expected, not {type(got).__name__}")
    need(
        got.shape == stems.shape,
        f"the shape must stay {tuple(stems.shape)}; it is {tuple(got.shape)}",
    )
    need(
        not torch.equal(got, stems),
        "nothing has changed: stem s of example b should come from example orders[s][b]",
    )
    together = any(torch.equal(got, stems[order]) for order in orders)
    need(
        not together, "all stems follow one order: the songs have changed places, and none is mixed"
    )
    kinds = (got[..., 0, 0] % count).long()  # which kind of stem lies where
    need(
        bool((kinds == torch.arange(count)).all()),
        "stems have changed places within an example: the vocals must stay in place 0",
    )
    right = torch.stack([stems[orders[s], s] for s in range(count)], dim=1)
    inverse = torch.stack([stems[orders[s].argsort(), s] for s in range(count)], dim=1)
    need(
        not torch.equal(got, inverse),
        "the orders are used backwards: what is in example b should come from example orders[s][b]",
    )
    need(
        torch.equal(got, right),
        "stem s of example b should be stem s of example orders[s][b]; that is not so for all of"
        " them",
    )


@exercises.add(
    "SNR = 10 log10(speech energy / music energy). A gain g on the speech multiplies its energy by"
    " g squared.",
    "10 log10(g² S / M) should be `snr`. Solve for g.",
    "`torch.sqrt(music.square().sum() / speech.square().sum()) * 10 ** (snr / 20)`",
)
def ex_07_3(answer: Any) -> None:
    """`SpeechRemix` scales the music instead; after the mixture is normalised, nobody can tell the
    difference.
    """
    generator = torch.Generator().manual_seed(7)
    for snr, level in ((5.0, 0.3), (-5.0, 2.0)):
        speech, music = (
            level * torch.randn(1, 8000, generator=generator),
            torch.randn(1, 8000, generator=generator),
        )
        gain = float(attempt(answer, speech, music, snr))
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
    score, gain = (float(part) for part in answer)
    need(
        not math.isclose(score, 3.0103, abs_tol=0.02),
        "score: energies are squares of amplitudes: 20 log10",
    )
    need(
        not math.isclose(score, -6.0206, abs_tol=0.02),
        "score: the sign is turned; the target is stronger than the error",
    )
    need(math.isfinite(score), "score: infinite it is only with one gain for both")
    need(
        math.isclose(score, 6.0206, abs_tol=0.05),
        f"score: half of the amplitude is missing from every sample; that is not {score:g} dB",
    )
    need(not math.isclose(gain, 0.1, abs_tol=1e-3), "gain: 0.1 is what is *missing*, 1 - g")
    need(
        not math.isclose(gain, 0.99, abs_tol=1e-3),
        "gain: 20 dB are a factor of 100 in energy, but only of 10 in amplitude",
    )
    need(
        math.isclose(gain, 0.9, abs_tol=1e-3) or math.isclose(gain, 1.1, abs_tol=1e-3),
        f"gain: with {gain:g} the score is {_score(gain)} dB",
    )


def _score(gain):
    return "infinite" if gain == 1 else f"{-20 * math.log10(abs(1 - gain)):.1f}"


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
    from ...metrics.statistics import sign_flip

    given = answer if isinstance(answer, dict) else dict(zip(CASES, answer, strict=True))
    said = {name: str(given[name]).strip().lower() for name in CASES}
    for name, word in said.items():
        need(
            word in ("holds", "fails", "undecided"),
            f"{name}: choose from 'holds', 'fails' and 'undecided'; {word!r} is none of them",
        )
    p = {name: sign_flip(values).p for name, values in CASES.items()}
    need(
        said["A"] == "holds",
        f"A: small, but every song points the same way (p = {p['A']:.3f}): chance does that once in"
        " 128 times",
    )
    need(
        said["B"] != "holds",
        "B: the mean of +0.9 dB is one single song; the other seven go up and down (p ="
        f" {p['B']:.2f})",
    )
    need(
        said["B"] == "undecided",
        "B: the mean is positive, so this is no evidence that remixing does harm either",
    )
    need(
        said["C"] != "holds",
        f"C: five songs have 32 sign patterns, p cannot fall below 2/32 (here {p['C']:.4f}): more"
        " songs are needed",
    )
    need(said["C"] == "undecided", "C: all five songs gain; that cannot speak against it")
