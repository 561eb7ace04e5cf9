"""SoundFonts: read as the specification says, drawn per song, and never trusted."""

import io
import itertools
import json
import os
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from sepkit import band
from sepkit.band import fonts, instruments, soundfont
from sepkit.band.song import Plan
from sepkit.cli import app
from sepkit.errors import SepkitError

RATE = 44100
# Generators of the format, by number
PAN, KEYS, VELOCITIES, ATTENUATION = 17, 43, 44, 48
COARSE, FINE, SAMPLE, MODE, SCALE, ROOT, INSTRUMENT = 51, 52, 53, 54, 56, 58, 41
LOOP_START, LOOP_END, START = 2, 3, 0
SHORT = {"seconds": 2.0, "voice": "dsp", "speech": False, "progress": False, "workers": 1}


def span(low, high):
    return high << 8 | low


def sine(frequency, seconds=0.5, level=0.5):
    time = np.arange(int(seconds * RATE)) / RATE
    return np.round(level * 32767 * np.sin(2 * np.pi * frequency * time)).astype("<i2")


def chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


def ogg(wave):
    file = io.BytesIO()
    soundfile.write(file, wave, RATE, format="OGG", subtype="VORBIS")
    return file.getvalue()


def build(samples, zones, presets=None, compressed=False):
    """The bytes of a font.

    samples: dicts of wave, and of what differs from a sine at 440 Hz without a loop;
    zones: generators of one instrument, a dict per zone;
    presets: (program, bank, a dict of generators per zone), one preset 0 if not given.
    """
    presets = presets or [(0, 0, [{INSTRUMENT: 0}])]
    smpl, headers = b"", b""
    for index, sample in enumerate(samples):
        wave = sample["wave"]
        data = ogg(wave) if compressed else wave.tobytes()
        unit = 1 if compressed else 2
        start = len(smpl) // unit
        first, last = sample.get("loop", (0, len(wave)))
        shift = 0 if compressed else start  # an .sf3 counts from the sample's start
        header = {
            "start": start,
            "end": start + len(data) // unit,
            "loop_start": first + shift,
            "loop_end": last + shift,
            "rate": RATE,
            "root": sample.get("root", 69),
            "correction": sample.get("correction", 0),
            "link": 0,
            "kind": 1 | (16 if compressed else 0),
            **sample.get("header", {}),
        }
        headers += struct.pack("<20sIIIIIBbHH", b"sample %d" % index, *header.values())
        smpl += data + (b"" if compressed else bytes(92))
    headers += struct.pack("<20sIIIIIBbHH", b"EOS", *[0] * 9)
    phdr = pbag = pgen = ibag = igen = b""
    counts = itertools.count()
    for program, bank, bags in presets:
        phdr += struct.pack("<20sHHHIII", b"preset", program, bank, len(pbag) // 4, 0, 0, 0)
        for settings in bags:
            pbag += struct.pack("<HH", len(pgen) // 4, 0)
            pgen += generators(settings)
            next(counts)
    for settings in zones:
        ibag += struct.pack("<HH", len(igen) // 4, 0)
        igen += generators(settings)
    phdr += struct.pack("<20sHHHIII", b"EOP", 0, 0, len(pbag) // 4, 0, 0, 0)
    inst = struct.pack("<20sH20sH", b"instrument", 0, b"EOI", len(ibag) // 4)
    pbag += struct.pack("<HH", len(pgen) // 4, 0)
    ibag += struct.pack("<HH", len(igen) // 4, 0)
    pdta = b"".join(
        chunk(name, data)
        for name, data in (
            (b"phdr", phdr),
            (b"pbag", pbag),
            (b"pmod", bytes(10)),
            (b"pgen", pgen + bytes(4)),
            (b"inst", inst),
            (b"ibag", ibag),
            (b"imod", bytes(10)),
            (b"igen", igen + bytes(4)),
            (b"shdr", headers),
        )
    )
    info = chunk(b"ifil", struct.pack("<HH", 2, 4))
    lists = ((b"INFO", info), (b"sdta", chunk(b"smpl", smpl)), (b"pdta", pdta))
    return chunk(b"RIFF", b"sfbk" + b"".join(chunk(b"LIST", a + b) for a, b in lists))


def generators(settings):
    return b"".join(struct.pack("<HH", n, value & 65535) for n, value in settings.items())


@pytest.fixture
def font(tmp_path):
    """Write a font, return its path."""
    numbers = itertools.count()

    def write(*args, suffix=".sf2", **settings):
        data = args[0] if isinstance(args[0], bytes) else build(*args, **settings)
        path = tmp_path / f"font{next(numbers)}{suffix}"
        path.write_bytes(data)
        return str(path)

    return write


def play(path, pitch=69, program=0, velocity=0.8, seconds=0.4):
    event = instruments.Event(0, seconds, pitch, velocity)
    rng = np.random.default_rng(0)
    return instruments.play([event], program, int(seconds * RATE), rng, (path,))


def peak(wave):
    """The frequency of the largest partial, by a parabola through three bins' logarithms."""
    part = wave[2000 : 2000 + 8192].astype(float)
    spectrum = np.log(np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 17)) + 1e-9)
    top = int(np.argmax(spectrum))
    a, b, c = spectrum[top - 1 : top + 2]
    return (top + 0.5 * (a - c) / (a - 2 * b + c)) * RATE / (1 << 17)


def cents(wave, frequency):
    return 1200 * np.log2(peak(wave) / frequency)


LOOPED = {"wave": sine(441.0), "loop": (1000, 2000), "correction": -4}  # ten periods of 441 Hz


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("pitch", [57, 69, 76.5])
def test_a_note_has_its_pitch(font, compressed, pitch):
    path = font([LOOPED], [{SAMPLE: 0, MODE: 1}], compressed=compressed)
    assert abs(cents(play(path, pitch), 440 * 2 ** ((pitch - 69) / 12))) < 1


@pytest.mark.parametrize(
    "zone, preset, pitch, expected",
    [
        ({}, {COARSE: 2, FINE: -30}, 69, 170),
        ({COARSE: -1, FINE: 20}, {COARSE: 2, FINE: 10}, 69, 130),  # both levels add
        ({ROOT: 57}, {}, 69, 1200),
        ({ROOT: -1}, {}, 69, 0),  # 65535: the sample's own
        ({}, {ROOT: 57}, 69, 0),  # a preset cannot set it
        ({SCALE: 50}, {}, 81, 600),  # twelve keys of half a semitone
        ({SCALE: 50}, {SCALE: 25}, 81, 900),
    ],
)
def test_tuning_of_preset_and_instrument_add_up(font, zone, preset, pitch, expected):
    path = font([LOOPED], [{**zone, SAMPLE: 0, MODE: 1}], [(0, 0, [{**preset, INSTRUMENT: 0}])])
    assert abs(cents(play(path, pitch), 440 * 2 ** (expected / 1200))) < 1


def test_ranges_of_keys_and_velocities_choose_the_sample(font):
    waves = [{"wave": sine(f), "root": 69} for f in (440.0, 880.0, 1760.0)]
    path = font(
        waves,
        [
            {KEYS: span(0, 68), SAMPLE: 0, SCALE: 0},
            {KEYS: span(69, 127), VELOCITIES: span(0, 63), SAMPLE: 1, SCALE: 0},
            {KEYS: span(69, 127), VELOCITIES: span(64, 127), SAMPLE: 2, SCALE: 0},
        ],
    )
    for pitch, velocity, frequency in ((60, 0.9, 440), (69, 0.3, 880), (69, 0.9, 1760)):
        assert abs(cents(play(path, pitch, velocity=velocity), frequency)) < 1


def test_ranges_of_both_levels_intersect(font):
    path = font(
        [{"wave": sine(440.0)}, {"wave": sine(880.0)}],
        [
            {KEYS: span(0, 80), SAMPLE: 0, SCALE: 0},
            {KEYS: span(60, 127), VELOCITIES: span(50, 127), SAMPLE: 1, SCALE: 0},
        ],
        [(0, 0, [{KEYS: span(70, 127), VELOCITIES: span(0, 100), INSTRUMENT: 0}])],
    )
    zones = soundfont.SoundFont(path).zones(0)
    assert [(z.keys, z.velocities) for z in zones] == [((70, 80), (0, 100)), ((70, 127), (50, 100))]
    assert not np.any(play(path, 65)) and not np.any(play(path, 75, velocity=0.99))
    assert abs(cents(play(path, 75, velocity=0.2), 440)) < 1
    assert abs(cents(play(path, 90, velocity=0.5), 880)) < 1


def test_global_zones_are_defaults_at_both_levels(font):
    path = font(
        [LOOPED],
        [{COARSE: 1, MODE: 1}, {SAMPLE: 0}, {COARSE: 7}, {COARSE: 3, SAMPLE: 0}],
        [(0, 0, [{FINE: 50}, {INSTRUMENT: 0}, {FINE: 10, INSTRUMENT: 0}])],
    )
    zones = soundfont.SoundFont(path).zones(0)
    tuned = [1200 * np.log2(zone.ratio) + 69 * zone.scale + 4 for zone in zones]
    np.testing.assert_allclose(tuned, [150, 350, 110, 310], atol=1e-6)
    assert all(zone.loop == (1000, 2000) for zone in zones)


def test_attenuation_of_both_levels_adds_up(font):
    levels = []
    for zone, preset in ((0, 0), (100, 0), (100, 150)):
        path = font(
            [LOOPED],
            [{ATTENUATION: zone, SAMPLE: 0, MODE: 1}],
            [(0, 0, [{ATTENUATION: preset, INSTRUMENT: 0}])],
        )
        levels.append(20 * np.log10(np.std(play(path)[2000:10000])))
    np.testing.assert_allclose(np.diff(levels), [-4, -6], atol=0.01)  # 0.4 of centibels / 10


def test_a_stereo_pair_plays_on_both_sides(font):
    path = font(
        [{"wave": sine(440.0)}, {"wave": sine(880.0)}],
        [{PAN: -500, SAMPLE: 0}, {PAN: 500, SAMPLE: 1}],
    )
    left, right = play(path)
    assert abs(cents(left, 440)) < 1 and abs(cents(right, 880)) < 1
    alone = font([{"wave": sine(440.0)}], [{SAMPLE: 0}])
    np.testing.assert_allclose(left, np.sqrt(2) * play(alone), atol=1e-5)  # as loud in power


def test_loops_last_and_other_samples_end(font):
    mode_of = {
        mode: font([LOOPED], [{MODE: mode, SAMPLE: 0}]) for mode in (0, 1, 2, 3)
    }  # 2 is unused: no loop
    for mode, path in mode_of.items():
        wave = play(path, seconds=1.5)
        late = np.abs(wave[RATE : RATE + 10000]).max()
        assert (late > 0.1) == (mode in (1, 3)), mode
        assert abs(cents(wave[15000 * (mode in (1, 3)) :], 440)) < 1


def test_offsets_move_the_sample_and_its_loop(font):
    wave = np.concatenate([sine(880.0, 0.1), sine(441.0, 0.4)])
    path = font(
        [{"wave": wave, "loop": (4410, 6410)}],
        [{START: 4410, LOOP_START: 1000, LOOP_END: 0, MODE: 1, SAMPLE: 0}],
    )
    (zone,) = soundfont.SoundFont(path).zones(0)
    assert zone.start == 4410 and zone.loop == (1000, 2000)
    assert abs(cents(play(path, seconds=1.0), 441)) < 1


def test_an_sf3_sounds_as_its_sf2(font):
    one, other = (
        play(font([LOOPED], [{SAMPLE: 0, MODE: 1}], compressed=c), seconds=1.0)
        for c in (False, True)
    )
    assert np.std(one - other) < 0.03 * np.std(one)


def test_the_default_font_is_read_as_before():
    if soundfont.font_path() is None:
        pytest.skip("pretty_midi is not installed: no sampled instruments")
    font = soundfont.SoundFont(soundfont.font_path())
    assert font.is_bundled
    # What a preset could change is absent: only instruments are named.
    assert set(font._tables["pgen"]["number"].tolist()[:-1]) == {INSTRUMENT}
    assert instruments.play(
        [instruments.Event(0, 0.2, 60)], 0, 8820, np.random.default_rng(0)
    ).shape == (8820,)


# What is no font


GOOD = build([LOOPED], [{SAMPLE: 0, MODE: 1}])
GOOD_OGG = build([LOOPED], [{SAMPLE: 0, MODE: 1}], compressed=True)


def sized(data, name, size):
    """The font with another size in the header of a chunk."""
    where = data.index(name) + 4
    return data[:where] + struct.pack("<I", size) + data[where + 4 :]


def wav():
    file = io.BytesIO()
    soundfile.write(file, sine(440.0), RATE, format="WAV")
    return file.getvalue()


def broken_ogg():
    where = GOOD_OGG.index(b"smpl") + 8
    return GOOD_OGG[: where + 4500] + bytes(1500) + GOOD_OGG[where + 6000 :]


def header(**fields):
    return build([{**LOOPED, "header": fields}], [{SAMPLE: 0, MODE: 1}])


BAD = {
    "text": b"no font at all\n" * 10,
    "empty": b"",
    "a WAV": wav(),
    "truncated": GOOD[: len(GOOD) // 2],
    "only a header": GOOD[:12],
    "a huge chunk": sized(GOOD, b"smpl", 2**32 - 1),
    "a huge list": sized(GOOD, b"LIST", 2**31),
    "odd records": sized(GOOD, b"shdr", 45),
    "no samples": GOOD.replace(b"smpl", b"xxxx"),
    "a sample beyond the end": header(end=2**31),
    "a sample before its start": header(start=5000, end=100),
    "a loop outside": header(loop_end=30000),
    "a loop that ends first": header(loop_start=2000, loop_end=1000),
    "no rate": header(rate=0),
    "an absurd rate": header(rate=2**32 - 1),
    "an unknown sample": build([LOOPED], [{SAMPLE: 7}]),
    "an unknown instrument": build([LOOPED], [{SAMPLE: 0}], [(0, 0, [{INSTRUMENT: 9}])]),
    "damaged Ogg": broken_ogg(),
    "no Ogg": GOOD_OGG.replace(b"OggS", b"NggS"),
    "WAV called Ogg": header(kind=17),
}


@pytest.mark.parametrize("what", BAD)
def test_a_damaged_font_is_refused_in_one_line(font, what):
    path = font(BAD[what])
    with pytest.raises(SepkitError) as error:
        found = fonts.collect([path])
        fonts.stand_ins(found, [fonts.Sound(0)])
        fonts.check(found, [fonts.Sound(0)])
    assert path in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("what", ["text", "empty", "a loop outside", "damaged Ogg"])
def test_nothing_is_written_for_a_damaged_font(font, tmp_path, what):
    path = font(BAD[what])
    out = tmp_path / "songs"
    command = ["data", "band", "--root", str(out), "--seconds", "2", "--train", "1", "--test", "0"]
    said = CliRunner().invoke(app, [*command, "--voice", "dsp", "--soundfont", path])
    assert said.exit_code == 1
    assert path in said.output.replace("\n", "")
    assert not list(out.glob("t*/*"))


@pytest.mark.parametrize("good", [GOOD, GOOD_OGG], ids=["sf2", "sf3"])
def test_mutated_fonts_sound_or_are_refused(font, tmp_path, good):
    rng = np.random.default_rng(3)
    smpl, tables = good.index(b"smpl"), good.index(b"pdta")
    outcomes = {"sound": 0, "refused": 0}
    path = str(tmp_path / "mutated")
    tracemalloc.start()
    for trial in range(300):
        data = bytearray(good)
        for _ in range(rng.integers(1, 6)):
            places = ((0, smpl + 8), (smpl, tables), (tables, len(data)), (tables, len(data)))
            where = int(rng.integers(*places[rng.integers(4)]))
            data[where] = int(rng.choice([0, 1, 127, 128, 255, rng.integers(256)]))
        if trial % 10 == 0:
            data = data[: rng.integers(len(data))]
        os.path.exists(path) and os.remove(path)  # a new file: the old one may still be mapped
        with open(path, "wb") as file:
            file.write(data)
        try:
            opened = soundfont.SoundFont(path)
            for zone in opened.zones(0):
                wave = opened.tone(zone, 60.0, 4000)
                shape = soundfont.envelope(zone, len(wave), 3000)
                assert len(wave) <= 4000 and np.isfinite(wave * shape).all()
                instruments._stroke(opened, zone, 60, 0.0)
            outcomes["sound"] += 1
        except SepkitError as error:
            assert path in str(error) and "\n" not in str(error)
            outcomes["refused"] += 1
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert min(outcomes.values()) > 20, outcomes
    assert most < 64e6


def test_a_font_cannot_ask_for_endless_work(font):
    pairs = [{INSTRUMENT: 0}] * 5000
    for zones in ([{SAMPLE: 0}] * 5000, [{COARSE: 1}] * 5000, [{SAMPLE: 0}] * 129):
        path = font(build([LOOPED], zones, [(0, 0, pairs if len(zones) > 200 else pairs[:1])]))
        with pytest.raises(SepkitError, match="damaged SoundFont"):
            soundfont.SoundFont(path).zones(0)


# Fonts of a data set


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
