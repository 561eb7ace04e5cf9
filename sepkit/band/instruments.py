"""Notes to audio: sampled instruments, or plain DSP ones.

Both sets take the same notes, so a song is the same composition with either.
The random generator handed in belongs to one stem: nothing here touches
another stem's draws.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..errors import SepkitError, unknown
from . import plain, soundfont
from .pools import KITS

RATE = 44100
BACKENDS = ("auto", "sampled", "dsp")


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


def choose(instruments="auto"):
    """ "sampled" or "dsp": what `instruments` means on this machine.

    Raises
    ------
    SepkitError
        For an unknown name, or "sampled" without pretty_midi.
    """
    if instruments not in BACKENDS:
        raise unknown("instruments", instruments, BACKENDS)
    if instruments == "auto":
        return "sampled" if soundfont.font_path() else "dsp"
    if instruments == "sampled" and not soundfont.font_path():
        raise SepkitError(
            "instruments='sampled' needs pretty_midi: pip install 'sepkit[band]', or pass instruments='dsp'"
        )
    return instruments


def play(events, program, samples, rng, backend="sampled", detune=0.0, spread=0.0):
    """Render the notes of one instrument.

    Parameters
    ----------
    events : list of Event
    program : int or str
        General MIDI program, or a plain timbre's name (see `plain.tone`).
    samples : int
        Length of the result at 44.1 kHz; what rings longer is cut.
    rng : numpy.random.Generator
    backend : {"sampled", "dsp"}
    detune : float
        Cents added to every note.
    spread : float
        Seconds (standard deviation) of each note's timing error.

    Returns
    -------
    ndarray
        float32, (samples,), not normalised
    """
    out = np.zeros(samples, np.float32)
    voice = (
        _Plain(program, rng) if backend == "dsp" or isinstance(program, str) else _Sampled(program)
    )
    longest = {}
    for event in events:
        longest[event.pitch] = max(longest.get(event.pitch, 0), event.duration)
    cache = {pitch: voice.prepare(pitch, seconds, detune) for pitch, seconds in longest.items()}
    for event in events:
        late = rng.normal(0, spread) if spread else 0.0
        start = int(max(0.0, event.start + late) * RATE)
        if start >= samples:
            continue
        for wave in voice.note(cache[event.pitch], event):
            wave = wave[: samples - start]
            out[start : start + len(wave)] += wave
    return out


class _Sampled:
    def __init__(self, program):
        self.font = soundfont.bundled()
        self.zones = self.font.zones(program)

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
                yield wave[:count] * shape * np.float32(level)


class _Plain:
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


def drum(hits, kit, samples, rng, backend="sampled", tuning=0.0):
    """Render drum strokes.

    Parameters
    ----------
    hits : list of Hit
    kit : str
        A kit of `pools.KITS`.
    samples : int
    rng : numpy.random.Generator
    backend : {"sampled", "dsp"}
        With "dsp" a sampled drum is replaced by its plain relative.
    tuning : float
        Semitones by which the whole kit is moved.

    Returns
    -------
    ndarray
        float32, (2, samples): kick and snare in the middle, the rest spread
    """
    out = np.zeros((2, samples), np.float32)
    sounds = {}
    for role in sorted(
        {hit.role for hit in hits}
    ):  # sorted: the draws must not depend on hash order
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


def pan_weights(position):
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
            waves.append(gain * _font_drum(bank_program, key, rng, tuning))
        else:
            name, settings = rest
            jitter = {k: v * np.exp(rng.normal(0, 0.04)) for k, v in settings.items()}
            waves.append(gain * plain.DRUMS[name](rng, **jitter))
    length = max(map(len, waves))
    return np.sum(
        [np.pad(wave, (0, length - len(wave))) for wave in waves], axis=0, dtype=np.float32
    )


def _font_drum(program, key, rng, tuning):
    font = soundfont.bundled()
    zones = [z for z in font.zones(program, soundfont.DRUM_BANK) if z.covers(key, 100)]
    if len(zones) > 1:  # a kit that repeats another kit's drums: its own zones come first
        zones = [z for z in zones if z.keys == (key, key)][:1] or zones[:1]
    zone = zones[0]
    # A looped cymbal turns into a tone, so its loop is not taken: noise carries the decay on.
    seconds = (
        (zone.end - zone.start - 4)
        / (zone.ratio * 2 ** (tuning / 12 + key * zone.scale / 1200))
        / RATE
    )
    short_loop = zone.loop and zone.loop[1] - zone.loop[0] < 400
    unlooped = zone if short_loop or not zone.loop else replace(zone, loop=())
    count = int((0.5 if short_loop else seconds) * RATE)
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
