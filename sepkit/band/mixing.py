"""From parts to stems: drive, panning, equaliser, reverb, levels, and ceilings against clipping."""

from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.signal import lfilter

from .instruments import pan_weights
from .plain import high_pass, low_pass

RATE = 44100
STEMS = ("drums", "bass", "other", "vocals")

# Active RMS of each stem. Together they give the difficulty of the data set: with the
# mixture taken as the estimate, SDRs of about -5, -5, -3 and -7 dB.
LEVELS = {"drums": 0.036, "bass": 0.036, "other": 0.041, "vocals": 0.034}
# Peaks a stem cannot exceed: they add up to less than 1, so no mixture ever clips,
# without a gain that would depend on the song (and change over a sweep of a knob).
CEILINGS = {"drums": 0.37, "bass": 0.17, "other": 0.22, "vocals": 0.23}
# Low notes stay dry, as engineers keep them.
WETNESS = {"drums": 0.6, "bass": 0.15, "other": 1.0, "vocals": 1.0}
LEVEL_SPREAD = 2.0  # dB, standard deviation over songs


@dataclass(frozen=True)
class Tone:
    """The sound of one stem in one song."""

    level: float  # dB
    tilt: float  # dB per octave around 1 kHz
    air: float  # dB above 8 kHz
    reverb: float  # 0 ... 1, share of the wet signal
    decay: float  # seconds to -60 dB
    seed: int  # of the reverb's noise


def draw_tone(rng: np.random.Generator, stem: str, reverb: float | None = None) -> Tone:
    """Draw the sound of a stem; a given `reverb` replaces the drawn one and nothing else."""
    level = float(np.clip(rng.normal(0, LEVEL_SPREAD), -5, 5))
    tilt, air = float(np.clip(rng.normal(0, 0.6), -1.2, 1.2)), float(rng.uniform(-3, 4))
    wet, decay = float(rng.beta(1.5, 5)), float(rng.uniform(0.3, 1.6))
    wet = WETNESS[stem] * (wet if reverb is None else reverb)
    return Tone(level, tilt, air, wet, decay, int(rng.integers(2**31)))


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


def pan(wave, position, width=0.0, delay=0):
    """Mono to stereo: equal-power weights, and by `width` a delayed copy on the other side.

    What is stereo already, (2, samples), is balanced by the same weights.
    """
    left, right = pan_weights(position)
    if wave.ndim == 2:
        return wave * np.float32([[left], [right]])
    out = np.stack([wave * np.float32(left), wave * np.float32(right)])
    if width and delay:
        late = np.concatenate([np.zeros(delay, np.float32), wave[:-delay]])
        out += np.float32(width) * np.stack([late * np.float32(right), late * np.float32(left)])
    return out


def shape(audio, tone, old=0.0):
    """Equaliser, reverb and the band of an old recording, as one filter in the frequency domain.

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
    samples = audio.shape[1]
    tail = int(tone.decay * RATE)
    size = fft.next_fast_len(samples + tail, real=True)
    frequencies = np.maximum(fft.rfftfreq(size, 1 / RATE), 20.0)
    gain = tone.tilt * np.clip(np.log2(frequencies / 1000), -4, 4) + tone.air / (
        1 + (8000 / frequencies) ** 4
    )
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
    # Two channels of decaying noise after 12 ms, with unit energy: a synthetic hall.
    rng = np.random.default_rng(tone.seed)
    count = int(tone.decay * RATE)
    noise = rng.standard_normal((2, count)).astype(np.float32)
    noise = lfilter([0.35], [1, -0.65], noise, axis=1).astype(np.float32)
    noise *= np.exp(-6.9 * np.arange(count, dtype=np.float32) / count)
    noise[:, : min(count, int(0.012 * RATE))] = 0
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
