"""The instruments: the table of programs and kits by split, and notes to audio.

Nothing that the test songs draw from the table occurs in train. Programs are General
MIDI numbers, or names of plain timbres. Two numbers of one pool pair share no samples
worth hearing (the font's Piano 1 and 2, for example, are one recording, so both stand
on the same side). They are played by samples or by plain DSP.

Both sets take the same notes, so a song is the same composition with either.
The random generator handed in belongs to one stem: nothing here touches
another stem's draws.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..errors import SepkitError, unknown
from . import plain, soundfont
from .fonts import Sound, player

RATE = 44100
BACKENDS = ("auto", "sampled", "dsp")

# A kit maps each role to layers: (gain, "font", drum kit, key) or (gain, "plain", sound, settings).
# The noise layers give the font's 22 kHz cymbals the top they lack.


def _metal(gain, **settings):
    return (gain, "plain", "metal", settings)


def _plain(gain, name, **settings):
    return (gain, "plain", name, settings)


_TRAIN_METAL = {
    "hat": [(1.0, "font", 0, 42), _metal(0.22, decay=0.035, cutoff=8000.0, tone=0.2)],
    "pedal": [(0.9, "font", 0, 44), _metal(0.15, decay=0.03, cutoff=6000.0)],
    "open": [(0.8, "font", 0, 46), _metal(0.22, decay=0.22, cutoff=7500.0, tone=0.2)],
    "ride": [(0.9, "font", 0, 51), _metal(0.15, decay=0.45, cutoff=6500.0, tone=0.35, base=510.0)],
    "crash": [(0.8, "font", 0, 49), _metal(0.38, decay=0.8, cutoff=4500.0, tone=0.12)],
}
_TRAIN_TOMS = {"high tom": [(1.0, "font", 0, 48)], "low tom": [(1.0, "font", 0, 43)]}
_TRAIN_REST = {
    "rim": [(1.00, "font", 0, 37)],
    "clap": [(1.00, "font", 0, 39)],
    **_TRAIN_METAL,
    **_TRAIN_TOMS,
}

_MACHINE_A = {
    "kick": [_plain(0.80, "kick", low=46.0, high=150.0, decay=0.28, click=0.2)],
    "snare": [_plain(1.35, "snare", tone=180.0, buzz=0.12, balance=0.65)],
    "rim": [_plain(1.04, "stick", base=1650.0)],
    "clap": [_plain(1.17, "clap")],
    "hat": [_metal(0.28, decay=0.03, cutoff=8000.0, tone=0.5)],
    "pedal": [_metal(0.4, decay=0.02, cutoff=7500.0, tone=0.5)],
    "open": [_metal(0.28, decay=0.2, cutoff=8000.0, tone=0.5)],
    "ride": [_metal(0.25, decay=0.4, cutoff=6000.0, tone=0.6, base=540.0)],
    "crash": [_metal(0.42, decay=0.7, cutoff=5000.0, tone=0.15)],
    "high tom": [_plain(0.9, "tom", base=160.0)],
    "low tom": [_plain(0.9, "tom", base=90.0)],
}

_TEST_METAL = {
    "hat": [_metal(0.33, decay=0.05, cutoff=6800.0, tone=0.1, base=330.0)],
    "pedal": [_metal(0.28, decay=0.035, cutoff=5200.0, tone=0.1, base=330.0)],
    "open": [_metal(0.26, decay=0.32, cutoff=6200.0, tone=0.1, base=330.0)],
    "ride": [_metal(0.22, decay=0.6, cutoff=5600.0, tone=0.45, base=620.0)],
    "crash": [_metal(0.45, decay=1.1, cutoff=3600.0, tone=0.05)],
}
_TEST_REST = {
    "rim": [_plain(1.17, "stick", base=2050.0, decay=0.009)],
    "clap": [_plain(1.17, "clap", cutoff=1200.0, decay=0.12)],
    "high tom": [_plain(0.9, "tom", base=205.0, decay=0.26)],
    "low tom": [_plain(0.9, "tom", base=120.0, decay=0.3)],
    **_TEST_METAL,
}

KITS = {
    "standard": {"kick": [(1.12, "font", 0, 36)], "snare": [(1.50, "font", 0, 38)], **_TRAIN_REST},
    "power": {
        "kick": [(1.04, "font", 16, 36), _plain(0.32, "kick", low=52.0, decay=0.12, click=0.5)],
        "snare": [(1.65, "font", 16, 38), _plain(0.38, "snare", tone=200.0, buzz=0.16)],
        **_TRAIN_REST,
    },
    "jazz": {
        "kick": [(0.88, "font", 0, 35)],
        "snare": [
            (1.35, "font", 0, 40),
            _plain(0.22, "snare", buzz=0.2, cutoff=2500.0, balance=0.9),
        ],
        **_TRAIN_REST,
    },
    "dry": {
        "kick": [
            (0.96, "font", 0, 36),
            _plain(0.40, "kick", low=58.0, high=210.0, decay=0.1, click=0.6),
        ],
        "snare": [
            _plain(1.35, "snare", tone=215.0, ring=0.05, buzz=0.09, balance=0.55),
            (0.60, "font", 0, 40),
        ],
        **_TRAIN_REST,
    },
    "machine": _MACHINE_A,
    # test only
    "garage": {
        "kick": [_plain(0.80, "kick", low=64.0, high=260.0, sweep=0.02, decay=0.14, click=0.7)],
        "snare": [
            (1.50, "font", 24, 38),
            _plain(0.60, "snare", tone=240.0, ring=0.11, buzz=0.2, cutoff=1400.0),
        ],
        **_TEST_REST,
    },
    "brush": {
        "kick": [_plain(0.72, "kick", low=66.0, high=120.0, sweep=0.04, decay=0.16, click=0.1)],
        "snare": [
            (1.65, "font", 40, 38),
            _plain(0.22, "snare", tone=260.0, buzz=0.25, cutoff=3000.0, balance=0.95),
        ],
        **_TEST_REST,
    },
    "eight-o-eight": {
        "kick": [_plain(0.80, "kick", low=41.0, high=95.0, sweep=0.05, decay=0.42, click=0.05)],
        "snare": [(1.80, "font", 25, 38)],
        **_TEST_REST,
        "hat": [
            (1.0, "font", 25, 42),
            _metal(0.1, decay=0.06, cutoff=6800.0, tone=0.1, base=330.0),
        ],
    },
}

# A mouth: no shell, no metal. Used for a cappella songs of both splits.
KITS["beatbox"] = {
    "mouth kick": [_plain(1.0, "kick", low=75.0, high=190.0, sweep=0.025, decay=0.07, click=0.25)],
    "mouth snare": [
        _plain(1.0, "snare", tone=330.0, ring=0.02, buzz=0.07, cutoff=1200.0, balance=0.85)
    ],
    "mouth hat": [_metal(0.7, decay=0.04, cutoff=5500.0, tone=0.0)],
}

KITS_BY_GENRE = {
    "rock": {"train": ["standard", "power", "dry"], "test": ["garage"]},
    "ballad": {"train": ["standard", "jazz", "dry"], "test": ["brush", "garage"]},
    "ska": {"train": ["standard", "dry", "power"], "test": ["garage"]},
    "jazz": {"train": ["jazz", "standard"], "test": ["brush"]},
    "electro": {"train": ["machine", "power"], "test": ["eight-o-eight"]},
    "funk": {"train": ["dry", "standard", "machine"], "test": ["garage", "eight-o-eight"]},
}

PROGRAMS: dict[str, dict[str, list]] = {
    "driven guitar": {"train": [30, 27], "test": [29]},
    "clean guitar": {"train": [27, 25], "test": [26, 24]},
    "piano": {"train": [0, 4], "test": [2, 5]},
    "organ": {"train": [16, 18], "test": [17, 20]},
    "strings": {"train": [48, 89], "test": [44, 50]},
    "clavinet": {"train": [7, 25], "test": [28, 6]},
    "vibraphone": {"train": [11], "test": [12]},
    "synth": {"train": [81, "saw-lead", 62], "test": [80, "square-lead", 63]},
    "electric bass": {"train": [33, 34], "test": [35, 37]},
    "upright bass": {"train": [32, 33], "test": [35]},
    "synth bass": {"train": [38, "saw-bass"], "test": ["square-bass"]},
    "high horn": {"train": [56, 65], "test": [59, 64, 61]},
    "low horn": {"train": [57, 67], "test": [66, 60]},
}


class Event(NamedTuple):
    """One note: seconds, seconds, MIDI pitch (a float), loudness in (0, 1]."""

    start: float
    duration: float
    pitch: float
    velocity: float = 0.8


class Hit(NamedTuple):
    """One drum stroke: seconds, the kit's role ("kick", "snare", ...), loudness in (0, 1]."""

    start: float
    role: str
    velocity: float = 0.8


def sounds() -> list[Sound]:
    """All that a song may ask of a SoundFont, of both splits."""
    programs = {p for pool in PROGRAMS.values() for side in pool.values() for p in side}
    drums = {
        (layer[2], layer[3])
        for kit in KITS.values()
        for layers in kit.values()
        for layer in layers
        if layer[1] == "font"
    }
    return [Sound(program) for program in sorted(p for p in programs if isinstance(p, int))] + [
        Sound(kit, soundfont.DRUM_BANK, key) for kit, key in sorted(drums)
    ]


def choose(instruments: str = "auto", soundfonts: bool = False) -> str:
    """What `instruments` means on this machine: "sampled" or "dsp".

    With `soundfonts`, fonts are given: what pretty_midi brings is not needed.

    Raises
    ------
    SepkitError
        For an unknown name, or "sampled" without pretty_midi.
    """
    if instruments not in BACKENDS:
        raise unknown("instruments", instruments, BACKENDS)
    if soundfonts:
        if instruments == "dsp":
            raise SepkitError("instruments='dsp' plays no SoundFont; give one of the two")
        return "sampled"
    if instruments == "auto":
        return "sampled" if soundfont.font_path() else "dsp"
    if instruments == "sampled" and not soundfont.font_path():
        raise SepkitError(
            "instruments='sampled' needs pretty_midi: "
            "pip install 'sepkit[band]', or pass instruments='dsp'"
        )
    return instruments


def play(
    events: list[Event],
    program: int | str,
    samples: int,
    rng: np.random.Generator,
    backend: str | tuple[str, ...] = "sampled",
    detune: float = 0.0,
    spread: float = 0.0,
) -> np.ndarray:
    """Render the notes of one instrument.

    Parameters
    ----------
    events, rng
    program
        General MIDI program, or a plain timbre's name (see `plain.tone`).
    samples
        Length of the result at 44.1 kHz; what rings longer is cut.
    backend : {"sampled", "dsp"} or tuple of str
        Paths are SoundFonts: the first plays, the others stand in for what it lacks.
    detune
        Cents added to every note.
    spread
        Seconds (standard deviation) of each note's timing error.

    Returns
    -------
    ndarray
        float32, not normalised: (samples,), or (2, samples) where a font's samples are panned
    """
    voice = (
        _Plain(program, rng)
        if backend == "dsp" or isinstance(program, str)
        else _Sampled(program, backend)
    )
    out = np.zeros((2, samples) if voice.stereo else samples, np.float32)
    longest: dict[float, float] = {}
    for event in events:
        longest[event.pitch] = max(longest.get(event.pitch, 0), event.duration)
    cache = {pitch: voice.prepare(pitch, seconds, detune) for pitch, seconds in longest.items()}
    for event in events:
        late = rng.normal(0, spread) if spread else 0.0
        start = int(max(0.0, event.start + late) * RATE)
        if start >= samples:
            continue
        for wave in voice.note(cache[event.pitch], event):
            wave = wave[..., : samples - start]
            out[..., start : start + wave.shape[-1]] += wave
    return out


class _Sampled:
    def __init__(self, program, backend):
        self.font = player(backend, Sound(program))
        self.zones = self.font.zones(program)
        self.stereo = not self.font.is_bundled and any(zone.pan for zone in self.zones)

    def prepare(self, pitch, seconds, detune):
        key = int(round(pitch))
        zones = [z for z in self.zones if z.keys[0] <= key <= z.keys[1]]
        waves = []
        for zone in zones:
            tail = min(0.5, zone.release * 0.7)
            waves.append(
                (zone, self.font.tone(zone, pitch + detune / 100, int((seconds + tail) * RATE) + 1))
            )
        return waves

    def note(self, waves, event):
        level = event.velocity**1.5
        strength = int(event.velocity * 127)
        for zone, wave in waves:
            if zone.velocities[0] <= strength <= zone.velocities[1]:
                count = min(
                    len(wave), int((event.duration + min(0.5, zone.release * 0.7)) * RATE) + 1
                )
                shape = soundfont.envelope(zone, count, event.duration * RATE)
                wave = wave[:count] * shape * np.float32(level)
                yield wave * _sides(zone) if self.stereo else wave


class _Plain:
    stereo = False

    def __init__(self, program, rng):
        self.program, self.rng = program, rng

    def prepare(self, pitch, seconds, detune):
        return plain.tone(
            self.program, pitch + detune / 100, int((seconds + 0.03) * RATE) + 64, self.rng
        )

    def note(self, wave, event):
        count = min(len(wave), int((event.duration + 0.03) * RATE) + 64)
        shape = plain.fade(count, 0.0, 0.03)
        yield wave[:count] * shape * np.float32(event.velocity**1.5)


def drum(
    hits: list[Hit],
    kit: str,
    samples: int,
    rng: np.random.Generator,
    backend: str | tuple[str, ...] = "sampled",
    tuning: float = 0.0,
) -> np.ndarray:
    """Render drum strokes.

    Parameters
    ----------
    hits, samples, rng
    kit
        A name of `KITS`.
    backend : {"sampled", "dsp"} or tuple of str
        As for `play`. With "dsp" a sampled drum is replaced by its plain relative.
    tuning
        Semitones by which the whole kit is moved.

    Returns
    -------
    ndarray
        float32, (2, samples): kick and snare in the middle, the rest spread
    """
    out = np.zeros((2, samples), np.float32)
    sounds = {}
    for role in sorted({hit.role for hit in hits}):  # the draws must not depend on hash order
        sounds[role] = [
            _drum_sound(KITS[kit], role, rng, backend, tuning + rng.normal(0, 0.12))
            for _ in range(3)
        ]
    pans = {
        role: 0.0 if role in ("kick", "snare") else rng.uniform(-0.7, 0.7)
        for role in sorted(sounds)
    }
    for hit in sorted(hits):
        start = int(max(0.0, hit.start + rng.normal(0, 0.003)) * RATE)
        if start >= samples:
            continue
        wave = sounds[hit.role][rng.integers(3)] * np.float32(hit.velocity**1.5)
        wave = wave[: samples - start]
        for channel, weight in enumerate(pan_weights(pans[hit.role])):
            out[channel, start : start + len(wave)] += np.float32(weight) * wave
    return out


def pan_weights(position: float) -> tuple[float, float]:
    """Equal-power weights (left, right) for a position in [-1, 1]."""
    angle = (position + 1) * np.pi / 4
    return np.cos(angle), np.sin(angle)


def _drum_sound(kit, role, rng, backend, tuning):
    layers = kit[role]
    waves = []
    for gain, source, *rest in layers:
        if source == "font" and backend == "dsp":
            source, rest = "plain", _RELATIVES[role]
        if source == "font":
            bank_program, key = rest
            waves.append(gain * _font_drum(bank_program, key, tuning, backend))
        else:
            name, settings = rest
            jitter = {k: v * np.exp(rng.normal(0, 0.04)) for k, v in settings.items()}
            waves.append(gain * plain.DRUMS[name](rng, **jitter))
    return _layered(waves)


def _layered(waves):
    length = max(map(len, waves))
    return np.sum(
        [np.pad(wave, (0, length - len(wave))) for wave in waves], axis=0, dtype=np.float32
    )


def _sides(zone):
    """Weights (2, 1) of a zone's channels: 1 in the middle."""
    return np.float32([[np.sqrt(2) * weight] for weight in pan_weights(zone.pan)])


def _font_drum(program, key, tuning, backend):
    font = player(backend, Sound(program, soundfont.DRUM_BANK, key))
    zones = [z for z in font.zones(program, soundfont.DRUM_BANK) if z.covers(key, 100)]
    if not font.is_bundled:  # both sides of a stereo pair, as their mean
        return _layered([_stroke(font, z, key, tuning) * _sides(z).mean() for z in zones])
    if len(zones) > 1:  # a kit that repeats another kit's drums: its own zones come first
        zones = [z for z in zones if z.keys == (key, key)][:1] or zones[:1]
    return _stroke(font, zones[0], key, tuning)


def _stroke(font, zone, key, tuning):
    # A looped cymbal turns into a tone, so its loop is not taken: noise carries the decay on.
    seconds = (
        (zone.end - zone.start - 4)
        / (zone.ratio * 2 ** (tuning / 12 + key * zone.scale / 1200))
        / RATE
    )
    short_loop = zone.loop and zone.loop[1] - zone.loop[0] < 400
    unlooped = zone if short_loop or not zone.loop else replace(zone, loop=())
    count = int(min(0.5 if short_loop else seconds, 20.0) * RATE)
    wave = font.tone(unlooped, key + tuning, count)
    return (
        wave
        * soundfont.envelope(unlooped, len(wave), len(wave))
        * plain.fade(len(wave), 0.0, 0.3 * len(wave) / RATE)
    )


_RELATIVES = {
    "kick": ("kick", {}),
    "snare": ("snare", {}),
    "rim": ("stick", {}),
    "clap": ("clap", {}),
    "hat": ("metal", {"decay": 0.04}),
    "pedal": ("metal", {"decay": 0.03, "cutoff": 5000.0}),
    "open": ("metal", {"decay": 0.25}),
    "ride": ("metal", {"decay": 0.5, "tone": 0.6, "cutoff": 5000.0}),
    "crash": ("metal", {"decay": 0.7, "cutoff": 4000.0, "tone": 0.15}),
    "high tom": ("tom", {"base": 170.0}),
    "low tom": ("tom", {"base": 95.0}),
}
