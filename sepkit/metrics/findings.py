"""What a score cannot say about itself: signals that make it meaningless, with the remedy.

A ratio in dB comes out of any two files. `examine` looks at the signals behind
it: silent stems and frames, references that repeat each other, an estimate that
is the reference, the mixture, another stem, another song, or starts too late.
Chapter 08 takes the cases apart.
"""

import math
from dataclasses import dataclass

import torch

from .sdr import silent_frames
from .signals import Products, Signals

#: Below these shares of the energy a remainder counts as nothing: 16-bit rounding for
#: references, and for mixtures an MP3 encoder.
SAME_REFERENCE, SAME_MIXTURE = 1e-5, 1e-4
#: Searched for delays: up to this much, in the loudest stretch of about so many samples.
LONGEST_DELAY, STRETCH = 0.5, 1 << 20


@dataclass(frozen=True)
class Finding:
    """Something about one track that whoever reads its scores should know.

    Attributes
    ----------
    kind : str
        Such as ``"collinear"``, ``"perfect"``, ``"silent frames"``: one for each check.
    track : str
        Empty where it concerns all of them.
    stems : tuple of str
        Those concerned.
    text : str
        One sentence: what is the case, what it does to the scores, what to do.
    """

    kind: str
    track: str
    stems: tuple
    text: str

    def __str__(self):
        return f"{self.track}: {self.text}" if self.track else self.text


def examine(
    references, estimates, sample_rate, mixture=None, track="", frames=None, window=1.0, hop=1.0
):
    """Look for what makes the scores of a track meaningless.

    All comes from one pass over the signals (their inner products); only where an
    estimate does not resemble its reference, a cross-correlation follows.

    Parameters
    ----------
    references, estimates : dict of str to float tensor (channels, samples)
        With the same names and shapes.
    sample_rate : int
        In Hz.
    mixture : tensor (channels, samples), optional
        By default the sum of the references.
    track : str
        Its name, for the findings.
    frames : dict, optional
        What `score_track` put into its `frames`: empty where no metric looks at frames.
    window, hop : float
        Frames, in seconds.

    Returns
    -------
    list of Finding
        Empty if nothing is unusual. Kinds: ``silent``, ``silent frames``, ``perfect``,
        ``perfect frames``, ``alone``, ``collinear``, ``mixture``, ``mixed up``,
        ``shifted``, ``unrelated``, ``level``.
    """
    signals, silent = Signals(references, estimates, mixture), None
    if frames:
        settings = sample_rate, window, hop
        silent = torch.stack(
            [
                torch.cat([silent_frames(x[None], *settings) for x in audios.values()])
                for audios in (references, estimates)
            ]
        )
    return findings(Products(signals), sample_rate, track, frames or {}, silent)


def findings(products, sample_rate, track="", frames=None, silent=None):
    """`examine` of signals that were looked at before.

    Parameters
    ----------
    products : Products
    sample_rate, track
        As for `examine`.
    frames, silent
        As `sepkit.metrics.scoring.Measured` has them.
    """
    found = [*_silent(products), *_cancelling(products)]
    if frames:
        found += _frames_left_out(products, silent)
        found += [*_perfect_frames(products, frames), *_alone(products, frames)]
    found += [*_perfect(products), *_collinear(products)]
    told = {stem for kind, stems, _ in found if kind in ("perfect", "silent") for stem in stems}
    for check in (_mixture, _mixed_up, _elsewhere(sample_rate), _level):
        new = [finding for finding in check(products) if not told & set(finding[1])]
        found += new
        told |= {stem for _, stems, _ in new for stem in stems}  # one reason is enough
    return [Finding(kind, track, tuple(stems), text) for kind, stems, text in found]


def _silent(products):
    for what, rows in (("reference", products.s), ("estimate", products.e)):
        for name, row in zip(products.names, rows):
            if products.energy[row] == 0:
                yield (
                    "silent",
                    (name,),
                    (
                        f"the {what} {name!r} is silent throughout, so no frame of this song "
                        "counts for csdr, isr, sir, sar (BSSEval's rule)"
                        f"{', and it has no usdr and si_sdr' * (what == 'reference')}; "
                        "leave this stem out to score the others"
                    ),
                )


def _cancelling(products):
    for what, rows in (("reference", products.s), ("estimate", products.e)):
        for name, row in zip(products.names, rows):
            if products.cancelling[row]:
                yield (
                    "cancelling",
                    (name,),
                    (
                        f"the channels of the {what} {name!r} add up to zero (one is the other "
                        "inverted), which BSSEval takes for silence: csdr, isr, sir and sar of "
                        "this song are nan; usdr and si_sdr hold. Score one channel alone, or "
                        "leave this stem out"
                    ),
                )


def _frames_left_out(products, silent):
    """`silent`: (2, stems, frames), of references and estimates."""
    names, (reference, estimate) = products.names, silent
    left_out = (reference | estimate).any(0)
    count, total = int(left_out.sum()), left_out.numel()
    causes = [
        (name, f"the {what} {name!r} is silent in {int(silent[row].sum())}")
        for what, silent in (("reference", reference), ("estimate", estimate))
        for row, name in enumerate(names)
        if silent[row].any()
        and not silent[row].all()  # those silent throughout are told by themselves
    ]
    if count and causes:
        rest = (
            "no frame is left: csdr, isr, sir, sar are NaN"
            if count == total
            else "BSSEval's rule, for all stems at once"
        )
        yield (
            "silent frames",
            tuple(dict.fromkeys(name for name, _ in causes)),
            (
                f"{count} of {total} frames left out of csdr, isr, sir, sar: "
                f"{', '.join(cause for _, cause in causes)} ({rest})"
            ),
        )


def _perfect_frames(products, frames):
    for row, name in enumerate(products.names):
        values = frames["csdr"][row] if "csdr" in frames else torch.zeros(0)
        count = int(values.isposinf().sum())
        if 0 < count < int((~values.isnan()).sum()):
            yield (
                "perfect frames",
                (name,),
                (
                    f"the estimate {name!r} equals its reference in {count} of {len(values)} "
                    "frames, whose SDR is infinite; they count in the median here, while museval "
                    "writes them as NaN and leaves them out"
                ),
            )


def _alone(products, frames):
    if "sir" in frames and len(products.names) == 1:
        yield (
            "alone",
            tuple(products.names),
            (
                f"{products.names[0]!r} is scored by itself, so that nothing can interfere: "
                "its sir is infinite, and its sar holds all errors; give references and "
                "estimates of the other stems too"
            ),
        )


def _perfect(products):
    for name, *_ in products.sounding():
        index = products.names.index(name)
        if products.equal[index]:
            yield (
                "perfect",
                (name,),
                (
                    f"the estimate {name!r} is its reference, sample for sample: its csdr and "
                    "si_sdr are infinite (museval prints nan), its usdr is as high as the constant "
                    f"in it allows, {products.usdr(index):.2f} dB; was the true stem handed in as "
                    "the estimate?"
                ),
            )


def _collinear(products):
    """References that are sums of the others, so that nothing can tell which of them is heard."""
    groups, c = {}, products.channels
    for name, row in zip(products.names, products.s):
        others = [k for k in products.s if k != row and products.energy[k] > 0]
        if products.energy[row] == 0 or not others:
            continue
        own, rest = _channels(range(row, row + 1), c), _channels(others, c)
        level = products.gram.diagonal()[rest].clamp_min(1e-300).sqrt()
        gram = products.gram[rest][:, rest] / level[:, None] / level
        cross = products.gram[rest][:, own] / level[:, None]
        # (channels of the others, own channels)
        gains = torch.linalg.pinv(gram, hermitian=True, rtol=1e-9) @ cross
        if float(products.energy[row] - (gains * cross).sum()) < SAME_REFERENCE * float(
            products.energy[row]
        ):
            contributes = (
                gains.square().unflatten(0, (-1, c)).sum((1, 2))
                > SAME_REFERENCE * products.energy[row]
            )
            parts = [products.names[k] for k, yes in zip(others, contributes.tolist()) if yes]
            groups.setdefault(frozenset((name, *parts)), (name, row))
    for group in groups:
        stems = tuple(n for n in products.names if n in group)
        yield (
            "collinear",
            stems,
            (
                f"{_multiple(products, stems)}: sir and sar cannot tell collinear references apart "
                "(beyond about 100 dB they show rounding), and only csdr, usdr and si_sdr of each "
                "mean something; give references that are different recordings"
            ),
        )


def _multiple(products, stems):
    if len(stems) > 2:
        names = ", ".join(map(repr, stems))
        return f"the references {names} depend on each other (one is a sum of the rest)"
    first, second = (products.names.index(name) for name in stems)
    gain = float(products.joint[first, second] / products.energy[first])
    return (
        f"the reference {stems[1]!r} is {gain:.3g} x the reference {stems[0]!r}"
        if products.same(first, second) < 1e-3
        else (f"the references {stems[0]!r} and {stems[1]!r} are made of the same channels")
    )


def _channels(rows, c):
    return [row * c + channel for row in rows for channel in range(c)]


def _mixture(products):
    for name, s, e in products.sounding():
        if (
            products.same(e, products.m) < SAME_MIXTURE
            and products.same(s, products.m) > 10 * SAME_MIXTURE
        ):
            gain = float(products.joint[e, products.m] / products.energy[products.m])
            times = "" if abs(gain - 1) < 0.01 else f" times {gain:.3g}"
            others = (
                products.energy[s] + products.energy[products.m] - 2 * products.joint[s, products.m]
            )
            rest = 10 * math.log10(products.energy[s] / others)
            yield (
                "mixture",
                (name,),
                (
                    f"the estimate {name!r} is the mixture itself{times}: nothing was separated, "
                    "its SDR is only how much louder the stem is than the rest "
                    f"({rest:+.2f} dB over the whole track); hand in the separator's output"
                ),
            )


def _mixed_up(products):
    """Estimates that each resemble the reference of another one; only a true exchange counts."""
    pairs = products.sounding()
    if len(pairs) < 2:
        return
    likeness = products.alike[[e for *_, e in pairs]][:, [s for _, s, _ in pairs]].square()
    best = likeness.argmax(1).tolist()
    moved = [k for k in range(len(pairs)) if best[k] != k]
    if sorted(best) != list(range(len(pairs))) or not all(
        likeness[k, best[k]] > max(0.05, 4 * likeness[k, k]) for k in moved
    ):
        return
    for k in moved:
        yield (
            "mixed up",
            (pairs[k][0],),
            (
                f"the estimate {pairs[k][0]!r} resembles the reference {pairs[best[k]][0]!r} far "
                "more than its own; are the files named right?"
            ),
        )


def _elsewhere(sample_rate):
    """The check for estimates that start too late or early, or belong to another song."""

    def check(products):
        for name, s, e in products.sounding():
            here = float(products.alike[s, e]) ** 2
            if here > 0.5:
                continue
            signals = products.signals
            delay, there = _delay(
                signals.references[name].read,
                signals.estimates[name].read,
                signals.samples,
                sample_rate,
            )
            if there > max(0.5, 2 * here):
                late = "late" if delay > 0 else "early"
                yield (
                    "shifted",
                    (name,),
                    (
                        f"the estimate {name!r} starts {abs(delay)} samples "
                        f"({1000 * abs(delay) / sample_rate:.1f} ms) too {late}, which spoils "
                        "every score; cut or pad its beginning (MP3 encoders add such delays)"
                    ),
                )
            elif max(here, there) < 0.05 and float(products.alike[e, products.m]) ** 2 < 0.05:
                if (
                    _delay(
                        signals.mixture, signals.estimates[name].read, signals.samples, sample_rate
                    )[1]
                    < 0.05
                ):
                    yield (
                        "unrelated",
                        (name,),
                        (
                            f"the estimate {name!r} resembles neither its reference nor the "
                            "mixture; is it of another song?"
                        ),
                    )

    return check


def _delay(reference, estimate, samples, sample_rate):
    """(delay of the estimate in samples, squared correlation there), over the loudest stretch.

    `reference` and `estimate` read a stretch: (start, samples) -> (channels, samples).
    """
    longest, size = int(LONGEST_DELAY * sample_rate), min(STRETCH, samples)
    step = max(1, size // 2)
    halves = [
        float(reference(start, step).square().sum()) for start in range(0, samples - step + 1, step)
    ]
    pairs = [sum(both) for both in zip(halves, halves[1:])][: (samples - size) // step + 1]
    start = step * max(range(len(pairs)), key=pairs.__getitem__, default=0)
    s, e = (read(start, size).detach().cpu().float() for read in (reference, estimate))
    n = 2 * size
    cross = torch.fft.irfft(
        (torch.fft.rfft(e, n) * torch.fft.rfft(s, n).conj()).sum(0), n
    )  # at lag k: sum e[t + k] s[t]
    lags = torch.cat([cross[: longest + 1], cross[-longest:]]) if size > longest else cross
    best = int(lags.square().argmax())
    energy = float(s.square().sum() * e.square().sum())
    delay = best if best <= min(longest, size) else best - len(lags)
    return delay, float(lags[best]) ** 2 / energy if energy else 0.0


def _level(products):
    for name, s, e in products.sounding():
        gain = float(products.joint[s, e] / products.energy[e])
        scaled = -10 * math.log10(max(products.same(s, e), 1e-12))
        error = float(products.energy[s] - 2 * products.joint[s, e] + products.energy[e])
        plain = 10 * math.log10(products.energy[s] / max(error, 1e-12 * float(products.energy[s])))
        if scaled > 6 and scaled - plain > 3:
            yield (
                "level",
                (name,),
                (
                    f"the estimate {name!r} would score {scaled - plain:.1f} dB more when "
                    f"multiplied by {gain:.3g}; "
                    "was it normalised or inverted? (si_sdr does not mind, the others do)"
                ),
            )
