"""Voices of festival: what they say, in what sounds, and that they sing in tune."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from sepkit.band import dataset, festival, flite, phonetics, singers, vocabulary, voice, world
from sepkit.errors import SepkitError

RATE = 44100


def is_installed():
    try:
        singers.check("festival")
    except SepkitError:
        return False
    return True


needs_voices = pytest.mark.skipif(
    not (is_installed() and voice.available_engine() == "espeak"),
    reason="needs flite, festival with its voices, and the extra: pip install 'sepkit[band]'",
)
#: A festival that knows three voices. Each word is a pause of 0.1 s, "s", "aa", a pause; the
#: wave is as loud as its number among the words. "mute" is a pause, and "crash" ends it.
FAKE = """#!{python}
import json, re, sys
from pathlib import Path
import numpy as np, soundfile
text = Path(sys.argv[-1]).read_text(encoding="utf-8")
if "voice.list" in text:
    print("({voices})")
for number, word in re.findall(r'^\\(say (\\d+) (".*")\\)$', text, re.M):
    word = json.loads(word)
    if word == "crash":
        sys.exit(1)
    sounds = "pau 0.3" if word == "mute" else "pau 0.1 s 0.15 aa 0.25 pau 0.3"
    print("UniSyn: a remark")
    print("said", number, sounds)
    soundfile.write(number + ".wav", np.full(4800, 0.1 + 0.1 * int(number)), 16000)
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a fake program first in the path; called with the names of its voices."""
    if os.name == "nt":
        pytest.skip("programs of Windows are no scripts")

    def install(voices=" ".join(festival.VOICES)):
        program = tmp_path / "festival"
        program.write_text(FAKE.format(python=sys.executable, voices=voices))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return install


def test_words_stand_one_after_another_with_their_sounds_in_ipa(fake):
    fake()
    said = festival.speak(["silver", "sea"], "kal_diphone")
    second = round(0.3 * festival.RATE)
    assert said.sample_rate == 22050 and len(said.samples) == 2 * second
    assert said.samples[second // 2] == pytest.approx(0.1, abs=0.01)
    assert said.samples[second + second // 2] == pytest.approx(0.2, abs=0.01)
    starts = [round(t * festival.RATE) for t in (0, 0.1, 0.15, 0.25, 0.3)]
    names = ("", "s", "aa", "", "")
    once, again = zip(names, starts), zip(names, [second + start for start in starts])
    assert said.phonemes == (*once, *again)
    assert said.words == ((0, starts[1]), (8, second + starts[1]))


@pytest.mark.parametrize(
    ("words", "name", "told"),
    [
        (["sea", "mute"], "czech_ph", "czech_ph says nothing for 'mute'; use other words"),
        (["crash"], "czech_ph", "does not speak .*apt-get install festival.* festvox-czech-ph"),
        (["sea"], "caruso", "unknown festival voice 'caruso'"),
    ],
)
def test_what_cannot_be_said_is_refused(fake, words, name, told):
    fake()
    with pytest.raises(SepkitError, match=told):
        festival.speak(words, name)


def test_a_word_is_data_and_not_scheme(fake):
    fake()
    said = festival.speak(['a" (exit) "\\', "sea"], "kal_diphone")
    assert len(said.words) == 2


def test_a_missing_voice_is_named_with_its_package(fake, tmp_path):
    fake(voices=" ".join(name for name in festival.VOICES if name != "lp_diphone"))
    with pytest.raises(SepkitError, match="voices lp_diphone are not installed.*festvox-italp16k"):
        festival.check()


@pytest.mark.parametrize("absent", ["flite", "festival"])
def test_songs_with_these_voices_are_refused_before_any_is_rendered(
    monkeypatch, tmp_path, absent, fake
):
    if voice.available_engine() != "espeak":
        pytest.skip("needs the extra: pip install 'sepkit[band]'")
    fake()
    monkeypatch.setattr(shutil, "which", lambda name: None if name == absent else name)
    with pytest.raises(SepkitError, match=rf"{absent}.* not installed; .*apt-get install {absent}"):
        dataset.render(tmp_path / "songs", train=1, test=0, seconds=4, voices="festival")
    assert not (tmp_path / "songs").exists()


def test_test_songs_need_no_recorded_voice(monkeypatch):
    """They have none, so a machine without the programs renders them."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    settings = dataset._settings(
        0, 1, 4.0, 0, None, "auto", "auto", False, {"voices": "festival"}, ()
    )
    assert settings["knobs"] == {"voices": "festival"}


SPELT = {"silver": "సిల్వెర్", "again": "అగఇన్"}
SPELT |= {"sky": "స్కి", "Yes": "యెస్"}


@pytest.mark.parametrize(("word", "spelt"), SPELT.items())
def test_telugu_spells_a_word_letter_by_letter(word, spelt):
    """As Unicode has it: vowel signs behind consonants, letters elsewhere, virama between."""
    assert festival.in_telugu(word) == spelt


def test_every_voice_stands_in_the_list_of_licences():
    page = Path(__file__).parents[2] / "docs/pages/licences.md"
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in page.open() if "|" in row]
    listed = {
        name: (package, language, licence)
        for package, names, language, licence in rows
        for name in names.split(", ")
    }
    for name, known in {**flite.VOICES, **festival.VOICES}.items():
        assert listed[name] == (known.package, known.language, known.licence)


# --- the program itself

ONE_OF_A_LANGUAGE = {known.language: name for name, known in festival.VOICES.items()}


@needs_voices
@pytest.mark.parametrize("language", ONE_OF_A_LANGUAGE)
def test_vowels_are_those_that_festival_itself_calls_vowels(language, tmp_path):
    program = f"""(voice_{ONE_OF_A_LANGUAGE[language]})
    (mapcar (lambda (p) (format t "%s %s\\n" (car p) (cadr p)))
      (cadr (assoc 'phones (PhoneSet.description))))"""
    rows = [line.split() for line in festival._run(program, str(tmp_path)).splitlines()]
    assert len(rows) > 25
    for name, flag in rows:
        symbol = festival._symbol(name, language)
        if symbol and name not in ("j", "w"):  # glides: a vowel to some of its languages
            is_vowel = phonetics.kind_of(symbol) == phonetics.VOWEL
            assert is_vowel == (flag == "+"), name


@needs_voices
def test_the_same_word_is_always_the_same_samples():
    one, two = (festival.speak(["silver", "morning"], "czech_machac") for _ in range(2))
    assert np.array_equal(one.samples, two.samples) and one.phonemes == two.phonemes


@needs_voices
def test_sounds_are_where_they_are_said():
    said = festival.speak(["silver", "morning", "again"], "cmu_us_slt_arctic_hts")
    assert [position for position, _ in said.words] == [0, 8, 17]
    names = [name for name, _ in said.phonemes if name]
    assert names.index("s") < names.index("l") < names.index("ŋ")
    level = [np.abs(said.samples[start : start + 4000]).max() for _, start in said.words]
    pause = next(start for name, start in said.phonemes[1:] if not name)
    assert min(level) > 0.05 > 5 * np.abs(said.samples[pause + 800 : pause + 1500]).mean()


@needs_voices
@pytest.mark.slow
@pytest.mark.parametrize("name", festival.VOICES)
def test_every_word_of_training_songs_can_be_sung(name):
    words = vocabulary.words("train")
    said = festival.speak(words, name)
    for word, sounds in zip(words, world._segments(said, words), strict=True):
        assert phonetics.syllabify(word, sounds), word


@needs_voices
@pytest.mark.parametrize(
    "name",
    [n if n == "czech_dita" else pytest.param(n, marks=pytest.mark.slow) for n in festival.VOICES],
)
def test_recorded_voices_sing_on_pitch_and_fill_the_band_of_a_voice(name):
    import pyworld

    low = festival.VOICES[name].register == "low"
    pitches = [(55.0 if low else 64.0) + step for step in (0, 2, 5, 7, 4, -3)]
    tune = [voice.Note(0.5 + 0.6 * k, 0.55, pitch) for k, pitch in enumerate(pitches)]
    singer = singers.Singer(name, name, "", "tenor", pitches[0], vibrato_depth=0.0, scoop=0.0)
    words = ["silver", "morning", "river"]
    wave = voice.sing(tune, singer, words, 4.5, np.random.default_rng(3), "espeak")
    f0, times = pyworld.harvest(wave, RATE)  # an independent pitch tracker
    cents = []
    for note in tune:
        inside = (times > note.start + 0.1) & (times < note.start + note.duration - 0.08)
        heard = f0[inside & (f0 > 0)]
        cents += list(1200 * np.log2(heard / (440 * 2 ** ((note.pitch - 69) / 12))))
    assert len(cents) > 250 and np.mean(np.abs(cents) < 50) > 0.9
    power = np.abs(np.fft.rfft(wave)) ** 2
    frequency = np.fft.rfftfreq(len(wave), 1 / RATE)
    assert power[(frequency > 200) & (frequency < 6000)].sum() > 0.7 * power.sum()
