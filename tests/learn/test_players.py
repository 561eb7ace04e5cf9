"""Players: what is heard, how loud, and that nothing clips."""

import base64
import io
import math
import re

import numpy as np
import pytest
import soundfile
import torch

from sepkit.errors import SepkitError
from sepkit.learn import players as module
from sepkit.learn.loudness import PEAK
from sepkit.learn.players import audio, players

RATE = 44100


def tone(frequency, level, seconds=1.0, rate=RATE, channels=1):
    time = torch.arange(int(seconds * rate)) / rate
    return (level * torch.sin(2 * math.pi * frequency * time)).repeat(channels, 1)


def decoded(row):
    """The sounds inside a row's HTML, by label."""
    found = re.findall(
        r'role="group" aria-label="([^"]+)" style.*?src="data:audio/mpeg;base64,([^"]+)"',
        row._repr_html_(),
    )
    return {label: soundfile.read(io.BytesIO(base64.b64decode(data))) for label, data in found}


def test_stems_heard_together_share_one_gain_that_fits_their_sum():
    stems = {"vocals": tone(300, 0.8), "bass": tone(300, 0.8)}
    gains = players(stems, RATE, together=True).gains
    assert gains["vocals"] == gains["bass"] == pytest.approx(20 * math.log10(PEAK / 1.6), abs=1e-3)
    assert (
        'class="solo" aria-pressed="true"' not in players(stems, RATE, together=True)._repr_html_()
    )


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
        '<b>"' not in markup
        and 'aria-label="solo a &lt;b&gt;"' in markup
        and "Title &amp; more" in markup
    )
    assert (
        markup.count('class="solo"') == 2
        and markup.count('class="solo" aria-pressed="true"') == 1
        and markup.count("<audio controls") == 2
    )
    assert 'aria-label="position"' in markup and "http" not in markup, "nothing is fetched"
    assert row._repr_html_() != row._repr_html_(), "two outputs of one row never share an id"
    assert 'class="solo"' not in audio("alone", tone(440, 0.1), RATE)._repr_html_()


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
