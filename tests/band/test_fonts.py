"""The SoundFonts of a data set: found, drawn per song, named in the manifest."""

import json
import os

import numpy as np
import pytest

from sepkit import band
from sepkit.band import fonts, instruments, soundfont
from sepkit.band.song import Plan
from sepkit.errors import SepkitError

from .tools import GOOD, INSTRUMENT, MODE, RATE, SAMPLE, build, play, sine

SHORT = {"seconds": 2.0, "voice": "dsp", "speech": False, "progress": False, "workers": 1}


def whole(frequency, without=()):
    """A font with every sound that the band asks for, but for some programs."""
    presets = {(s.program, s.bank) for s in instruments.sounds()} - {(p, 0) for p in without}
    wave = {"wave": sine(frequency), "loop": (1000, 2000)}
    return build(
        [wave], [{SAMPLE: 0, MODE: 1}], [(*preset, [{INSTRUMENT: 0}]) for preset in sorted(presets)]
    )


def render(out, soundfonts, **settings):
    settings = {"train": 4, "test": 0, "genres": ["ska"], **SHORT, **settings}
    return band.render(out, soundfonts=soundfonts, **settings)


def test_one_font_is_drawn_per_song_and_the_manifest_names_all(font, tmp_path):
    pair = [font(whole(441.0)), font(whole(882.0), suffix=".sf3")]
    manifest = json.loads((render(tmp_path / "a", pair) / "band.json").read_text())
    said = manifest["settings"]["soundfonts"]
    assert {f["name"] for f in said} == {"font0.sf2", "font1.sf3"}
    assert all(len(f["sha256"]) == 64 for f in said) and str(tmp_path) not in json.dumps(said)
    assert "stand_in" not in manifest["settings"]
    drawn = {song["soundfont"] for song in manifest["songs"].values()}
    assert drawn == {"font0.sf2", "font1.sf3"}  # of four songs with seed 0
    render(tmp_path / "b", pair[::-1])
    for song in manifest["songs"]:
        one, other = (tmp_path / folder / song / "other.wav" for folder in "ab")
        assert one.read_bytes() == other.read_bytes()


def test_the_default_manifest_says_nothing_of_fonts(tmp_path):
    root = render(tmp_path, None, train=1, instruments="dsp")
    assert "soundfont" not in (root / "band.json").read_text()
    plan = Plan("train", 0, "ska", 2.0, 0)
    assert plan.backend == "dsp"


def test_other_fonts_are_another_data_set(font, tmp_path):
    first, other = font(whole(441.0)), font(whole(882.0))
    out = render(tmp_path / "songs", [first], train=1)
    before = (out / "band.json").read_bytes()
    for now in ([other], [first, other], None):
        with pytest.raises(SepkitError, match=r"band\.json: was rendered with font0\.sf2") as error:
            render(out, now, train=2, instruments="auto" if now else "sampled")
        assert "--soundfont" in str(error.value) and "\n" not in str(error.value)
    assert (out / "band.json").read_bytes() == before
    moved = tmp_path / "elsewhere.sf2"  # the same bytes are the same font
    os.rename(first, moved)
    assert len(list(render(out, [moved], train=2).glob("train/*"))) == 2


@pytest.mark.parametrize("damage", [5, "fonts", [1], [{"name": "x"}]])
def test_a_manifest_with_odd_fonts_is_refused_in_one_line(font, tmp_path, damage):
    path = font(whole(441.0))
    out = render(tmp_path / "songs", [path], train=1)
    manifest = json.loads((out / "band.json").read_text())
    manifest["settings"]["soundfonts"] = damage
    (out / "band.json").write_text(json.dumps(manifest))
    with pytest.raises(SepkitError, match=r"band\.json: "):
        render(out, [path], train=1)


def test_what_a_font_lacks_the_next_one_plays_with_a_note(font, tmp_path, capsys):
    poor, rich = font(whole(441.0, without=(33, 34))), font(whole(882.0))
    render(tmp_path / "a", [poor, rich], train=1)
    assert capsys.readouterr().err.splitlines() == [
        "band: font0.sf2 lacks program 33, program 34; font1.sf2 plays instead"
    ]
    bass = fonts.player((poor, rich), fonts.Sound(33))
    assert str(bass.path) == rich


def test_what_all_fonts_lack_the_default_plays_with_a_note(font, tmp_path, capsys, monkeypatch):
    poor = font(whole(441.0, without=(33,)))
    if soundfont.font_path() is not None:
        manifest = json.loads((render(tmp_path / "a", [poor], train=1) / "band.json").read_text())
        assert "lacks program 33; TimGM6mb.sf2 plays instead" in capsys.readouterr().err
        assert manifest["settings"]["stand_in"]["name"] == "TimGM6mb.sf2"
    monkeypatch.setattr(fonts, "font_path", lambda: None)
    with pytest.raises(SepkitError, match="has no program 33"):
        render(tmp_path / "b", [poor], train=1)
    assert not (tmp_path / "b").exists()


def test_fonts_are_found_by_name(font, tmp_path, monkeypatch):
    monkeypatch.setattr(fonts, "FOLDERS", (str(tmp_path / "none"), str(tmp_path)))
    path = font(GOOD)
    assert str(fonts.find("font0")) == path == str(fonts.find("FONT0.sf2"))
    with pytest.raises(SepkitError, match="nowhere: no such SoundFont.*font0"):
        fonts.find("nowhere")


def test_plain_instruments_and_a_font_exclude_each_other(font, tmp_path):
    with pytest.raises(SepkitError, match="plays no SoundFont"):
        render(tmp_path / "a", [font(whole(441.0))], instruments="dsp")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["FluidR3_GM", "MuseScore_General_Lite"])
def test_installed_fonts_play_all_that_the_band_asks_for(name):
    try:
        path = str(fonts.find(name))
    except SepkitError:
        pytest.skip(f"{name} is not installed: apt-get install fluid-soundfont-gm or musescore...")
    found = fonts.collect([path])
    assert fonts.stand_ins(found, instruments.sounds()) == ([], None)
    fonts.check(found, instruments.sounds())
    for program in (0, 33, 48, 56, 65):
        wave = np.atleast_2d(play(path, 57, program, seconds=0.6)).mean(axis=0)
        spectrum = np.abs(np.fft.rfft(wave[4000:] * np.hanning(len(wave) - 4000), 1 << 18))
        near = [
            np.round(220 * h * 2 ** (np.arange(-60, 61) / 1200) * (1 << 18) / RATE)
            for h in (1, 2, 3)
        ]
        off = np.argmax(sum(spectrum[k.astype(int)] for k in near)) - 60
        assert abs(off) <= 20, program
