"""Speech of distinct speakers: material for speech separation, rendered like the songs."""

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import SepkitError, unknown
from ..files import atomic_path, read_object, write_json
from ..validation import SEED, Number, checked
from . import voice
from .rendering import render_all
from .singers import ACCENTS, VARIANTS, Singer
from .vocabulary import compose

RATE = 16000
#: RMS of every utterance
LEVEL = 0.08
MANIFEST = "speech.json"
SPLITS = ("train", "test")
ENGINES = ("auto", *voice.ENGINES)
# What a folder must share with a call that adds to it.
_FIXED = ("version", "seed", "seconds", "engine")
_VERSION = 1


@dataclass(frozen=True)
class Speaker:
    """A voice that speaks: a `Singer` for its timbre, and how it talks.

    `scale` stretches formants and pitch together (the length of the vocal
    tract), `pitch` and `melody` are espeak-ng's 0 ... 100, `rate` is words per
    minute, `tilt` dB per octave above 1 kHz.
    """

    name: str
    split: str
    timbre: Singer
    scale: float
    pitch: int
    melody: int
    rate: int
    tilt: float


def draw_speaker(seed: int, split: str, index: int) -> Speaker:
    """The `index`-th speaker of a split: variants first differ, then accents, then everything else.

    Raises
    ------
    SepkitError
        For another split.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    rng = np.random.default_rng(
        np.random.SeedSequence(seed, spawn_key=(SPLITS.index(split), index))
    )
    order = np.random.default_rng(
        np.random.SeedSequence(seed, spawn_key=(SPLITS.index(split), 1 << 20))
    )
    variants = [list(VARIANTS[split])[i] for i in order.permutation(len(VARIANTS[split]))]
    accents = [ACCENTS[i] for i in order.permutation(len(ACCENTS))]
    variant = variants[index % len(variants)]
    accent = accents[(index + index // len(variants)) % len(accents)]
    timbre = _timbre(rng, split, accent, variant)
    return Speaker(
        name=f"{split}-{index:03d}",
        split=split,
        timbre=timbre,
        scale=float(rng.uniform(0.92, 1.09)),
        pitch=int(rng.integers(25, 75)),
        melody=int(rng.integers(30, 75)),
        rate=int(rng.integers(140, 185)),
        tilt=float(rng.uniform(-2.5, 2.5)),
    )


def _timbre(rng, split, accent, variant):
    """A plain voice of the variant's own register.

    The draws stay as they are, unused ones too: they are part of the data set.
    """
    drawn = list(VARIANTS[split])[rng.integers(len(VARIANTS[split]))]
    rng.integers(len(ACCENTS))
    formant = rng.uniform(*((0.93, 1.10) if VARIANTS[split][drawn] == "low" else (0.95, 1.08)))
    rng.uniform()
    breath, brightness = rng.beta(1.5, 4), np.clip(rng.normal(0, 2.5), -5, 5)
    rng.normal(size=2)
    rng.uniform(size=3)
    intonation, _ = rng.uniform(2, 6), rng.uniform()
    low = VARIANTS[split][variant] == "low"
    return Singer(
        name=f"{accent}{variant}",
        accent=accent,
        variant=variant,
        register="tenor" if low else "alto",
        centre=float(rng.uniform(53, 58) if low else rng.uniform(61, 66)),
        formant=float(np.round(formant, 3)),
        breath=float(breath),
        brightness=float(brightness),
        intonation=float(intonation),
    )


def say(
    speaker: Speaker, seconds: float, rng: np.random.Generator, engine: str = "espeak"
) -> tuple[np.ndarray, str]:
    """One utterance; it ends with the last word that fits into `seconds`.

    Returns
    -------
    samples : ndarray, float64, (n,)
        16 kHz, n <= seconds * 16000, RMS 0.08.
    text : str
        What was composed; the words behind the cut are not heard.
    """
    text = compose(rng, speaker.split, math.ceil(seconds * 4))
    wave = (
        _spoken(speaker, text, seconds, rng)
        if engine == "espeak"
        else _plain(speaker, text, seconds, rng)
    )
    wave = _tilt(wave, speaker.tilt)
    fade = np.minimum(1, np.arange(len(wave))[::-1] / (0.02 * RATE))
    wave = wave * fade
    loud = wave * (LEVEL / max(np.sqrt(np.mean(np.square(wave))), 1e-9))
    return np.clip(loud, -0.99, 0.99), text


def _spoken(speaker, text, seconds, rng):
    import soxr

    from . import espeak

    timbre = speaker.timbre
    said = espeak.speak(
        text,
        timbre.accent + timbre.variant,
        speaker.rate,
        speaker.pitch,
        speaker.melody,
        seed=int(rng.integers(1, 2**31)),
    )
    played = said.sample_rate * speaker.scale  # faster playing: shorter vocal tract
    end = len(said.samples)
    if end > seconds * played:
        starts = [sample for _, sample in said.words if sample <= seconds * played]
        end = starts[-1] if len(starts) > 1 else int(seconds * played)
    wave = soxr.resample(said.samples[:end], played, RATE)
    return _breathe(wave, timbre.breath, rng)


def _plain(speaker, text, seconds, rng):
    """Without the extra: the formant synthesiser on short falling notes, four per second."""
    import soxr

    tempo = speaker.rate / 160 * 4.2
    count = int((seconds - 0.15) * tempo)
    if count < 1:
        raise SepkitError(f"speech: seconds is {seconds}; an utterance needs at least 0.5 s")
    phrase = 12
    notes = [
        voice.Note(
            0.1 + i / tempo,
            (0.92 if (i + 1) % phrase else 0.6) / tempo,
            speaker.timbre.centre
            - 4
            + 2 * (0.5 - (i % phrase) / phrase) * speaker.melody / 20
            + rng.normal(0, 1),
        )
        for i in range(count)
    ]
    talker = replace(
        speaker.timbre,
        vibrato_depth=0.0,
        portamento=0.12,
        scoop=0.0,
        jitter=15.0,
        formant=speaker.timbre.formant * speaker.scale,
    )
    words = [word.strip(".,").lower() for word in text.split()]
    return soxr.resample(voice.sing(notes, talker, words, seconds, rng, "dsp"), voice.RATE, RATE)


def _breathe(wave, breath, rng):
    """Fill the holes of the spoken spectrum with a little noise that follows the level."""
    from scipy.signal import lfilter

    level = lfilter([0.01], [1, -0.99], np.abs(wave))
    noise = rng.standard_normal(len(wave))
    noise = noise - lfilter([0.5], [1, -0.5], noise)
    return wave + (0.01 + 0.04 * breath) * level * noise


def _tilt(wave, slope):
    """A shelf of about `slope` dB per octave above 1 kHz."""
    from scipy.signal import lfilter

    pole = math.exp(-2 * math.pi * 1500 / RATE)
    low = lfilter([1 - pole], [1, -pole], wave)
    return low + 10 ** (2 * slope / 20) * (wave - low)


def render_speech(
    root,
    speakers_train=12,
    speakers_test=6,
    utterances=6,
    seconds=5.0,
    seed=0,
    workers=None,
    engine="auto",
):
    """Render utterances to ``root/speech/<train|test>/<speaker>/<number>.wav``.

    16 kHz, mono, int16. No speaker, and no noun, verb or adjective, occurs in
    both splits. Files that exist are kept: an interrupted call goes on where it
    stopped, and more speakers or utterances only add files.

    Parameters
    ----------
    root : str or Path
        The root of the band.
    speakers_train, speakers_test : int
        Distinct speakers of each split.
    utterances : int
        Of each speaker.
    seconds : float
        Longest utterance, 0.5 ... 60; it ends with the last whole word.
    seed : int
    workers : int, optional
        Processes. By default one for less than half an hour of speech, which
        takes seconds, and else the number of cores.
    engine : {"auto", "espeak", "dsp"}
        "auto" speaks with espeak-ng when the extra is installed.

    Returns
    -------
    Path
        ``root/speech``

    Raises
    ------
    SepkitError
        For values out of range, or a folder that was rendered with another
        seed, length or engine.
    """
    _check(speakers_train, speakers_test, utterances, seconds, seed, engine)
    engine = voice.available_engine() if engine == "auto" else engine
    folder = Path(root) / "speech"
    settings = {"version": _VERSION, "seed": seed, "seconds": float(seconds), "engine": engine}
    (known, complete), jobs, wanted = _known(folder, settings), [], {}
    for split, count in zip(SPLITS, (speakers_train, speakers_test)):
        for index in range(count):
            speaker = draw_speaker(seed, split, index)
            wanted[speaker.name] = _facts(speaker)
            missing = [
                n
                for n in range(utterances)
                if not (folder / split / f"{split}-{index:03d}" / f"{n:03d}.wav").is_file()
            ]
            if missing:
                jobs.append((folder, seed, split, index, missing, float(seconds), engine))
    if not jobs and complete and wanted.items() <= known.items():
        return folder
    for leftover in folder.glob("*/*/.*.wav"):  # of a call that was killed
        leftover.unlink(missing_ok=True)
    write_json(folder / MANIFEST, {**settings, "complete": False, "speakers": known})
    if workers is None:  # starting a process costs more than a minute of speech
        workers = os.cpu_count() or 1 if seconds * sum(len(job[4]) for job in jobs) > 1800 else 1
    render_all(jobs, workers, render=_render_speaker)
    speakers = dict(sorted({**known, **wanted}.items()))
    write_json(folder / MANIFEST, {**settings, "complete": True, "speakers": speakers})
    return folder


def _check(speakers_train, speakers_test, utterances, seconds, seed, engine):
    counts = {
        "speakers_train": speakers_train,
        "speakers_test": speakers_test,
        "utterances": utterances,
    }
    for name, value in counts.items():
        checked(f"speech: {name}", value, Number(0, 10**6))
    checked("speech: seed", seed, SEED)
    checked("speech: seconds", seconds, Number(0.5, 60, whole=False))
    if engine not in ENGINES:
        raise unknown("speech engine", engine, ENGINES)


def _known(folder, settings):
    """The speakers that earlier calls rendered here, and whether the last call was completed."""
    if not (folder / MANIFEST).is_file():
        return {}, False
    before = read_object(folder / MANIFEST, speakers=dict)
    changed = [
        f"{key} {before.get(key)!r}, now {settings[key]!r}"
        for key in _FIXED
        if before.get(key) != settings[key]
    ]
    if changed:
        raise SepkitError(
            f"{folder}: was rendered with {'; '.join(changed)}; "
            "choose another folder or delete this one"
        )
    return before["speakers"], bool(before.get("complete"))


def _facts(speaker):
    return {
        "voice": speaker.timbre.name,
        "scale": round(speaker.scale, 3),
        "pitch": speaker.pitch,
        "rate": speaker.rate,
    }


def _render_speaker(folder, seed, split, index, numbers, seconds, engine):
    import soundfile

    speaker = draw_speaker(seed, split, index)
    for number in numbers:
        rng = np.random.default_rng(
            np.random.SeedSequence(seed, spawn_key=(SPLITS.index(split), index, number))
        )
        samples, _ = say(speaker, seconds, rng, engine)
        with atomic_path(folder / split / speaker.name / f"{number:03d}.wav") as temporary:
            soundfile.write(
                temporary, np.round(samples * 32767).astype(np.int16), RATE, subtype="PCM_16"
            )
