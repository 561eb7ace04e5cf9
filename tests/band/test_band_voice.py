"""The singers and speakers of the band: on pitch, with words, and the same every time."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from sepkit.band import dsp_voice, espeak, expression, flite, singers, speech, vocabulary, voice
from sepkit.band.phonetics import SONORANT, STOP, VOWEL, Segment, kind_of, syllabify
from sepkit.band.voice import Note
from sepkit.errors import SepkitError

from .tools import track

RATE = 44100
needs_extra = pytest.mark.skipif(
    voice.available_engine() != "espeak", reason="needs the extra: pip install 'sepkit[band]'"
)
both_engines = pytest.mark.parametrize("engine", [pytest.param("espeak", marks=needs_extra), "dsp"])

SINGER = voice.Singer("tenor", "en-us", "+m3", "tenor", 56.0)
PITCHES = (55.0, 57.0, 60.0, 62.0, 59.0, 52.0)
TUNE = [
    Note(0.5 + 0.5 * k + (0.6 if k > 2 else 0.0), 0.48, pitch) for k, pitch in enumerate(PITCHES)
]
WORDS = ["silver", "morning", "river", "seven"]


def sing(engine, tune=TUNE, singer=SINGER, words=WORDS, seconds=5.0, seed=3):
    return voice.sing(tune, singer, words, seconds, np.random.default_rng(seed), engine)


def cents(frequency, pitch):
    return 1200 * np.log2(frequency / (440 * 2 ** ((pitch - 69) / 12)))


def band_energy(wave, low, high):
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    frequency = np.fft.rfftfreq(len(wave), 1 / RATE)
    return power[(frequency >= low) & (frequency < high)].sum() / len(wave) ** 2


@both_engines
def test_the_notes_are_sung_on_pitch(engine):
    wave = sing(engine)
    for note in TUNE:
        reference = 440 * 2 ** ((note.pitch - 69) / 12)
        f0, time = track(wave, reference / 1.5, reference * 1.5)
        inside = (time > note.start + 0.4 * note.duration) & (
            time < note.start + 0.8 * note.duration
        )
        assert abs(np.median(cents(f0[inside], note.pitch))) < 25


@both_engines
def test_held_notes_have_the_singers_vibrato(engine):
    singer = dataclasses.replace(
        SINGER, vibrato_rate=5.3, vibrato_depth=33.0, vibrato_delay=0.2, jitter=2.0, breath=0.0
    )
    wave = sing(engine, [Note(0.3, 3.0, 57.0)], singer, ["moon"], 3.6)
    f0, time = track(wave, 150, 300, frame=1536)
    held = (time > 1.0) & (time < 2.8)
    curve = cents(f0[held], 57.0) - np.mean(cents(f0[held], 57.0))
    step = np.mean(np.diff(time))
    rates = np.arange(2.0, 10.0, 0.05)
    phase = 2 * np.pi * np.outer(rates, step * np.arange(len(curve)))
    strength = np.abs(np.exp(-1j * phase) @ (4 * np.hanning(len(curve)) * curve)) / len(
        curve
    )  # amplitude of a sine at each rate
    assert rates[np.argmax(strength)] == pytest.approx(5.3, abs=0.4)
    assert max(strength) == pytest.approx(33, rel=0.3)


@both_engines
def test_level_and_silence(engine):
    wave = sing(engine, seconds=5.0)
    assert wave.dtype == np.float64 and wave.shape == (5 * RATE,)
    notes = np.concatenate(
        [wave[int(n.start * RATE) : int((n.start + n.duration) * RATE)] for n in TUNE]
    )
    assert np.sqrt(np.mean(notes**2)) == pytest.approx(0.1, rel=0.05)
    assert np.abs(wave).max() < 1
    lead = expression.LEAD + 0.03
    assert not wave[: int((TUNE[0].start - lead) * RATE)].any()
    end = TUNE[-1].start + TUNE[-1].duration
    assert not wave[int((end + 0.15) * RATE) :].any()
    rest = wave[
        int((TUNE[2].start + TUNE[2].duration + 0.12) * RATE) : int((TUNE[3].start - lead) * RATE)
    ]
    assert len(rest) > 0.2 * RATE and np.abs(rest).max() < 1e-4


@both_engines
def test_words_begin_with_their_consonants(engine):
    tune = [Note(0.5, 0.7, 57.0), Note(2.0, 0.7, 57.0)]
    hissing = sing(engine, tune, words=["sun", "seven"], seconds=3.0)
    humming = sing(engine, tune, words=["moon", "more"], seconds=3.0)
    for note in tune:
        onset = slice(int((note.start - 0.1) * RATE), int((note.start - 0.01) * RATE))
        vowel = slice(int((note.start + 0.2) * RATE), int((note.start + 0.29) * RATE))
        share = [
            band_energy(w[onset], 4000, 12000) / band_energy(w[onset], 50, 20000)
            for w in (hissing, humming)
        ]
        assert share[0] > 0.5 > 0.1 > share[1]
        assert band_energy(hissing[vowel], 4000, 12000) < 0.2 * band_energy(
            hissing[vowel], 50, 20000
        )


@both_engines
def test_there_is_sound_above_10_khz_and_no_hole_below(engine):
    """What is spoken ends at 11 kHz and has holes at 4 to 6 kHz; what is sung has neither."""
    wave = sing(engine)
    levels = [10 * np.log10(band_energy(wave, f, f + 1000)) for f in range(0, 18000, 1000)]
    assert max(levels) - levels[10] < 70 and max(levels) - levels[14] < 80
    for k in range(2, 16):
        assert levels[k] > min(levels[k - 1], levels[k + 1]) - 12


@both_engines
def test_words_can_be_told_apart(engine):
    """Same notes and generator: other words, other sound; the same words, the same."""
    one, two = (sing(engine, words=w) for w in (["silver"], ["moon"]))
    assert np.sqrt(np.mean((one - two) ** 2)) > 0.05
    np.testing.assert_array_equal(one, sing(engine, words=["silver"]))


_CHILD = """
import sys, numpy as np
from sepkit.band import singers, voice
notes = [voice.Note(*row) for row in {notes}]
singer = singers.draw_singer(np.random.default_rng(11), "test")
for engine in sys.argv[2:]:
    wave = voice.sing(notes, singer, {words}, 5.0, np.random.default_rng(3), engine)
    np.save(f"{{sys.argv[1]}}/{{engine}}.npy", np.round(wave * 32767).astype(np.int16))
"""


def test_another_process_sings_the_same(tmp_path):
    engines = voice.ENGINES if voice.available_engine() == "espeak" else ("dsp",)
    script = _CHILD.format(notes=[(n.start, n.duration, n.pitch) for n in TUNE], words=WORDS)
    subprocess.run([sys.executable, "-c", script, str(tmp_path), *engines], check=True)
    singer = singers.draw_singer(np.random.default_rng(11), "test")
    for engine in engines:
        sing(engine, words=["other", "things"], seed=9)  # what was sung before must not matter
        here = np.round(sing(engine, singer=singer) * 32767).astype(int)
        assert np.abs(here - np.load(tmp_path / f"{engine}.npy")).max() <= 1


def test_words_of_the_test_songs_are_not_in_train():
    train, test = set(vocabulary.words("train")), set(vocabulary.words("test"))
    assert not train & test and len(train) >= 200 and len(test) >= 100
    drawn = vocabulary.draw_words(np.random.default_rng(0), "test", 60)
    assert len(drawn) == 60 and set(drawn) <= test
    assert drawn == vocabulary.draw_words(np.random.default_rng(0), "test", 60)
    nouns, verbs, adjectives = zip(vocabulary.SPOKEN["train"], vocabulary.SPOKEN["test"])
    for train, test in (nouns, verbs, adjectives):
        assert not set(train) & set(test) and len(set(train)) == len(train)


@both_engines
def test_singers_sound_different(engine):
    """Mean log spectra on one melody differ more between singers than between two takes of one."""

    def colour(singer, seed):
        wave = sing(engine, singer=singer, seed=seed)
        power = (
            np.abs(
                np.fft.rfft(wave[: len(wave) // 1024 * 1024].reshape(-1, 1024) * np.hanning(1024))
            )
            ** 2
        )
        bands = np.log(np.add.reduceat(power.mean(0), np.arange(0, 256, 8)) + 1e-9)
        return bands - bands.mean()

    singers = [
        dataclasses.replace(SINGER, variant=v, formant=f)
        for v, f in (("+m3", 0.95), ("+f2", 1.0), ("+m7", 1.08))
    ]
    takes = [[colour(singer, seed) for seed in (1, 2)] for singer in singers]
    within = np.mean([np.linalg.norm(a - b) for a, b in takes])
    between = np.mean(
        [np.linalg.norm(takes[i][0] - takes[j][1]) for i in range(3) for j in range(3) if i != j]
    )
    assert between > 2 * within


def test_every_word_has_syllables_in_the_plain_voice():
    for word in (*vocabulary.words("train"), *vocabulary.words("test")):
        assert dsp_voice.spell(word), word
    # (onset, vowel, coda) of each syllable
    spelt = {
        w: [
            (
                "".join(s.symbol for s in y.onset),
                y.nucleus.symbol,
                "".join(s.symbol for s in y.coda),
            )
            for y in dsp_voice.spell(w)
        ]
        for w in ("silver", "shine", "light")
    }
    assert spelt["shine"] == [("ʃ", "ɪ", "n")] and spelt["light"] == [("l", "aɪ", "t")]
    assert spelt["silver"] == [("s", "ɪ", "l"), ("v", "ə", "")]


def test_syllables_are_cut_before_the_last_consonant_or_its_cluster():
    def cut(sounds):
        return [
            tuple(len(part) for part in (y.onset, y.coda))
            for y in syllabify("w", [Segment(kind_of(s), 0.1, s) for s in sounds])
        ]

    assert cut(["s", "iː", "k", "ɹ", "ᵻ", "t"]) == [(1, 0), (2, 1)]  # se-cret
    assert cut(["s", "ɪ", "ŋ", "ə"]) == [(1, 1), (0, 0)]  # sing-er
    assert cut(["w", "ɪ", "n", "t", "ə"]) == [(1, 1), (1, 0)]  # win-ter
    assert cut(["s", "t"]) == []
    assert [kind_of(s) for s in ("ˈɑː", "n", "tʃ")] == [VOWEL, SONORANT, STOP]


def test_no_word_goes_across_a_rest():
    syllables = {word: dsp_voice.spell(word) for word in ("together", "sun", "river")}
    times = ((0, 0.5), (0.5, 1), (2, 2.5), (3, 3.5), (3.5, 4), (4, 4.5))
    rows = [expression.Row(start, end, 60) for start, end in times]
    for seed in range(20):
        units = expression.place_words(
            rows, list(syllables), syllables, np.random.default_rng(seed)
        )
        for before, after in zip(units, units[1:]):
            if after.start - before.end > 0.3:
                word = syllables[before.syllable.word]
                assert before.syllable is word[-1]


@both_engines
def test_no_notes_are_silence_and_overlaps_are_cut(engine):
    assert not sing(engine, []).any()
    overlapping = [Note(0.5, 2.0, 57.0), Note(1.0, 0.5, 60.0)]
    f0, time = track(sing(engine, overlapping, seconds=2.0), 200, 320)
    assert np.median(cents(f0[(time > 1.2) & (time < 1.4)], 60.0)) == pytest.approx(0, abs=25)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tune": [Note(0.0, 0.0, 60.0)]}, "note 0 .*duration > 0"),
        ({"tune": [Note(0.0, 1.0, float("nan"))]}, "note 0 .*finite"),
        ({"tune": [Note(0.0, 1.0, 130.0)]}, "note 0 has pitch 130"),
        ({"words": []}, "no words"),
        ({"words": ["pst"]}, "has a vowel"),
        ({"seconds": -1.0}, "seconds is -1"),
        ({"engine": "tuba"}, "unknown voice engine 'tuba': choose from espeak, dsp"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(SepkitError, match=message) as caught:
        sing(**{"engine": "dsp", **change})
    assert "\n" not in str(caught.value)


def test_unknown_splits_are_named():
    rng = np.random.default_rng(0)
    for call in (
        lambda: singers.draw_singer(rng, "valid"),
        lambda: vocabulary.words("valid"),
        lambda: speech.draw_speaker(0, "valid", 0),
    ):
        with pytest.raises(SepkitError, match="unknown split 'valid': choose from train, test"):
            call()
    with pytest.raises(SepkitError, match="at least one word"):
        vocabulary.draw_words(rng, "train", 0)


def test_without_the_extra_the_plain_voice_is_chosen(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    espeak._resources.cache_clear()
    voice.available_engine.cache_clear()
    try:
        assert voice.available_engine() == "dsp"
        with pytest.raises(SepkitError, match=r"pip install 'sepkit\[band\]'") as caught:
            sing("espeak")
        assert "\n" not in str(caught.value)
    finally:
        monkeypatch.undo()
        espeak._resources.cache_clear()
        voice.available_engine.cache_clear()


@needs_extra
def test_spoken_words_do_not_depend_on_what_was_said_before():
    first = espeak.speak("silver river", "en+f1", seed=5)
    espeak.speak("something else entirely", "en-us+m3", pitch=80)
    again = espeak.speak("silver river", "en+f1", seed=5)
    np.testing.assert_array_equal(first.samples, again.samples)
    assert [position for position, _ in first.words] == [0, 7]
    with pytest.raises(SepkitError, match="unknown espeak-ng voice 'xx-none'"):
        espeak.speak("silver", "xx-none")


@needs_extra
def test_a_long_path_to_the_voice_data_is_shortened(tmp_path, monkeypatch):
    library, data = espeak._resources()
    deep = tmp_path / ("deep" * 30) / ("folder" * 10)
    deep.parent.mkdir()
    deep.symlink_to(data, target_is_directory=True)
    monkeypatch.setattr(espeak.tempfile, "tempdir", str(tmp_path))
    short = espeak._shorter(str(deep))
    monkeypatch.setattr(espeak, "_resources", lambda: (library, short))
    assert len(short) < 150 < len(str(deep))
    assert len(espeak.speak("silver").samples) > 4000


def _mean_spectrum(path):
    wave, rate = soundfile.read(path)
    assert rate == 16000 and wave.ndim == 1
    power = (
        np.abs(np.fft.rfft(wave[: len(wave) // 512 * 512].reshape(-1, 512) * np.hanning(512))) ** 2
    )
    bands = np.log(
        np.add.reduceat(
            power[power.sum(1) > 0.1 * power.sum(1).mean()], np.arange(0, 256, 8), axis=1
        )
        + 1e-9
    )
    return (bands - bands.mean(1, keepdims=True)).mean(0)


@both_engines
def test_speakers_can_be_told_apart(engine, tmp_path):
    root = speech.render_speech(
        tmp_path,
        speakers_train=4,
        speakers_test=2,
        utterances=3,
        seconds=4.0,
        seed=1,
        workers=1,
        engine=engine,
    )
    files = sorted(root.glob("*/*/*.wav"))
    assert len(files) == 18 and {f.parent.name for f in files} == {
        f"train-{k:03d}" for k in range(4)
    } | {"test-000", "test-001"}
    assert all(
        2 * 16000 < soundfile.info(f).frames <= 4 * 16000 and soundfile.info(f).subtype == "PCM_16"
        for f in files
    )
    spectra = np.array([_mean_spectrum(f) for f in files])
    distance = np.linalg.norm(spectra[:, None] - spectra[None], axis=2)
    speaker = np.array([f.parent.name for f in files])
    same = speaker[:, None] == speaker[None]
    assert distance[~same].mean() > 2 * distance[same & ~np.eye(18, dtype=bool)].mean()
    facts = json.loads((root / speech.MANIFEST).read_text())
    assert facts["complete"] and len({f["voice"] for f in facts["speakers"].values()}) == 6


def test_speech_goes_on_where_it_stopped(tmp_path):
    settings = {
        "speakers_test": 1,
        "utterances": 2,
        "seconds": 1.5,
        "seed": 4,
        "workers": 1,
        "engine": "dsp",
    }
    root = speech.render_speech(tmp_path / "once", speakers_train=2, **settings)
    whole = {f.relative_to(root): f.read_bytes() for f in root.glob("*/*/*.wav")}
    other = speech.render_speech(tmp_path / "twice", speakers_train=1, **settings)
    kept = other / "train/train-000/000.wav"
    lost, stamp = other / "train/train-000/001.wav", kept.stat().st_mtime_ns
    lost.unlink()
    (lost.parent / ".001.wav.abc.wav").write_bytes(b"half")  # as a killed process leaves it
    speech.render_speech(tmp_path / "twice", speakers_train=2, **settings)
    assert {f.relative_to(other): f.read_bytes() for f in other.glob("*/*/*.wav")} == whole
    assert kept.stat().st_mtime_ns == stamp and not list(other.glob("*/*/.*"))
    with pytest.raises(SepkitError, match="was rendered with seed 4, now 5"):
        speech.render_speech(tmp_path / "twice", **{**settings, "seed": 5})


def test_speakers_of_a_call_that_was_killed_are_all_in_the_manifest(tmp_path, monkeypatch):
    """Killed after the first speaker's files: the next call renders the other and knows both."""
    settings = {
        "speakers_train": 2,
        "speakers_test": 0,
        "utterances": 1,
        "seconds": 1.5,
        "workers": 1,
        "engine": "dsp",
    }
    whole = speech.render_speech(tmp_path / "once", **settings)
    render, rendered = speech._render_speaker, []

    def killed(*job):
        if rendered:
            raise KeyboardInterrupt
        rendered.append(render(*job))

    monkeypatch.setattr(speech, "_render_speaker", killed)
    with pytest.raises(KeyboardInterrupt):
        speech.render_speech(tmp_path / "twice", **settings)
    monkeypatch.undo()
    root = speech.render_speech(tmp_path / "twice", **settings)
    assert (root / speech.MANIFEST).read_bytes() == (whole / speech.MANIFEST).read_bytes()

    facts = json.loads((root / speech.MANIFEST).read_text())  # as earlier versions have left it
    (root / speech.MANIFEST).write_text(
        json.dumps({**facts, "speakers": {"train-001": facts["speakers"]["train-001"]}})
    )
    speech.render_speech(tmp_path / "twice", **settings)
    assert (root / speech.MANIFEST).read_bytes() == (whole / speech.MANIFEST).read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"utterances": -1}, "speech: utterances=-1: a whole number from 0"),
        ({"seconds": 0.1}, "speech: seconds=0.1: a number from 0.5 to 60"),
        ({"engine": "tuba"}, "unknown speech engine 'tuba'"),
    ],
)
def test_speech_names_mistakes(change, message, tmp_path):
    with pytest.raises(SepkitError, match=message):
        speech.render_speech(tmp_path, **change)


def test_sentences_are_made_of_the_splits_own_words():
    text = vocabulary.compose(np.random.default_rng(2), "test", 40)
    assert len(text.split()) >= 40 and text.endswith(".")
    nouns = set(vocabulary.SPOKEN["train"][0]) | set(vocabulary.SPOKEN["train"][2])
    assert not nouns & {word.strip(".,").lower() for word in text.split()}
    assert " a o" not in text and " a i" not in text  # an orchard, an island


# --- recorded voices for training

needs_flite = pytest.mark.skipif(
    not (flite.available() and voice.available_engine() == "espeak"),
    reason="needs the program flite and the extra: pip install 'sepkit[band]'",
)


@needs_flite
@pytest.mark.parametrize("name", flite.VOICES)
def test_recorded_voices_sing_on_pitch(name):
    singer = voice.Singer(name, name, "", "tenor", 56.0, vibrato_depth=0.0, breath=0.1)
    wave = sing("espeak", singer=singer)
    pyworld = pytest.importorskip("pyworld")
    f0, times = pyworld.harvest(wave, RATE)  # an independent pitch tracker
    for note in TUNE:
        inside = (times > note.start + 0.2) & (times < note.start + note.duration - 0.1) & (f0 > 0)
        if inside.sum() > 5:
            expected = 440 * 2 ** ((note.pitch - 69) / 12)
            assert abs(1200 * np.log2(np.median(f0[inside]) / expected)) < 40
    assert np.array_equal(wave, sing("espeak", singer=singer))


@needs_flite
def test_flite_names_the_sounds_of_every_word_where_they_are():
    words = ["silver", "morning", "again"]
    said = flite.speak(words, "slt")
    assert [position for position, _ in said.words] == [0, 8, 17]
    names = [name for name, _ in said.phonemes]
    assert names.index("s") < names.index("l") < names.index("ŋ")
    level = [np.abs(said.samples[start : start + 4000]).max() for _, start in said.words]
    pause = next(start for name, start in said.phonemes[1:] if not name)
    assert min(level) > 0.05 > 5 * np.abs(said.samples[pause + 200 : pause + 1500]).mean()


def test_without_flite_natural_voices_say_so(monkeypatch):
    monkeypatch.setattr(flite.shutil, "which", lambda name: None)
    with pytest.raises(SepkitError, match="flite is not installed.*voices='mixed'"):
        flite.speak(["la"], "slt")
    with pytest.raises(SepkitError, match="unknown flite voice"):
        flite.speak(["la"], "caruso")
