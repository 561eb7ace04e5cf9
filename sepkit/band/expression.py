"""From notes and words to sung sounds: when each sounds, on which pitch, how loud.

Both voice engines use this; they differ in how a sound is made.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .phonetics import LONGEST, Segment, Syllable

HOP = 0.005  # seconds
#: gaps shorter than this are sung through
LEGATO = 0.06
#: consonants stand before the beat, by at most this much
LEAD = 0.12
RELEASE = 0.05
#: longest time, in seconds, that a spoken syllable takes
SPOKEN = 0.28


@dataclass(frozen=True)
class Span:
    """One sound with its place in time (seconds).

    `knots` maps time to the source: (times, source times), both ascending.
    `level` is taken off its log power; `syllable` numbers the sung syllable.
    """

    segment: Segment
    start: float
    end: float
    knots: tuple
    level: float
    syllable: int

    def source(self, time):
        """Where in the source the sound stands at these times."""
        return np.interp(time, *self.knots)


class Row(NamedTuple):
    """A note as it is sung: seconds, seconds, MIDI pitch, and whether it is spoken instead."""

    start: float
    end: float
    pitch: float
    spoken: bool = False


@dataclass(frozen=True)
class Unit:
    """A syllable on one or more notes that follow each other without a gap."""

    syllable: Syllable
    start: float
    end: float
    joined: bool  # to the unit before, without a gap


@dataclass(frozen=True)
class Text:
    """Words on notes: what every take of a voice shares."""

    rows: list[Row]
    units: list[Unit]

    def between(self, stretches: list[tuple[float, float]]) -> "Text":
        """The part that begins within any of the stretches (seconds)."""

        def inside(item):
            return any(first <= item.start < last for first, last in stretches)

        return Text(list(filter(inside, self.rows)), list(filter(inside, self.units)))

    def moved(self, pitch: Callable[[float], float]) -> "Text":
        """The same words at the same times on other pitches."""
        return Text([row._replace(pitch=pitch(row.pitch)) for row in self.rows], self.units)

    def again(self, rng: np.random.Generator, spread: float, last: float) -> "Text":
        """As a singer repeats it: every time moves by about `spread` seconds, up to `last`."""
        knots = np.arange(0.0, last + 0.25, 0.25)
        late = np.clip(rng.normal(0, spread, len(knots)), -0.05, 0.05)

        def when(time):
            return float(np.clip(time + np.interp(time, knots, late), 0.0, last))

        return Text(
            [row._replace(start=when(row.start), end=when(row.end)) for row in self.rows],
            [replace(unit, start=when(unit.start), end=when(unit.end)) for unit in self.units],
        )


def tidy(notes, seconds):
    """Notes as rows, in order, one at a time, within the song.

    Small gaps are closed: the singer sings through them. Spoken syllables are short.
    """
    rows = sorted(
        Row(max(0.0, float(n.start)), float(n.start) + float(n.duration), float(n.pitch), n.spoken)
        for n in notes
    )
    kept = []
    for index, row in enumerate(rows):
        end = row.end
        if index + 1 < len(rows):
            following = rows[index + 1].start
            end = following if following - end < LEGATO else end
        end = min(end, seconds, row.start + SPOKEN if row.spoken else seconds)
        if end - row.start > 0.03:
            kept.append(row._replace(end=end))
    return kept


def place_words(
    rows: list[Row],
    words: list[str],
    syllables: dict[str, list[Syllable]],
    rng: np.random.Generator,
) -> list[Unit]:
    """Lay the words on the notes: one syllable per note, some melismas, no word across a rest.

    Words are used in order, again from the first when they run out.
    """
    usable = [word for word in words if syllables[word]]
    units, cursor, index = [], 0, 0
    while index < len(rows):
        room = 1
        for before, after in zip(rows[index:], rows[index + 1 :]):
            if after.start - before.end >= 0.3:
                break
            room += 1
        choice = next(
            (k for k in range(12) if len(syllables[usable[(cursor + k) % len(usable)]]) <= room), 0
        )
        word = usable[(cursor + choice) % len(usable)]
        cursor += choice + 1
        for syllable in syllables[word][:room]:
            if index >= len(rows):
                break
            last = index
            touches = last + 1 < len(rows) and rows[last + 1].start - rows[last].end < 1e-6
            if touches and rng.random() < 0.08:
                last += 1
            joined = index > 0 and rows[index].start - rows[index - 1].end < 1e-6
            units.append(Unit(syllable, rows[index].start, rows[last].end, joined))
            index = last + 1
    return units


def schedule(units: list[Unit], level: Callable[[Syllable], float]) -> list[Span]:
    """Give every sound its time; `level` is the log power to take off a syllable.

    The vowel begins on the beat; the consonants before it take their time from
    the gap or from the note before, those behind it from the note's own end.
    """
    heads = []
    for index, unit in enumerate(units):
        room = min(unit.start, LEAD)
        if index:
            before = units[index - 1]
            free = unit.start - before.end
            room = min(
                room,
                free + 0.4 * (before.end - before.start) if unit.joined else max(0.0, free - 0.01),
            )
        wanted = sum(_sung(s) for s in unit.syllable.onset)
        late = min(max(0.0, wanted - room), 0.3 * (unit.end - unit.start))
        heads.append((unit.start - min(wanted, room), unit.start + late))
    spans = []
    for index, unit in enumerate(units):
        begin, vowel = heads[index]
        following = index + 1 < len(units) and units[index + 1].joined
        end = min(unit.end, heads[index + 1][0]) if following else unit.end
        syllable, loudness = unit.syllable, level(unit.syllable)
        tail = min(sum(_sung(s) for s in syllable.coda), 0.16, 0.4 * (end - vowel))
        spans += _row(syllable.onset, begin, vowel, loudness, index)
        spans.append(_hold(syllable.nucleus, vowel, end - tail, loudness, index))
        spans += _row(syllable.coda, end - tail, end, loudness, index)
    return spans


def _sung(segment):
    return min(0.9 * segment.duration, LONGEST[segment.kind])


def _row(segments, begin, end, loudness, number):
    """Consonants one after the other, squeezed into [begin, end)."""
    if not segments or end <= begin:
        return []
    lengths = np.array([_sung(s) for s in segments])
    edges = begin + (end - begin) * np.concatenate([[0], np.cumsum(lengths) / lengths.sum()])
    return [
        Span(s, a, b, ((a, b), (s.start, s.start + s.duration)), loudness, number)
        for s, a, b in zip(segments, edges, edges[1:])
    ]


def _hold(segment, begin, end, loudness, number):
    """A vowel: its ends at spoken speed, its middle stretched; diphthongs glide late."""
    ends = min(0.35 * segment.duration, (end - begin) / 3)
    times = (begin, begin + ends, end - ends, end)
    source = tuple(segment.start + part * segment.duration for part in (0.0, 0.3, 0.6, 1.0))
    return Span(segment, begin, end, (times, source), loudness, number)


def pitch_curve(rows, singer, frames, rng):
    """The fundamental in Hz on the frames, defined everywhere.

    Portamento between notes that touch, a scoop into the first note after a
    rest, vibrato that sets in on held notes, a slow drift and a little jitter.
    What is spoken falls with every syllable and follows its notes only from afar.
    """
    time = np.arange(frames) * HOP
    curve = np.full(frames, rows[0].pitch if rows else 60.0)
    for index, (start, end, pitch, spoken) in enumerate(rows):
        if spoken:
            first = max(0, np.searchsorted(time, start - LEAD / 2))
            curve[first:] = _speech(time[first:], start, pitch, singer, rng)
            continue
        target = pitch + rng.normal(0, singer.intonation) / 100
        joined = index > 0 and start - rows[index - 1].end < 1e-6
        first = np.searchsorted(time, start)
        if joined:
            shorter = min(end - start, start - rows[index - 1].start)
            glide = min(singer.portamento, 0.5 * shorter)
            first = max(0, np.searchsorted(time, start - 0.6 * glide))
            progress = np.clip((time[first:] - (start - 0.6 * glide)) / max(glide, HOP), 0, 1)
            curve[first:] = (
                curve[first] + (target - curve[first]) * (1 - np.cos(np.pi * progress)) / 2
            )
        else:
            first = max(0, np.searchsorted(time, start - LEAD - 0.02))
            scoop = singer.scoop * rng.uniform(0.3, 1.0) / 100
            curve[first:] = target - scoop * np.exp(-np.maximum(0, time[first:] - start) / 0.035)
        curve[first:] += _vibrato(time[first:], start, end, singer, rng)
    return 440.0 * 2 ** ((curve + _drift(frames, rng, singer.jitter / 100) - 69) / 12)


def _speech(time, start, pitch, singer, rng):
    """MIDI pitch of a spoken syllable: below the singing voice, and falling all the time."""
    height = singer.centre - 1.0 + 0.25 * (pitch - singer.centre) + rng.normal(0, 1.0)
    fall = rng.uniform(6.0, 20.0)  # semitones per second
    return height - fall * np.clip(time - start, -LEAD, SPOKEN + LEAD)


def _vibrato(time, start, end, singer, rng):
    """In semitones; short notes have none. It does not outlast its note."""
    rate = singer.vibrato_rate * rng.normal(1, 0.02)
    depth = singer.vibrato_depth * rng.uniform(0.85, 1.15) / 100
    delay = min(singer.vibrato_delay, 0.4 * (end - start))
    if end - start < 0.35:
        depth = 0.0  # the draws above stay, so that a note's length moves no other note
    fade = np.clip((time - start - delay) / 0.2, 0, 1) * np.clip((end - time) / 0.04, 0, 1)
    return depth * fade * np.sin(2 * np.pi * rate * (time - start - delay))


def _drift(frames, rng, scale):
    """Slow noise (below about 4 Hz) of standard deviation `scale`, a tenth of it per frame."""
    from scipy.signal import lfilter

    slow = lfilter([1.0], [1.0, -0.9], rng.standard_normal(frames + 100))[100:] * np.sqrt(
        1 - 0.9**2
    )
    return scale * (slow + 0.1 * rng.standard_normal(frames))


def gain_curve(units, frames, rng):
    """Linear gain on the frames: accents, a swell on held notes, soft ends of phrases."""
    time = np.arange(frames) * HOP
    gain = np.zeros(frames)
    for index, unit in enumerate(units):
        last = index + 1 == len(units) or not units[index + 1].joined
        first_of_phrase = not unit.joined
        begin = unit.start - (LEAD + 0.03 if first_of_phrase else 0.0)
        if index and first_of_phrase:
            begin = max(begin, min(unit.start, units[index - 1].end + RELEASE / 2))
        here = slice(
            np.searchsorted(time, begin),
            np.searchsorted(time, unit.end + (RELEASE if last else 0.0)),
        )
        accent = 10 ** (rng.normal(0, 1.3) / 20)
        place = np.clip((time[here] - unit.start) / max(unit.end - unit.start, HOP), 0, 1)
        shape = accent * (0.9 + 0.2 * np.sin(np.pi * np.minimum(place * 1.2, 1.0)))
        if last:
            shape = shape * np.clip((unit.end - 0.01 - time[here]) / RELEASE, 0, 1)
        gain[here] = shape
    kernel = np.hanning(9)[1:-1]
    return np.convolve(gain, kernel / kernel.sum(), mode="same")
