"""The score of a song: chords and scales, the grid, and the notes of each part.

Each stem composes from its own random generator, so a knob that touches one
part leaves the notes of the others where they are.
"""

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..errors import SepkitError
from .genres import FILLS, GENRES, HORN_STEPS
from .instruments import KITS_BY_GENRE, PROGRAMS, Event, Hit
from .knobs import Knobs

STEPS = 16  # of a bar
_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_MINOR = (0, 2, 3, 5, 7, 8, 10)
_NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII")
_SHAPES = {
    ("major", ""): (0, 4, 7),
    ("minor", ""): (0, 3, 7),
    ("major", "7"): (0, 4, 7, 10),
    ("minor", "7"): (0, 3, 7, 10),
    ("major", "maj7"): (0, 4, 7, 11),
    ("minor", "maj7"): (0, 3, 7, 11),
}


class Chord(NamedTuple):
    """Root pitch class (0 = C) and the semitones of its tones above the root."""

    root: int
    tones: tuple

    @property
    def classes(self) -> tuple[int, ...]:
        """The pitch classes of its tones."""
        return tuple((self.root + tone) % 12 for tone in self.tones)


def chord(numeral: str, key: int, mode: str) -> Chord:
    """A Roman numeral such as ``"vi"``, ``"bVII"`` or ``"Imaj7"`` as a `Chord` in a key."""
    match = re.fullmatch(r"(b?)([IViv]+)(maj7|7|)", numeral)
    if match is None or match[2].upper() not in _NUMERALS:
        raise SepkitError(f"{numeral!r} is not a chord numeral, such as vi, bVII or Imaj7")
    scale = _MAJOR if mode == "major" else _MINOR
    root = key + scale[_NUMERALS.index(match[2].upper())] - bool(match[1])
    return Chord(root % 12, _SHAPES["major" if match[2].isupper() else "minor", match[3]])


def scale(key: int, mode: str) -> tuple[int, ...]:
    """The pitch classes of a key."""
    return tuple((key + step) % 12 for step in (_MAJOR if mode == "major" else _MINOR))


def voicing(chord: Chord, low: int) -> list[int]:
    """The chord's tones, each at its first place at or above MIDI pitch `low`, sorted."""
    return sorted(low + (pitch_class - low) % 12 for pitch_class in chord.classes)


def nearest(pitch: int, classes: tuple[int, ...]) -> int:
    """The pitch nearest to `pitch` whose class is in `classes`."""
    for distance in range(7):
        for candidate in (pitch - distance, pitch + distance):
            if candidate % 12 in classes:
                return candidate
    return pitch


@dataclass
class Bar:
    """One bar: its chord, its section ("intro", "verse", "chorus") and whether there is singing."""

    chord: Chord
    following: Chord
    section: str
    sings: bool


@dataclass
class Grid:
    """What all parts share: tempo, key, swing and the bars."""

    genre: str
    split: str
    seconds: float
    tempo: float
    key: int
    mode: str
    swing: float
    progression: str
    bars: list = field(default_factory=list)

    def time(self, bar: int, step: float) -> float:
        """Seconds at a (fractional) sixteenth step of a bar; swing delays the off-beats."""
        beat, within = divmod(step / 4, 1)
        middle = 0.5 + self.swing / 6
        bent = (
            within * middle / 0.5 if within < 0.5 else middle + (within - 0.5) * (1 - middle) / 0.5
        )
        return (bar * 4 + beat + bent) * 60 / self.tempo

    @property
    def step(self) -> float:
        """Seconds of a sixteenth."""
        return 15 / self.tempo


@dataclass
class Line:
    """One instrument's notes, with the part they belong to."""

    part: object
    program: object
    events: list


def pick(rng, items):
    """One of a list (of anything, which `rng.choice` would turn into an array)."""
    return items[int(rng.integers(len(items)))]


def make_grid(
    rng: np.random.Generator, genre: str, split: str, seconds: float, knobs: Knobs
) -> Grid:
    """Tempo, key, mode, swing and chords of a song.

    Every quantity is drawn whether or not a knob overrides it, so one knob
    does not shift the other draws.
    """
    style = GENRES[genre]
    drawn: dict[str, Any] = {
        "tempo": float(np.round(rng.uniform(*style.tempo), 2)),
        "key": int(rng.integers(12)),
        "mode": "minor" if rng.random() < style.minor else "major",
        "swing": float(np.round(rng.uniform(*style.swing), 3)),
    }
    choice = rng.random(2)
    chosen = {
        name: value if getattr(knobs, name) is None else getattr(knobs, name)
        for name, value in drawn.items()
    }
    pool = style.progressions[split][chosen["mode"]]
    verse, chorus = (pool[int(c * len(pool))] for c in choice)
    grid = Grid(genre=genre, split=split, seconds=seconds, progression=verse, **chosen)
    count = int(np.ceil(seconds * chosen["tempo"] / 240)) + 1
    intro = 0 if seconds < 10 else 2
    numerals, sections = [], []
    for bar in range(count):
        section = "intro" if bar < intro else "chorus" if (bar - intro) // 4 % 2 else "verse"
        names = (chorus if section == "chorus" else verse).split()
        numerals.append(names[(bar - intro) % len(names)])
        sections.append(section)
    chords = [chord(name, chosen["key"], chosen["mode"]) for name in numerals]
    for bar in range(count):
        sings = bar >= intro and (bar - intro) % 8 != 7
        grid.bars.append(Bar(chords[bar], chords[min(bar + 1, count - 1)], sections[bar], sings))
    return grid


def melody(rng: np.random.Generator, grid: Grid, centre: float) -> list[Event]:
    """The vocal line: phrases of two bars that walk through the scale and end long, then a rest.

    The voice is comfortable around the MIDI pitch `centre`.
    """
    classes = scale(grid.key, grid.mode)
    events, pitch = [], int(round(centre))
    density = GENRES[grid.genre].density
    # Slow tempi carry more notes per bar: about three syllables a second in all.
    wanted = np.clip(3.2 * density * 240 / grid.tempo, 3, 9)
    for bar in range(0, len(grid.bars), 2):
        steps = 32 if bar + 1 < len(grid.bars) and grid.bars[bar + 1].sings else 16
        last = steps - int(rng.integers(2, 5)) * 2
        sixteenth = 0.05 if grid.tempo < 100 else 0.0  # a syllable needs its time
        weights = np.array(
            [
                1.0 if s % 8 == 0 else 0.75 if s % 4 == 0 else 0.55 if s % 2 == 0 else sixteenth
                for s in range(last)
            ]
        )
        count = min(
            int(round(wanted * steps / 16 * rng.uniform(0.75, 1.15))), int((weights > 0.1).sum())
        )
        starts = np.sort(rng.choice(last, size=count, replace=False, p=weights / weights.sum()))
        lengths = np.append(np.diff(starts), steps - 1 - starts[-1])
        draws = rng.random((count, 3))
        if not grid.bars[bar].sings:
            continue
        for start, length, (move, accent, breath) in zip(starts, lengths, draws):
            here = bar + int(start) // STEPS
            leap = int(np.searchsorted([0.12, 0.42, 0.62, 0.9], move)) - 2
            aim = pitch + 2 * leap - (pitch > centre + 5) * 3 + (pitch < centre - 5) * 3
            strong = start % 8 == 0 or length >= 6
            aim = np.clip(aim, centre - 8, centre + 8)
            pitch = nearest(int(aim), grid.bars[here].chord.classes if strong else classes)
            begin = grid.time(bar, float(start))
            duration = grid.time(bar, float(start + min(length, 10))) - begin
            if duration * (0.95 if breath < 0.7 else 0.75) + begin > grid.seconds:
                continue
            events.append(
                Event(
                    begin,
                    duration * (0.95 if breath < 0.7 else 0.75),
                    float(pitch),
                    0.7 + 0.3 * accent,
                )
            )
    return events


def drums(rng: np.random.Generator, grid: Grid) -> tuple[str, list[Hit]]:
    """Kit name and strokes: a pattern for verses, one for choruses, fills and crashes."""
    style = GENRES[grid.genre]
    kit = pick(rng, KITS_BY_GENRE[grid.genre][grid.split])
    verse, chorus = pick(rng, style.drums[grid.split]), pick(rng, style.drums[grid.split])
    hits = []
    for number, bar in enumerate(grid.bars):
        pattern = chorus if bar.section == "chorus" else verse
        fill = pick(rng, FILLS[grid.split]) if number % 4 == 3 and rng.random() < 0.7 else {}
        cut = min(
            (next(i for i, c in enumerate(f) if c != ".") for f in fill.values()), default=STEPS
        )
        for role, steps in pattern.items():
            hits += _strokes(rng, grid, number, role, steps[:cut])
        for role, steps in fill.items():
            hits += _strokes(rng, grid, number, role, steps)
        if number % 4 == 0 and number and rng.random() < 0.6 and grid.genre != "jazz":
            hits.append(Hit(grid.time(number, 0), "crash", 0.75))
    return kit, [hit for hit in hits if hit.start < grid.seconds]


def _strokes(rng, grid, bar, role, steps):
    loud = {"o": 0.32, "x": 0.68, "X": 0.95}
    scatter = rng.uniform(-0.1, 0.1, STEPS)
    return [
        Hit(grid.time(bar, step), role, float(np.clip(loud[mark] + scatter[step], 0.1, 1)))
        for step, mark in enumerate(steps)
        if mark != "."
    ]


def bass(rng: np.random.Generator, grid: Grid) -> Line:
    """The bass line: a pattern of chord degrees for verses and one for choruses."""
    style = GENRES[grid.genre]
    program = pick(rng, PROGRAMS[style.bass_pool][grid.split])
    verse, chorus = pick(rng, style.bass[grid.split]), pick(rng, style.bass[grid.split])
    low = 28 + int(rng.integers(0, 4))
    short = rng.uniform(0.75, 0.98)
    events = []
    for number, bar in enumerate(grid.bars):
        pattern = chorus if bar.section == "chorus" else verse
        root = low + (bar.chord.root - low) % 12
        after = low + (bar.following.root - low) % 12
        step_up = 1 if after <= root else -1  # the approach note lies a semitone off the next root
        places = {
            "1": root,
            "3": root + bar.chord.tones[1],
            "5": root + bar.chord.tones[2],
            "8": root + 12,
            "a": after + step_up,
        }
        for start, length, mark in _held(pattern):
            begin = grid.time(number, start)
            duration = (grid.time(number, start + length) - begin) * short
            events.append(
                Event(begin, duration, float(places[mark]), float(rng.uniform(0.7, 0.95)))
            )
    return Line(None, program, [e for e in events if e.start < grid.seconds])


def _held(pattern):
    # (start, length, mark) of every note; a note lasts over "-" and, at most two steps, over ".".
    notes = []
    for start, mark in enumerate(pattern):
        if mark in ".-":
            continue
        end = start + 1
        while end < len(pattern) and (
            pattern[end] == "-" or (pattern[end] == "." and end - start < 4)
        ):
            end += 1
        notes.append((start, end - start, mark))
    return notes


def accompaniment(rng: np.random.Generator, grid: Grid) -> list[Line]:
    """Guitars, keys and pads; the first part of a genre is always there."""
    lines = []
    for part in GENRES[grid.genre].parts:
        program = pick(rng, PROGRAMS[part.pool][grid.split])
        verse, chorus = pick(rng, part.patterns[grid.split]), pick(rng, part.patterns[grid.split])
        present, low = rng.random() < part.chance, part.low + int(rng.integers(-2, 3))
        seed = rng.integers(2**32)
        if present:
            lines.append(
                Line(
                    part,
                    program,
                    _play_part(np.random.default_rng(seed), grid, part, (verse, chorus), low),
                )
            )
    return lines


def _play_part(rng, grid, part, patterns, low):
    loud = {"o": 0.4, "x": 0.7, "X": 0.9}
    order = rng.permutation(8)  # of the arpeggio
    events = []
    for number, bar in enumerate(grid.bars):
        if bar.section == "intro" and part.chance < 0.5:
            continue
        pattern = patterns[bar.section == "chorus"]
        pitches = voicing(bar.chord, low)
        if part.style == "power":
            root = low + (bar.chord.root - low) % 12
            pitches = [root, root + 7, root + 12]
        ladder = pitches + [p + 12 for p in pitches]
        for count, (start, length, mark) in enumerate(_held(pattern)):
            begin = grid.time(number, start)
            held = (
                length
                if part.style == "pad" or pattern[start + 1 : start + 2] == "-"
                else part.length * min(length, 2)
            )
            duration = grid.time(number, start + held) - begin
            notes = (
                [ladder[int(order[count % 8]) % len(ladder)]]
                if part.style == "arpeggio"
                else pitches
            )
            for place, pitch in enumerate(notes):
                strum = 0.008 * place if part.pool.endswith("guitar") else 0.0
                events.append(
                    Event(
                        begin + strum,
                        duration,
                        float(pitch),
                        float(loud[mark] * rng.uniform(0.9, 1.05)),
                    )
                )
    return [e for e in events if e.start < grid.seconds]


def horns(rng, grid, tune, correlation):
    """A horn line of exactly as many notes as the melody, which doubles each of them or not.

    Note i doubles melody note i when its own draw lies below `correlation`;
    otherwise it has the same length but its own place in the bar and a chord
    tone of its own. So the number of notes and their lengths do not depend on
    the correlation, and the doubled notes at 0.3 are among those at 0.6.

    Returns
    -------
    list of Line
        A high and a low horn (an octave apart, the same rhythm).
    """
    programs = [pick(rng, PROGRAMS[pool][grid.split]) for pool in ("high horn", "low horn")]
    steps = HORN_STEPS[grid.split]
    events, used, pitch = [], {}, 67
    for note in tune:
        follow, turn, loud = rng.random(3)
        bar = min(int(note.start * grid.tempo / 240 + 1e-6), len(grid.bars) - 1)
        place = used[bar] = used.get(bar, -1) + 1
        pitch = nearest(
            int(pitch + 8 * turn - 4 + (66 - pitch) * 0.3), grid.bars[bar].chord.classes
        )
        if follow < correlation:
            octave = 12 * round((66 - note.pitch) / 12)
            events.append(Event(note.start, note.duration, note.pitch + octave, 0.65 + 0.3 * loud))
        else:
            begin = min(grid.time(bar, steps[place % len(steps)]), grid.seconds - note.duration)
            events.append(Event(max(0.0, begin), note.duration, float(pitch), 0.65 + 0.3 * loud))
    low = [e._replace(pitch=e.pitch - 12) for e in events]
    return [Line(HORN_PARTS[0], programs[0], events), Line(HORN_PARTS[1], programs[1], low)]


@dataclass(frozen=True)
class _Horn:
    name: str
    level: float
    drive: float = 0.05
    doubled: bool = False


HORN_PARTS = (_Horn("high horn", 1.0), _Horn("low horn", -2.0))
