"""Backgrounds for speech: a mains hum, music, babble and a crowd, rendered like the songs."""

import zlib

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from ..errors import unknown
from . import speech
from .genres import GENRES

RATE = speech.RATE
KINDS = ("hum", "music", "babble", "crowd")
#: Speakers of a babble: below about four, single words are understood.
BABBLERS = 8
#: The first index of speakers who only babble, so that nobody talks over their own voice.
FIRST_BABBLER = 1 << 21


def render_noise(
    kind: str,
    seconds: float,
    split: str,
    seed: int,
    engine: str = "espeak",
    instruments: str = "sampled",
) -> np.ndarray:
    """One background.

    Parameters
    ----------
    kind : str
        One of `KINDS`. Only babble holds words; music is drums, bass and other of a song of the
        band, without its vocals.
    seconds : float
    split : {"train", "test"}
        Whose speakers babble, whose songs are played; hum and crowd know no splits.
    seed : int
        Same seed, same noise.
    engine : {"espeak", "dsp"}
        What speaks.
    instruments : {"sampled", "dsp"}
        What plays.

    Returns
    -------
    ndarray, float64, (round(seconds * 16000),)
        RMS 0.08, which may put peaks beyond full scale.

    Raises
    ------
    SepkitError
        For an unknown kind or split.
    """
    if kind not in KINDS:
        raise unknown("noise", kind, KINDS)
    if split not in speech.SPLITS:
        raise unknown("split", split, speech.SPLITS)
    samples = round(seconds * RATE)
    key = zlib.crc32(f"{kind} {split}".encode())
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(key,)))
    wave = {
        "hum": lambda: _hum(samples, rng),
        "music": lambda: _music(samples, split, rng, instruments),
        "babble": lambda: _babble(samples, split, rng, engine),
        "crowd": lambda: _crowd(samples, rng),
    }[kind]()
    return wave * (speech.LEVEL / max(_rms(wave), 1e-9))


def _rms(wave):
    return float(np.sqrt(np.mean(np.square(wave))))


def _hum(samples, rng):
    """Mains of 50 or 60 Hz with odd harmonics above the even ones, and a fan."""
    base, time = rng.choice((50.0, 60.0)), np.arange(samples) / RATE
    wave = np.zeros(samples)
    for number in range(1, 25):
        level = (1.0 if number % 2 else 0.4) / number**0.7 * rng.lognormal(0, 0.5)
        wave += level * np.sin(2 * np.pi * (number * base * time + rng.uniform()))
    wave *= 1 + 0.1 * np.sin(2 * np.pi * (rng.uniform(0.2, 0.7) * time + rng.uniform()))
    fan = lfilter([0.1], [1, -0.9], rng.standard_normal(samples))
    return wave / _rms(wave) + fan * (rng.uniform(0.1, 0.3) / _rms(fan))


def _music(samples, split, rng, instruments):
    import soxr

    from . import song

    genre = list(GENRES)[rng.integers(len(GENRES))]
    seconds, seed = max(2.0, samples / RATE + 0.1), int(rng.integers(1 << 32))
    plan = song.Plan(split, 0, genre, seconds, seed, "dsp", instruments)
    stems, _ = song.make(plan)
    band = sum(stems[stem].astype(float) for stem in ("drums", "bass", "other"))  # (2, n)
    return soxr.resample(band.mean(axis=0) / 32768, song.RATE, RATE)[:samples]


def _babble(samples, split, rng, engine):
    """Several speakers at once, equally loud, who take up the next sentence without a pause."""
    wave = np.zeros(samples)
    for index in FIRST_BABBLER + rng.choice(1 << 10, BABBLERS, replace=False):
        speaker, said = speech.draw_speaker(0, split, int(index)), np.zeros(0)
        while len(said) < samples:
            said = np.concatenate([said, speech.say(speaker, 5.0, rng, engine)[0]])
        wave += np.roll(said, rng.integers(len(said)))[:samples]
    return wave


def _crowd(samples, rng):
    """Applause of many hands, and cheers: voiced sounds that glide, without words."""
    wave = np.zeros(samples + RATE)
    for _ in range(int(samples / RATE * 90)):
        start, decay = rng.integers(samples), rng.uniform(0.003, 0.012)
        clap = rng.standard_normal(RATE // 20) * np.exp(-np.arange(RATE // 20) / (decay * RATE))
        wave[start : start + len(clap)] += rng.uniform(0.2, 1) * clap
    wave = sosfilt(butter(2, (600, 3500), "bandpass", fs=RATE, output="sos"), wave)
    cheers = np.zeros(samples + 3 * RATE)
    for _ in range(int(samples / RATE * 8) + 4):
        start, cheer = rng.integers(samples), _cheer(rng)
        cheers[start : start + len(cheer)] += cheer
    return wave[:samples] / _rms(wave) + rng.uniform(0.5, 1.5) * cheers[:samples] / _rms(cheers)


def _cheer(rng):
    """A pulse train whose pitch rises and falls, through two formants of an open vowel."""
    count = int(rng.uniform(0.6, 2.0) * RATE)
    phase = np.linspace(0, 1, count)
    pitch = rng.uniform(180, 420) * 2 ** (rng.uniform(-0.4, 0.6) * np.sin(np.pi * phase))
    cycle = np.cumsum(pitch / RATE)
    wave = np.diff(np.floor(cycle), prepend=0.0) + 0.05 * rng.standard_normal(count)
    for formant in (rng.uniform(600, 900), rng.uniform(1000, 1800)):
        radius = np.exp(-np.pi * 120 / RATE)
        wave = lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * formant / RATE), radius**2], wave)
    wave = wave * np.sin(np.pi * phase)
    return wave * (rng.uniform(0.3, 1) / _rms(wave))
