"""SoundFonts are read as the specification says, and never trusted."""

import io
import os
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from sepkit.band import fonts, instruments, soundfont
from sepkit.cli import app
from sepkit.errors import SepkitError

from .tools import (
    ATTENUATION,
    COARSE,
    FINE,
    GOOD,
    GOOD_OGG,
    INSTRUMENT,
    KEYS,
    LOOP_END,
    LOOP_START,
    LOOPED,
    MODE,
    PAN,
    RATE,
    ROOT,
    SAMPLE,
    SCALE,
    START,
    VELOCITIES,
    build,
    cents,
    play,
    sine,
    span,
)


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
