"""The vocals of a song: a lead, and around it doubles, harmonies, spoken lines, breaths, echo."""

from dataclasses import asdict, dataclass
from functools import partial
from operator import add

import numpy as np

from . import mixing, vocabulary
from .composition import Grid, scale
from .expression import LEAD
from .instruments import Event, pan_weights
from .knobs import Knobs
from .plain import high_pass, low_pass
from .singers import draw_singer
from .voice import LEVEL, Note, Voice

RATE = 44100
#: each has a random generator of its own; the order is part of the data set: append only
_PARTS = ("singer", "words", "lead", "doubles", "harmony", "spoken", "breath", "echo", "choices")
# Steps of the scale between lead and harmony, and how often: a third or a sixth, above or below.
_INTERVALS = {2: 0.45, -2: 0.2, 5: 0.15, -5: 0.2}

_REST = 0.45  # seconds between phrases


@dataclass(frozen=True)
class Arrangement:
    """How much of everything that may stand around the lead; the knobs of these names."""

    doubling: float
    harmony: float
    spoken: float
    breath: float
    echo: float


def draw_arrangement(rng: np.random.Generator, knobs: Knobs) -> Arrangement:
    """What a song has; a given knob replaces its own draw and no other."""

    def draw(knob, chance, lowest, highest):
        present, drawn = rng.random() < chance, float(rng.uniform(lowest, highest))
        return round(drawn if present else 0.0, 3) if knob is None else float(knob)

    return Arrangement(
        doubling=draw(knobs.doubling, 0.3, 0.4, 1.0),
        harmony=draw(knobs.harmony, 0.35, 0.3, 0.8),
        spoken=draw(knobs.spoken, 0.15, 0.3, 1.0),
        breath=draw(knobs.breath, 0.7, 0.1, 1.0),
        echo=draw(knobs.echo, 0.35, 0.1, 0.45),
    )


class Vocals:
    """The singer of a song, who is known before the melody is: it must fit the voice.

    Parameters
    ----------
    rng : Generator
        Of the vocals alone.
    split, knobs, engine
        As in `song.Plan`.
    """

    def __init__(self, rng: np.random.Generator, split: str, knobs: Knobs, engine: str):
        self.rng = dict(zip(_PARTS, rng.spawn(len(_PARTS)), strict=True))
        self.split, self.engine = split, engine
        self.singer = draw_singer(self.rng["singer"], split, knobs.voices)
        self.arrangement = draw_arrangement(self.rng["choices"], knobs)

    @property
    def facts(self) -> dict:
        """For the manifest."""
        return {"singer": self.singer.name, "vocals": asdict(self.arrangement)}

    def sing(self, tune: list[Event], grid: Grid, samples: int) -> np.ndarray:
        """The melody with all that surrounds it: (2, samples), float32, before the mix."""
        if not tune:
            return np.zeros((2, samples), np.float32)
        wanted, seconds = self.arrangement, samples / RATE
        tune = with_rests(tune, grid)
        phrases = phrases_of(tune, grid)
        spoken = self._pick(phrases, wanted.spoken, "spoken")
        words = vocabulary.draw_words(self.rng["words"], self.split, len(tune))
        self.voice = Voice(self.singer, words, self.engine)
        text = self.voice.read(_notes(tune, spoken), seconds, self.rng["words"])
        lead = self.voice.sing(text, seconds, self.rng["lead"])
        audio = _placed(lead, float(np.clip(self.rng["lead"].normal(0, 0.06), -0.2, 0.2)))
        audio += self._doubles(text, seconds)
        audio += self._harmonies(text, [p for p in phrases if p not in spoken], grid, seconds)
        audio += self._breaths(phrases, samples)
        return self._echo(audio, 60 / grid.tempo)

    def _pick(self, phrases, share, part):
        """That share of the phrases (one at least, if any), in their order."""
        count = max(1, round(share * len(phrases))) if share > 0 else 0
        chosen = self.rng[part].permutation(len(phrases))[:count]
        return [phrases[index] for index in sorted(chosen)]

    def _doubles(self, text, seconds):
        """The whole line sung again, once or twice: its own timing, tuning and place."""
        rng, level = self.rng["doubles"], self.arrangement.doubling
        sides = ((-1, 1), (1,), (-1,))[rng.choice(3, p=[0.5, 0.25, 0.25])]
        width, spread = rng.uniform(0.2, 0.9), rng.uniform(0.006, 0.016)
        audio = np.zeros((2, round(seconds * RATE)), np.float32)
        for side in sides if level > 0 else ():
            again = text.again(rng, spread, seconds).moved(partial(add, rng.normal(0, 0.07)))
            take = self.voice.sing(again, seconds, rng)
            audio += _placed(take * level / np.sqrt(len(sides)), side * width)
        return audio

    def _harmonies(self, text, phrases, grid, seconds):
        """A second voice a third or a sixth away, in some phrases."""
        rng, level = self.rng["harmony"], self.arrangement.harmony
        steps = int(rng.choice(list(_INTERVALS), p=list(_INTERVALS.values())))
        sides = ((-1, 1), (1,), (-1,))[rng.choice(3, p=[0.3, 0.35, 0.35])]
        width = rng.uniform(0.2, 0.8)
        chosen = self._pick(phrases, rng.uniform(0.4, 1.0), "harmony")
        part = text.between(chosen).moved(
            lambda pitch: harmonise(pitch, scale(grid.key, grid.mode), steps)
        )
        audio = np.zeros((2, round(seconds * RATE)), np.float32)
        for side in sides if level > 0 and part.rows else ():
            take = self.voice.sing(part.again(rng, 0.01, seconds), seconds, rng)
            audio += _placed(take * level / np.sqrt(len(sides)), side * width)
        return audio

    def _breaths(self, phrases, samples):
        """Air drawn in before a phrase, where the rest before it leaves the time."""
        rng, level = self.rng["breath"], self.arrangement.breath
        wave, free = np.zeros(samples, np.float32), 0.0
        for start, end in phrases:
            length, loud = rng.uniform(0.2, 0.45), rng.uniform(0.5, 1.0)
            noise, colour = rng.standard_normal(RATE // 2), rng.uniform(2500, 6000)
            last = start - LEAD
            count = int(min(length, last - free - 0.05) * RATE)
            free = end
            if count < 0.12 * RATE or level <= 0:
                continue
            air = low_pass(high_pass(noise[:count].astype(np.float32), 500), colour)
            air *= np.sin(np.pi * np.linspace(0, 1, count, dtype=np.float32) ** 1.5)
            begin = int(last * RATE) - count
            wave[begin : begin + count] += mixing.normalise(air, 0.4 * LEVEL * level * loud)
        return _placed(wave, 0.0)

    def _echo(self, audio, beat):
        """Repeats in the tempo, each quieter and duller than the one before."""
        rng, level = self.rng["echo"], self.arrangement.echo
        delay = int(beat * rng.choice([0.5, 0.75, 1.0]) * RATE)
        feedback, dull = rng.uniform(0.2, 0.55), rng.uniform(2000, 6000)
        place = rng.uniform(0.3, 0.9) if rng.random() < 0.4 else 0.0
        if level <= 0:
            return audio
        out, repeat = audio.copy(), np.float32(np.sqrt(2) * level) * audio
        for count in range(1, 5):
            rest = audio.shape[1] - count * delay
            if rest <= 0:
                break
            repeat = low_pass(repeat, dull)
            out[:, count * delay :] += mixing.pan(repeat, place)[:, :rest]
            repeat, place = np.float32(feedback) * repeat, -place  # from side to side
        return out


def phrases_of(tune: list[Event], grid: Grid) -> list[tuple[float, float]]:
    """(start, end) in seconds of the melody's phrases, which are two bars each."""
    stretches: dict[int, tuple[float, float]] = {}
    for note in tune:
        number = _phrase(note, grid)
        first, _ = stretches.get(number, (note.start, 0.0))
        stretches[number] = (first, note.start + note.duration)
    return list(stretches.values())


def with_rests(tune: list[Event], grid: Grid) -> list[Event]:
    """The melody with time to breathe: a phrase's last note gives way, by half of it at most."""
    out = []
    for note, following in zip(tune, tune[1:]):
        if _phrase(note, grid) != _phrase(following, grid):
            free = following.start - _REST - note.start
            note = note._replace(duration=min(note.duration, max(free, note.duration / 2)))
        out.append(note)
    return out + tune[-1:]


def _phrase(note, grid):
    return int(note.start * grid.tempo / 240 + 1e-6) // 2


def harmonise(pitch: float, classes: tuple[int, ...], steps: int) -> float:
    """The pitch so many steps of the scale away; from the nearest one if it is not in the scale."""
    ladder = [p for p in range(12, 116) if p % 12 in classes]
    nearest = min(range(len(ladder)), key=lambda index: abs(ladder[index] - pitch))
    return float(ladder[nearest + steps])


def _notes(tune, spoken):
    return [
        Note(
            event.start,
            event.duration,
            event.pitch,
            any(first <= event.start < last for first, last in spoken),
        )
        for event in tune
    ]


def _placed(wave, position):
    """Mono to stereo, float32."""
    return np.float32(pan_weights(position))[:, None] * np.asarray(wave, np.float32)
