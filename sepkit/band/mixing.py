"""From parts to stems: compressor, equaliser, reverb, width, bus, levels, and their ceilings."""

from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.signal import lfilter

from .instruments import pan_weights
from .plain import high_pass, low_pass

RATE = 44100
STEMS = ("drums", "bass", "other", "vocals")

# Active RMS of each stem. Together they give the difficulty of the data set: over songs of 20 s
# (16 of train, 8 of test, seed 0) the mixture taken as the estimate has an uSDR of -5.8, -6.4,
# -5.1 and -3.5 dB on the mean, with standard deviations of 3.2, 2.1, 2.5 and 2.7 dB, and the
# oracle mask IRM1 one of 8.8, 5.3, 6.7 and 9.3 dB.
LEVELS = {"drums": 0.035, "bass": 0.034, "other": 0.038, "vocals": 0.046}
# Peaks a stem cannot exceed: they add up to less than 1, so no mixture ever clips,
# without a gain that would depend on the song (and change over a sweep of a knob).
CEILINGS = {"drums": 0.33, "bass": 0.16, "other": 0.21, "vocals": 0.29}
# Low notes stay dry and in the middle, as engineers keep them.
WETNESS = {"drums": 0.6, "bass": 0.15, "other": 1.0, "vocals": 1.0}
WIDTHS = {"drums": (0.4, 1.2), "bass": (0.0, 0.3), "other": (0.5, 1.4), "vocals": (0.5, 1.2)}
LEVEL_SPREAD = 2.0  # dB, standard deviation over songs
#: space: (shortest and longest decay, delay of its first sound, pole of its low-pass)
SPACES = {
    "room": ((0.15, 0.5), 0.004, 0.5),
    "plate": ((0.8, 2.2), 0.0, 0.2),
    "hall": ((0.6, 2.2), 0.012, 0.65),
}
_BLOCK = 220  # samples on which a compressor's gain is computed, 5 ms


@dataclass(frozen=True)
class Compressor:
    """The settings of a compressor."""

    ratio: float  # 1 does nothing
    threshold: float  # dB above the active RMS
    attack: float  # seconds
    release: float  # seconds


@dataclass(frozen=True)
class Tone:
    """The sound of one stem in one song."""

    level: float  # dB
    tilt: float  # dB per octave around 1 kHz
    air: float  # dB above 8 kHz
    bells: tuple  # of (octaves above 1 kHz, width in octaves, dB)
    compressor: Compressor
    width: float  # factor on the difference of left and right
    space: str  # of `SPACES`
    reverb: float  # 0 ... 1, share of the wet signal
    decay: float  # seconds to -60 dB
    seed: int  # of the reverb's noise


def draw_tone(rng: np.random.Generator, stem: str, reverb: float | None = None) -> Tone:
    """Draw the sound of a stem; a given `reverb` replaces the drawn one and nothing else."""
    wet, space = float(rng.beta(1.5, 5)), str(rng.choice(list(SPACES)))
    return Tone(
        level=float(np.clip(rng.normal(0, LEVEL_SPREAD), -5, 5)),
        tilt=float(np.clip(rng.normal(0, 0.6), -1.2, 1.2)),
        air=float(rng.uniform(-3, 4)),
        bells=tuple(
            (rng.uniform(-3.5, 3.5), rng.uniform(0.3, 1.2), float(np.clip(rng.normal(0, 3), -7, 7)))
            for _ in range(3)
        ),
        compressor=_draw_compressor(rng, 4.0),
        width=float(rng.uniform(*WIDTHS[stem])),
        space=space,
        reverb=WETNESS[stem] * (wet if reverb is None else reverb),
        decay=float(rng.uniform(*SPACES[space][0])),
        seed=int(rng.integers(2**31)),
    )


def draw_bus(rng: np.random.Generator) -> Compressor:
    """Draw the compressor that the whole band goes through."""
    return _draw_compressor(rng, 2.5)


def _draw_compressor(rng, highest):
    used, ratio = rng.random() < 0.7, float(rng.uniform(1.2, highest))
    return Compressor(
        ratio=ratio if used else 1.0,
        threshold=float(rng.uniform(-6, 4)),
        attack=float(rng.uniform(0.003, 0.03)),
        release=float(rng.uniform(0.06, 0.3)),
    )


def active_rms(audio: np.ndarray) -> float:
    """RMS over the 50 ms blocks that lie within 40 dB of the loudest one; 0 for silence."""
    power = np.mean(np.atleast_2d(audio).astype(np.float64) ** 2, axis=0)
    power = (
        power[: len(power) // 2205 * 2205].reshape(-1, 2205).mean(axis=1)
        if len(power) >= 2205
        else power
    )
    loudest = power.max(initial=0.0)
    return float(np.sqrt(power[power > 1e-4 * loudest].mean())) if loudest > 0 else 0.0


def normalise(audio: np.ndarray, level: float) -> np.ndarray:
    """Scale to an active RMS; silence stays silence."""
    now = active_rms(audio)
    return audio * np.float32(level / now) if now > 1e-9 else audio


def drive(wave: np.ndarray, amount: float) -> np.ndarray:
    """Overdrive a (mono) guitar or horn: a soft clipper in front of a cabinet's low-pass."""
    if amount <= 0:
        return wave
    wave = normalise(wave, 0.25)
    hot = np.tanh(wave * np.float32(1 + 14 * amount)) + np.float32(0.15 * amount)
    return low_pass(high_pass(hot - hot.mean(), 60), 12000)


def excite(wave: np.ndarray, level: float) -> np.ndarray:
    """Add harmonics above 7 kHz, which the font's samples lack, at `level` dB below the wave."""
    band = high_pass(wave, 2000)
    loud = active_rms(band)
    if loud < 1e-9:
        return wave
    fresh = high_pass(np.abs(band) + loud * np.tanh(band * np.float32(2 / loud)), 7000)
    return wave + normalise(fresh, active_rms(wave) * 10 ** (level / 20))


def pan(wave, position):
    """Mono to stereo by equal-power weights; what is stereo, (2, samples), is balanced by them."""
    left, right = pan_weights(position)
    return np.float32([[left], [right]]) * wave


def compress(audio: np.ndarray, settings: Compressor) -> np.ndarray:
    """The gain (samples,) of a compressor that hears `audio`, (2, samples).

    Feed-forward with a smoothed gain, see Giannoulis, Massberg and Reiss, "Digital
    dynamic range compressor design", J. Audio Eng. Soc. 60(6), 2012. The threshold is
    relative to the active RMS, so a louder signal has the same gain.
    """
    samples, loud = audio.shape[1], active_rms(audio)
    if settings.ratio <= 1 or loud <= 0:
        return np.ones(samples, np.float32)
    power = np.mean(audio.astype(np.float64) ** 2, axis=0)
    starts = np.arange(0, samples, _BLOCK)
    power = np.add.reduceat(power, starts) / np.minimum(_BLOCK, samples - starts)
    over = 10 * np.log10(power / loud**2 + 1e-9) - settings.threshold
    target = -np.maximum(over, 0) * (1 - 1 / settings.ratio)
    down, up = (np.exp(-_BLOCK / RATE / t) for t in (settings.attack, settings.release))
    gain, state = np.empty(len(target)), 0.0
    for index, wanted in enumerate(target.tolist()):
        state = wanted + (down if wanted < state else up) * (state - wanted)
        gain[index] = state
    smooth = np.interp(np.arange(samples), starts + _BLOCK / 2, gain)
    return (10 ** (smooth / 20)).astype(np.float32)


def bus_gain(stems: dict[str, np.ndarray], settings: Compressor, samples: int) -> np.ndarray:
    """The gain (samples,) by which the bus moves all stems alike, so that they still add up.

    It hears drums and bass at their usual levels and nothing else: a knob that
    changes the vocals or the other stem moves no other one.
    """
    heard = [normalise(stems[stem], LEVELS[stem]) for stem in ("drums", "bass") if stem in stems]
    return compress(sum(heard, np.zeros((2, samples), np.float32)), settings)


def shape(audio, tone, old=0.0):
    """Compressor and width; equaliser, reverb and the band of an old recording as one filter.

    Parameters
    ----------
    audio : ndarray
        (2, samples), float32
    tone : Tone
    old : float
        0 ... 1, how far the band is narrowed (towards 200 Hz ... 3.5 kHz).

    Returns
    -------
    ndarray
        (2, samples), float32
    """
    audio = audio * compress(audio, tone.compressor)
    middle, side = (audio[0] + audio[1]) / 2, (audio[0] - audio[1]) / 2 * np.float32(tone.width)
    audio = np.stack([middle + side, middle - side])
    samples = audio.shape[1]
    tail = int(tone.decay * RATE)
    size = fft.next_fast_len(samples + tail, real=True)
    frequencies = np.maximum(fft.rfftfreq(size, 1 / RATE), 20.0)
    octaves = np.log2(frequencies / 1000)
    gain = tone.tilt * np.clip(octaves, -4, 4) + tone.air / (1 + (8000 / frequencies) ** 4)
    for centre, width, height in tone.bells:
        gain += height * np.exp(-(((octaves - centre) / width) ** 2))
    response = 10 ** (gain / 20)
    if old > 0:
        low, high = 30 * (200 / 30) ** old, 16000 * (3500 / 16000) ** old
        response /= np.sqrt((1 + (low / frequencies) ** 6) * (1 + (frequencies / high) ** 10))
    response = response.astype(np.float32)
    spectrum = fft.rfft(audio, size, axis=1)
    if tone.reverb > 0:
        room = fft.rfft(_room(tone), size, axis=1)
        send = spectrum.mean(axis=0)
        spectrum = spectrum + np.float32(0.9 * tone.reverb) * send * room
    return fft.irfft(spectrum * response, size, axis=1)[:, :samples].astype(np.float32)


def _room(tone):
    # Two channels of decaying noise with unit energy: a synthetic room, plate or hall.
    rng = np.random.default_rng(tone.seed)
    _, delay, pole = SPACES[tone.space]
    count = int(tone.decay * RATE)
    noise = rng.standard_normal((2, count)).astype(np.float32)
    noise = lfilter([1 - pole], [1, -pole], noise, axis=1).astype(np.float32)
    noise *= np.exp(-6.9 * np.arange(count, dtype=np.float32) / count)
    noise[:, : min(count, int(delay * RATE))] = 0
    return noise / np.float32(np.sqrt(np.sum(noise**2) / 2) + 1e-9)


def finish(audio, stem, tone, gain=0.0, old=0.0):
    """Bring a shaped stem to its level and under its ceiling.

    Returns
    -------
    ndarray
        (2, samples) int16
    """
    level = LEVELS[stem] * 10 ** ((tone.level + gain) / 20)
    audio = normalise(audio, level)
    if old > 0:
        audio = np.broadcast_to(audio.mean(axis=0, keepdims=True), audio.shape)
        heat = np.float32(old / level)  # bends what exceeds the stem's RMS
        audio = np.tanh(audio * heat) / heat
    return to_int16(limit(audio, CEILINGS[stem]))


def limit(audio: np.ndarray, ceiling: float) -> np.ndarray:
    """Bend samples above 70 % of the ceiling under it (no memory, no gain)."""
    knee = np.float32(0.7 * ceiling)
    room = np.float32(ceiling) - knee
    excess = np.maximum(np.abs(audio) - knee, 0)
    return np.where(excess > 0, np.sign(audio) * (knee + room * np.tanh(excess / room)), audio)


def to_int16(audio: np.ndarray) -> np.ndarray:
    """Round to 16 bit."""
    return np.round(np.asarray(audio) * 32767).astype(np.int16)


def hiss(rng, samples, amount):
    """The noise of an old recording, (2, samples), the same on both sides."""
    noise = low_pass(rng.standard_normal(samples).astype(np.float32), 7000)
    return np.stack([noise, noise]) * np.float32(0.012 * amount)


def tape(rng, stems, amount):
    """A worn tape: one wavering speed for all stems, crackle in `other`; as they were in length."""
    samples = next(iter(stems.values())).shape[1]
    time = np.arange(samples)
    place = time.astype(np.float64)
    for rate, depth in ((rng.uniform(0.4, 0.9), 0.0025), (rng.uniform(5, 9), 0.0001)):
        angle = 2 * np.pi * rate * time / RATE
        place += amount * depth * RATE * np.sin(angle + rng.uniform(0, 2 * np.pi))
    worn = {
        stem: np.stack([np.interp(place, time, side) for side in audio]).astype(np.float32)
        for stem, audio in stems.items()
    }
    clicks = rng.standard_normal(samples) * (rng.random(samples) < 8 / RATE)
    if "other" in worn:
        crackle = np.float32(2 * amount) * low_pass(clicks, 6000)
        worn["other"] = normalise(worn["other"], LEVELS["other"]) + LEVELS["other"] * crackle
    return worn


def bleed(stems: dict[str, np.ndarray], share: float) -> dict[str, np.ndarray]:
    """Let a share of each stem (int16) leak evenly into the others; their sum stays, to rounding.

    What leaks is taken from its own stem, so that no stem and no mixture can clip.
    """
    if len(stems) < 2:
        return stems
    total = sum(audio.astype(np.float64) for audio in stems.values())
    leak = share / (len(stems) - 1)
    return {
        stem: np.round((1 - share - leak) * audio + leak * total).astype(np.int16)
        for stem, audio in stems.items()
    }
