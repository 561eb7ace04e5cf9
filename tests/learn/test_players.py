"""Players: what is heard, how loud, and that nothing clips."""

import base64
import io
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
import torch
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from sepkit.errors import SepkitError
from sepkit.learn import players as module
from sepkit.learn.loudness import PEAK
from sepkit.learn.players import players
from sepkit.learn.plots import colour
from sepkit.reproduce.notebook import strip_audio

RATE = 44100


def tone(frequency, level, seconds=1.0, rate=RATE, channels=1):
    time = torch.arange(int(seconds * rate)) / rate
    return (level * torch.sin(2 * math.pi * frequency * time)).repeat(channels, 1)


def decoded(row):
    """The sounds inside a row's HTML, by label."""
    found = re.findall(
        r'src="data:audio/mpeg;base64,([^"]+)" aria-label="([^"]+)"', row._repr_html_()
    )
    return {label: soundfile.read(io.BytesIO(base64.b64decode(data))) for data, label in found}


class Controls(HTMLParser):
    """What can have the focus, and the pictures: (tag, attributes)."""

    def __init__(self, row):
        super().__init__()
        self.found, self.images = [], []
        self.feed(row._repr_html_())

    def handle_starttag(self, tag, attrs):
        if tag in ("button", "input", "audio", "a", "select") or "tabindex" in dict(attrs):
            self.found.append((tag, dict(attrs)))
        if tag == "img":
            data = dict(attrs)["src"].split(",")[1]
            self.images.append(Image.open(io.BytesIO(base64.b64decode(data))))

    def of_class(self, name):
        return [attrs for _, attrs in self.found if attrs.get("class") == name]


def test_stems_heard_together_share_one_gain_that_fits_their_sum():
    stems = {"vocals": tone(300, 0.8), "bass": tone(300, 0.8)}
    row = players(stems, RATE, together=True)
    assert row.gains["vocals"] == row.gains["bass"]
    assert row.gains["bass"] == pytest.approx(20 * math.log10(PEAK / 1.6), abs=1e-3)
    controls = Controls(row)
    assert [one["aria-label"] for one in controls.of_class("mute")] == ["mute vocals", "mute bass"]
    assert {one["aria-pressed"] for one in controls.of_class("solo")} == {"false"}
    assert controls.of_class("choice") == []


@pytest.mark.parametrize("together", [False, True])
def test_every_control_keeps_its_keys_from_the_notebook(together):
    sounds = {"vocals": tone(300, 0.1), "bass": tone(300, 0.1), "a": tone(500, 0.1)}
    found = Controls(players(sounds, RATE, together=together)).found
    assert len(found) >= 4 + 3 * len(sounds)
    assert [attrs for _, attrs in found if attrs.get("data-lm-suppress-shortcuts") != "true"] == []


def test_versions_are_radio_buttons_of_their_own_player():
    sounds = {"one": tone(300, 0.1), "two": tone(300, 0.1)}
    row = players(sounds, RATE)
    first, second = (Controls(row).of_class("choice") for _ in range(2))
    assert [("checked" in one, one["aria-label"]) for one in first] == [
        (True, "hear one"),
        (False, "hear two"),
    ]
    assert len({one["name"] for one in first}) == 1 and first[0]["name"] != second[0]["name"]


def test_rows_are_told_apart_by_colour():
    sounds = dict.fromkeys(["vocals", "one", "two", "drums", "three"], tone(300, 0.1))
    tints = re.findall(r"--tint:(#\w+)", players(sounds, RATE)._repr_html_())
    assert len(set(tints)) == 5 and tints[0] == colour("vocals") and tints[3] == colour("drums")
    own = players(sounds, RATE, colours={"one": "#123456"})._repr_html_()
    assert "--tint:#123456" in own


def test_the_pictures_show_the_sound_that_they_belong_to():
    step = torch.cat([tone(2000, 0.4), tone(8000, 0.4)], -1)
    sounds = {"step": step, "quiet": tone(5000, 0.04, 2)}
    images = Controls(players(sounds, RATE, match=False)).images
    picture, quiet = (np.asarray(one.convert("L")).astype(float)[::-1] for one in images)
    lines, columns = picture.shape
    for part, hertz in (
        (slice(10, columns // 2 - 10), 2000),
        (slice(-columns // 2 + 10, -10), 8000),
    ):
        line = int(picture[:, part].mean(1).argmax())
        assert (line + 0.5) / lines * 11025 == pytest.approx(hertz, abs=11025 / lines)
    assert quiet.max() < picture.max(), "one scale for all rows"
    fixed = players({"loud": tone(440, 0.8), "half": tone(440, 0.4)}, RATE, match=False)
    outlines = re.findall(r'points="([^"]+)"', fixed._repr_html_())
    tops = [min(int(point.split(",")[1]) for point in one.split()) for one in outlines]
    assert 50 - tops[0] == pytest.approx(2 * (50 - tops[1]), abs=2)
    assert Controls(players({"a": step}, RATE, pictures=False)).images == []


def test_what_to_listen_for_is_text_beside_the_player():
    row = players({"x": tone(440, 0.1)}, RATE, listen="the <tone>, at 440 Hz")
    assert "<b>Listen for:</b> the &lt;tone&gt;, at 440 Hz" in row._repr_html_()
    assert str(row).endswith("\nListen for: the <tone>, at 440 Hz")
    assert "Listen for" not in players({"x": tone(440, 0.1)}, RATE)._repr_html_()


def test_the_html_holds_the_sounds_at_the_gains_it_states():
    row = players(
        {"vocals": tone(440, 0.1, 1.0), "mixture": tone(1000, 0.4, 0.5, channels=2)},
        RATE,
        title="two tones",
    )
    sounds = decoded(row)
    for label, level, frequency in (("vocals", 0.1, 440), ("mixture", 0.4, 1000)):
        x, rate = sounds[label]
        middle = x[int(0.1 * rate) : int(0.4 * rate)]
        assert x.ndim == 1 and rate == RATE
        assert 20 * math.log10(np.abs(middle).max()) == pytest.approx(
            20 * math.log10(level) + row.gains[label], abs=0.5
        )
        spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
        assert np.argmax(spectrum) * rate / len(middle) == pytest.approx(frequency, abs=5)
        assert f"{label} {row.gains[label]:+.1f}" in row._repr_html_()
    assert len(sounds["vocals"][0]) == len(sounds["mixture"][0]), (
        "the shorter one is continued by silence"
    )


def test_the_row_reads_as_text_and_names_its_controls():
    row = players({"a <b>": tone(440, 0.1), "second": tone(220, 0.1)}, RATE, title="Title & more")
    markup = row._repr_html_()
    assert str(row).startswith("Players, 1.0 s: Title & more\n  a <b> (")
    assert (
        'aria-label="hear a &lt;b&gt;"' in markup
        and "<b>" not in markup
        and "Title &amp; more" in markup
        and markup.count("<audio controls") == 2
    )
    assert 'aria-label="position"' in markup and "http" not in markup, "nothing is fetched"
    assert row._repr_html_() != row._repr_html_(), "two outputs of one row never share an id"
    alone = Controls(players({"alone": tone(440, 0.1)}, RATE))
    assert alone.of_class("choice") == alone.of_class("mute") == []


@pytest.mark.parametrize("synthetic", [True, False])
def test_a_stored_notebook_keeps_the_words_and_only_synthetic_sound(synthetic):
    row = players({"a tone": tone(440, 0.1)}, RATE, listen="its pitch", synthetic=synthetic)
    data = {"text/html": row._repr_html_(), "text/plain": repr(row)}
    output = new_output("execute_result", data=data)
    replaced = strip_audio(new_notebook(cells=[new_code_cell("players()", outputs=[output])]))
    words = "\n".join(output.data.values())
    assert "a tone" in words and "Listen for: its pitch" in output.data["text/plain"]
    assert ("data:audio" in words) is synthetic and replaced == (not synthetic)
    assert ("Run this cell to listen." in words) is not synthetic


def test_long_rows_are_encoded_smaller(monkeypatch):
    monkeypatch.setattr(module, "_LARGE", 20_000)
    row = players({"a": tone(440, 0.1, 4), "b": tone(880, 0.1, 4)}, RATE)
    assert {rate for _, rate in decoded(row).values()} == {22050}


def test_numpy_and_odd_sample_rates_are_taken():
    ((x, rate),) = decoded(players({"x": np.sin(np.arange(3675) * 0.1)}, 7350)).values()
    assert rate == 8000 and len(x) / rate == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize(
    "sounds, says",
    [
        ({}, "no sounds"),
        ({"x": torch.zeros(3, 10)}, "1 or 2 channels"),
        ({"x": torch.zeros(1, 0)}, "channels, samples"),
        ({"x": torch.full((1, 10), math.nan)}, "NaN"),
    ],
)
def test_sounds_that_cannot_be_played_are_refused(sounds, says):
    with pytest.raises(SepkitError, match=says):
        players(sounds, RATE)
