"""Instruments and drums from plain DSP: no samples, no extra package.

Used when pretty_midi is absent, by ``instruments="dsp"``, by the synthetic
kits and basses of the pools, and by test fixtures.
"""

from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

RATE = 44100


def frequency(pitch: float) -> float:
    """MIDI pitch (a float) to Hz."""
    return 440.0 * 2 ** ((pitch - 69) / 12)


def fade(samples, attack, release):
    """A level that rises over `attack` and falls over the last `release` seconds."""
    level = np.ones(samples, np.float32)
    rise, fall = min(samples, int(attack * RATE) + 1), min(samples, int(release * RATE) + 1)
    level[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)
    level[samples - fall :] *= np.linspace(1, 0, fall, dtype=np.float32)
    return level


def high_pass(wave, cutoff):
    """One zero, one pole, applied twice."""
    pole = np.exp(-2 * np.pi * cutoff / RATE)
    b, a = np.array([1.0, -1.0]) * (1 + pole) / 2, np.array([1.0, -pole])
    return lfilter(b, a, lfilter(b, a, wave)).astype(np.float32)


def low_pass(wave, cutoff):
    """One pole, applied twice."""
    pole = np.exp(-2 * np.pi * cutoff / RATE)
    return lfilter([(1 - pole) ** 2], [1, -2 * pole, pole * pole], wave).astype(np.float32)


def pluck(pitch, samples, rng, brightness=0.5, sustain=0.5):
    """A Karplus-Strong string (Karplus and Strong, Computer Music Journal, 1983), float32."""
    period = RATE / frequency(pitch)
    delay = int(period - 0.5)
    burst = np.zeros(samples)
    burst[:delay] = rng.uniform(-1, 1, min(delay, samples))
    burst = lfilter([0.15 + 0.85 * brightness], [1, -(0.85 - 0.85 * brightness)], burst)
    loss = 10 ** (-3 / (frequency(pitch) * (0.6 + 4 * sustain)))
    weight = 0.5 + 0.45 * (brightness - 0.5)  # of the two-tap loop filter: nearer to 1 is brighter
    tap = np.zeros(delay + 2)
    tap[0], tap[delay], tap[delay + 1] = 1, -loss * weight, -loss * (1 - weight)
    return (0.5 * lfilter([1.0], tap, burst)).astype(np.float32)


def harmonics(pitch, samples, weights, vibrato=0.0, rng=None):
    """A sum of partials with the given weights, band limited to 16 kHz, float32."""
    time = np.arange(samples) / RATE
    phase = 2 * np.pi * frequency(pitch) * time
    if vibrato:
        phase = phase + vibrato * np.sin(2 * np.pi * 5.2 * time)
    offsets = rng.uniform(0, 2 * np.pi, len(weights)) if rng is not None else np.zeros(len(weights))
    wave = np.zeros(samples, np.float32)
    for number, (weight, offset) in enumerate(zip(weights, offsets), start=1):
        if weight and number * frequency(pitch) < 16000:
            wave += np.float32(weight) * np.sin((number * phase + offset).astype(np.float32))
    return wave


def saw(pitch, samples, cutoff, detune=0.1):
    """Two detuned saw waves through a low-pass, float32."""
    time = np.arange(samples) / RATE
    wave = sum(2 * np.mod(frequency(pitch + cents) * time, 1) - 1 for cents in (-detune, detune))
    return low_pass(0.4 * wave, cutoff)


def square(pitch, samples, cutoff, width=0.5):
    """A pulse wave through a low-pass, float32."""
    time = np.arange(samples) / RATE
    wave = np.where(np.mod(frequency(pitch) * time, 1) < width, 1.0, -1.0)
    return low_pass(0.5 * (wave - wave.mean()), cutoff)


def family(program: int) -> str:
    """The plain timbre that stands for a General MIDI program."""
    limits = {7: "keys", 15: "mallet", 23: "organ", 31: "pluck", 39: "bass"}
    limits |= {55: "pad", 79: "brass", 87: "lead"}
    return next((name for last, name in limits.items() if program <= last), "pad")


def tone(timbre: int | str, pitch: float, samples: int, rng: np.random.Generator) -> np.ndarray:
    """One note of a plain timbre.

    Parameters
    ----------
    timbre
        A General MIDI program (its family, coloured by its number), or
        ``"saw-bass"``, ``"square-bass"``, ``"saw-lead"``, ``"square-lead"``.
    pitch
        MIDI pitch.
    samples, rng

    Returns
    -------
    ndarray
        float32, (samples,)
    """
    if isinstance(timbre, str):
        wave, role = timbre.split("-")
        cutoff = 900 if role == "bass" else 6000
        oscillator = {"saw": saw, "square": square}[wave]
        return oscillator(pitch, samples, cutoff) * fade(samples, 0.004, 0.03)
    name, colour = family(timbre), (timbre * 0.618) % 1
    time = np.arange(samples, dtype=np.float32) / RATE
    number = np.arange(1, 13)
    if name in ("pluck", "bass"):
        brightness = (0.45 if name == "pluck" else 0.15) + 0.4 * colour
        wave = pluck(pitch, samples, rng, brightness, 0.4) * fade(samples, 0.001, 0.04)
        return wave if name == "pluck" else low_pass(wave, 500 + 900 * colour)
    if name in ("keys", "mallet"):
        decay = 3.5 if name == "keys" else 7
        wave = harmonics(pitch, samples, 0.5 / number ** (1.2 + colour), rng=rng)
        return wave * np.exp(-decay * time) * fade(samples, 0.003, 0.06)
    if name == "organ":
        return (
            0.25
            * harmonics(pitch, samples, [1, 0.8, 0.3 + 0.5 * colour, 0.5, 0, 0.3, 0, 0.3], 0.05)
            * fade(samples, 0.01, 0.03)
        )
    if name == "brass":
        swell = 1 - np.exp(-18 * time)
        bright = harmonics(pitch, samples, number ** (-0.6 - 0.5 * colour), 0.06)
        return 0.2 * (0.3 + 0.7 * swell) * bright * fade(samples, 0.03, 0.05)
    if name == "lead":
        return saw(pitch, samples, 3000 + 5000 * colour) * fade(samples, 0.004, 0.03)
    return 0.5 * saw(pitch, samples, 1500 + 2500 * colour, 0.15) * fade(samples, 0.15, 0.2)


# Drums: each takes its settings from a kit and returns float32 of a natural length.


def kick(rng, low=50.0, high=180.0, sweep=0.03, decay=0.18, click=0.3):
    """A falling sine with a click."""
    time = np.arange(int(RATE * min(0.6, 4 * decay))) / RATE
    phase = 2 * np.pi * (low * time + (high - low) * sweep * (1 - np.exp(-time / sweep)))
    body = np.sin(phase) * np.exp(-time / decay)
    noise = high_pass(rng.standard_normal(len(time)), 1500) * np.exp(-time / 0.004)
    return (body + click * noise).astype(np.float32) * fade(len(time), 0.0005, 0.02)


def snare(rng, tone=190.0, ring=0.08, buzz=0.13, cutoff=1800.0, balance=0.6):
    """Two shell modes and a noise burst; `balance` is the share of noise."""
    time = np.arange(int(RATE * 0.4)) / RATE
    shell = (
        np.sin(2 * np.pi * tone * time) + 0.6 * np.sin(2 * np.pi * 1.6 * tone * time)
    ) * np.exp(-time / ring)
    noise = high_pass(rng.standard_normal(len(time)), cutoff) * np.exp(-time / buzz)
    return ((1 - balance) * shell + balance * 0.7 * noise).astype(np.float32) * fade(
        len(time), 0.0005, 0.05
    )


def metal(rng, decay=0.05, cutoff=7000.0, tone=0.3, base=420.0, seconds=None):
    """A cymbal or hi-hat: high-passed noise and inharmonic pulses, as of analogue drum machines."""
    time = np.arange(int(RATE * (seconds or min(2.5, 7 * decay)))) / RATE
    wave = (1 - tone) * rng.standard_normal(len(time))
    for ratio in (1, 1.342, 1.229, 1.652, 1.955, 2.671):
        start = rng.uniform()
        wave += 0.4 * tone * np.sign(np.sin(2 * np.pi * (base * ratio * time + start)))
    return (
        high_pass(wave, cutoff)
        * np.exp(-time / decay).astype(np.float32)
        * fade(len(time), 0.0005, 0.02)
        * 0.5
    )


def clap(rng, cutoff=900.0, decay=0.08):
    """Three short bursts of noise and a tail."""
    time = np.arange(int(RATE * 0.3)) / RATE
    level = np.exp(-time / decay) * (time > 0.024)
    for start in (0.0, 0.011, 0.021):
        level += np.exp(-np.abs(time - start) / 0.003)
    return (0.4 * level * high_pass(rng.standard_normal(len(time)), cutoff)).astype(
        np.float32
    ) * fade(len(time), 0.001, 0.03)


def tom(rng, base=110.0, decay=0.2):
    """A falling sine without a click."""
    return kick(rng, low=base, high=1.5 * base, sweep=0.06, decay=decay, click=0.08)


def stick(rng, base=1700.0, decay=0.012):
    """A rim shot, claves or cowbell, by `base` and `decay`."""
    time = np.arange(int(RATE * min(0.25, 12 * decay))) / RATE
    wave = np.sin(2 * np.pi * base * time) + 0.7 * np.sin(2 * np.pi * 1.48 * base * time)
    return (0.4 * wave * np.exp(-time / decay)).astype(np.float32)


DRUMS: dict[str, Callable[..., np.ndarray]] = {
    "kick": kick,
    "snare": snare,
    "metal": metal,
    "clap": clap,
    "tom": tom,
    "stick": stick,
}
