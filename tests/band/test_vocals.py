"""What stands around the lead: doubles, harmonies, spoken lines, breaths and echo."""

import dataclasses

import numpy as np
import pytest

from sepkit import band
from sepkit.band import composition, song, vocals
from sepkit.band.expression import LEAD

from .tools import RATE, track

BARE = {"doubling": 0.0, "harmony": 0.0, "spoken": 0.0, "breath": 0.0, "echo": 0.0}


def arranged(seconds=14.0, index=2, genre="ballad", **knobs):
    """(audio (2, samples), tune, phrases, grid) of a plain, steady singer with these knobs."""
    knobs = band.Knobs.of(**{**BARE, "tempo": 100.0, **knobs})
    plan = song.Plan("train", index, genre, seconds, 5, "dsp", "dsp", knobs)
    grid = composition.make_grid(plan.stream("grid"), genre, "train", seconds, knobs)
    singing = vocals.Vocals(plan.stream("vocals"), "train", knobs, "dsp")
    steady = {"vibrato_depth": 0.0, "scoop": 0.0, "portamento": 0.03, "intonation": 0.0}
    singing.singer = dataclasses.replace(singing.singer, **steady, jitter=0.0, breath=0.0)
    tune = composition.melody(plan.stream("melody"), grid, singing.singer.centre)
    audio = singing.sing(tune, grid, round(seconds * RATE))
    tune = vocals.with_rests(tune, grid)
    return audio, tune, vocals.phrases_of(tune, grid), grid


def rms(audio):
    return np.sqrt(np.mean(np.square(audio, dtype=float)))


def held(wave, note):
    """Median pitch (MIDI) of the middle of a note, or None if nothing sounds there."""
    start, end = (int((note.start + x * note.duration) * RATE) for x in (0.35, 0.85))
    if end - start < 3500 or rms(wave[start:end]) < 1e-3:
        return None
    f0, _ = track(wave[start:end], 55, 1000)
    return 69 + 12 * np.log2(np.median(f0) / 440)


@pytest.fixture(scope="module")
def lead():
    return arranged()


def test_the_knobs_of_the_vocals_move_no_other_stem():
    def make(**knobs):
        knobs = band.Knobs.of(**knobs)
        return song.make(song.Plan("train", 0, "ska", 3.0, 5, "dsp", "dsp", knobs))

    (bare, _), (full, facts) = make(**BARE), make(**dict.fromkeys(BARE, 0.8))
    for stem, audio in bare.items():
        assert np.array_equal(audio, full[stem]) == (stem != "vocals"), stem
    assert facts["vocals"] == dict.fromkeys(BARE, 0.8)


def test_songs_have_what_the_help_says_and_a_knob_replaces_its_own_draw_alone():
    drawn = [vocals.draw_arrangement(np.random.default_rng(k), band.Knobs()) for k in range(1500)]
    for name, share in {"doubling": 0.3, "harmony": 0.35, "spoken": 0.15, "echo": 0.35}.items():
        assert np.mean([getattr(a, name) > 0 for a in drawn]) == pytest.approx(share, abs=0.04)
        given = vocals.draw_arrangement(np.random.default_rng(7), band.Knobs.of(**{name: 0.123}))
        assert given == dataclasses.replace(drawn[7], **{name: 0.123})


def test_doubles_sing_the_same_at_other_times_and_are_no_copy(lead):
    audio, tune, *_ = lead
    doubled = arranged(doubling=0.6)[0] - audio
    assert rms(doubled) == pytest.approx(0.6 * rms(audio), rel=0.1)
    wave, base = doubled.mean(axis=0), audio.mean(axis=0)
    off = [held(wave, n) - n.pitch for n in tune if held(wave, n) is not None]
    assert len(off) > 5 and np.median(np.abs(off)) < 0.4 and np.median(off) != 0
    correlation = np.fft.irfft(np.fft.rfft(base) * np.conj(np.fft.rfft(wave)))
    assert np.abs(correlation).max() < 0.8 * len(base) * rms(base) * rms(wave)


def test_harmonies_are_a_third_or_a_sixth_of_the_scale_away(lead):
    audio, tune, phrases, grid = lead
    wave = (arranged(harmony=0.5)[0] - audio).mean(axis=0)
    sung = [(held(wave, note), note) for note in tune]
    apart = [round(pitch - note.pitch) for pitch, note in sung if pitch is not None]
    assert len(apart) >= 4
    # the others start from a chord's note that is not in the scale
    assert np.mean([abs(step) in (3, 4, 8, 9) for step in apart]) > 0.7
    assert len({step > 0 for step in apart}) == 1
    classes = composition.scale(grid.key, grid.mode)
    assert np.mean([round(p) % 12 in classes for p, _ in sung if p is not None]) > 0.8


@pytest.mark.parametrize(
    "pitch, steps, expected", [(64, 2, 67), (64, -2, 60), (64, 5, 72), (65, -5, 57), (60, 2, 64)]
)
def test_a_harmony_keeps_to_the_scale(pitch, steps, expected):
    assert vocals.harmonise(pitch, composition.scale(0, "major"), steps) == expected


def slope(audio, note):
    """Semitones per second within a note: the median over its frames."""
    start, end = (int((note.start + x) * RATE) for x in (0.03, min(note.duration, 0.25)))
    f0, time = track(audio.mean(axis=0)[start:end], 45, 1000)
    return np.median(np.diff(12 * np.log2(f0)) / np.diff(time))


def test_what_is_spoken_holds_no_pitch(lead):
    audio, tune, *_ = lead
    tune = [note for note in tune if note.duration > 0.15]
    spoken = arranged(spoken=1.0)[0]
    assert len(tune) > 8 and np.mean([abs(slope(audio, note)) < 2 for note in tune]) > 0.8
    assert np.mean([slope(spoken, note) < -4 for note in tune]) > 0.8


def test_part_of_the_phrases_is_spoken():
    audio, tune, phrases, _ = arranged(spoken=0.5, seconds=24.0)
    tune = [note for note in tune if note.duration > 0.15]
    inside = [[note for note in tune if a <= note.start < b] for a, b in phrases]
    spoken = [np.mean([slope(audio, note) < -4 for note in notes]) for notes in inside]
    assert len(phrases) >= 3 and all(share > 0.7 or share < 0.3 for share in spoken)
    assert sum(share > 0.7 for share in spoken) == round(len(phrases) / 2)


def test_breaths_stand_before_phrases_and_nowhere_else(lead):
    audio, _, phrases, _ = lead
    air = (arranged(breath=1.0)[0] - audio).mean(axis=0)
    before = np.zeros(len(air), bool)
    for start, _ in phrases:
        before[max(0, int((start - LEAD - 0.46) * RATE)) : int((start - LEAD) * RATE) + 1] = True
    assert not air[~before].any() and np.count_nonzero(air) > 0.2 * RATE
    assert 0.005 < rms(air[air != 0]) < 0.05
    power = np.abs(np.fft.rfft(air)) ** 2
    frequency = np.fft.rfftfreq(len(air), 1 / RATE)
    assert power[frequency < 300].sum() < 0.05 * power.sum()  # a hiss, no voice


def test_the_echo_repeats_in_the_tempo(lead):
    audio, _, _, grid = lead
    wet = arranged(echo=0.5)[0] - audio
    dry, repeat = audio.mean(axis=0), wet.mean(axis=0)
    size = 2 * len(dry)
    lags = np.fft.irfft(np.fft.rfft(repeat, size) * np.conj(np.fft.rfft(dry, size)))[: 2 * RATE]
    beats = np.argmax(lags) / RATE * grid.tempo / 60
    assert min(abs(beats - b) for b in (0.5, 0.75, 1.0)) < 0.005
    first = np.argmax(np.abs(wet).max(axis=0) > 1e-4) - np.argmax(np.abs(audio).max(axis=0) > 1e-4)
    assert first / RATE * grid.tempo / 60 == pytest.approx(beats, abs=0.02)
    assert 0.1 < rms(wet) / rms(audio) < 0.8
