"""Figures: what they show is what was given, and they stay small."""

import base64
import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from sepkit.errors import SepkitError
from sepkit.learn import plots
from sepkit.stft import STFT


def test_a_tone_is_drawn_at_its_frequency_and_time():
    rate, hop = 16000, 256
    x = torch.sin(2 * torch.pi * 3000 * torch.arange(rate) / rate)[None]
    x[:, : rate // 2] = 0
    ax = plots.spectrogram(STFT(1024, hop)(x), rate, hop, title="a tone", top=4000, span=60)
    (image,) = ax.images
    left, right, bottom, top = image.get_extent()
    values = np.asarray(image.get_array())
    peak = np.unravel_index(values.argmax(), values.shape)
    # kHz
    assert bottom + (peak[0] + 0.5) * (top - bottom) / values.shape[0] == pytest.approx(
        3.0, abs=0.01
    )
    assert left + (peak[1] + 0.5) * (right - left) / values.shape[1] > 0.5  # s
    assert values.max() == pytest.approx(0, abs=1e-6) and values.min() >= -60.001
    assert (
        ax.get_xlabel() == "time (s)"
        and ax.get_ylabel() == "frequency (kHz)"
        and ax.get_ylim() == (0, 4)
    )


def test_panels_with_one_reference_are_comparable():
    loud = torch.ones(1, 5, 4)
    ax = plots.spectrogram(0.1 * loud, 8000, 4, reference=1.0)
    assert float(np.asarray(ax.images[0].get_array()).max()) == pytest.approx(-20)


def test_masks_run_from_zero_to_one_and_complex_ones_show_their_size():
    ax = plots.mask(torch.full((5, 4), 0.5 + 0j), 8000, 4)
    assert ax.images[0].get_clim() == (0, 1)
    assert float(np.asarray(ax.images[0].get_array()).max()) == 0.5


def test_a_long_waveform_keeps_its_peaks():
    x = torch.zeros(1, 200_000)
    x[0, 123_456] = 0.8
    x[0, 50_000] = -0.6
    ax = plots.waveform(x, 44100, label="bass line")
    corners = ax.collections[0].get_paths()[0].get_extents()
    assert (corners.ymax, corners.ymin) == (pytest.approx(0.8), pytest.approx(-0.6))
    assert ax.get_xlabel() == "time (s)"
    assert plots.waveform(x[:, :100], 44100, dots=True).get_xlabel() == "time (ms)"


def test_stems_have_one_colour_each():
    assert (
        plots.colour("vocals, the true stem".replace(",", ""))
        == plots.COLOURS["vocals"]
        == plots.colour("Vocals")
    )
    assert (
        len({plots.COLOURS[stem] for stem in ("mixture", "vocals", "drums", "bass", "other")}) == 5
    )
    assert plots.colour("") == plots.colour("IRM1")


def test_the_style_is_set_when_a_chapter_begins_and_not_by_an_import():
    code = (
        "import matplotlib; before = dict(matplotlib.rcParams);"
        "from sepkit.learn import plots; assert dict(matplotlib.rcParams) == before;"
        "plots.use_style(); assert matplotlib.rcParams['axes.titlelocation'] == 'left'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_decibels_end_at_the_floor():
    assert plots.decibels([1.0, 0.1, 0.0], floor=-60).tolist() == pytest.approx([0, -20, -60])
    assert plots.decibels(np.zeros(2)).tolist() == [-80, -80]


def test_tables_round_numbers_and_keep_whole_ones_whole():
    shown = plots.table(pd.DataFrame({"songs": [8], "gain": [1.2345]}), digits=1)
    assert (
        shown.songs.tolist() == [8]
        and shown.songs.dtype.kind == "i"
        and shown.gain.tolist() == [1.2]
    )


def test_a_stored_figure_is_small_and_keeps_its_colours():
    fig, ax = plots.figure()
    generator = torch.Generator().manual_seed(0)
    plots.spectrogram(torch.rand(257, 400, generator=generator), 16000, 256, ax=ax)
    content = plots.png(fig)
    assert len(content) < 120_000  # noise is the worst case
    fig, ax = plots.figure()
    ax.axhspan(0, 1, color=plots.COLOURS["vocals"])
    ax.axhspan(1, 2, color=plots.COLOURS["other"])
    pixels = np.asarray(Image.open(io.BytesIO(plots.png(fig))).convert("RGB")).reshape(-1, 3)
    present = {f"#{r:02X}{g:02X}{b:02X}" for r, g, b in np.unique(pixels, axis=0)}
    assert {plots.COLOURS["vocals"], plots.COLOURS["other"], "#FFFFFF"} <= present


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.waveform(torch.zeros(2, 100), 44100),
        lambda: plots.spectrogram(torch.zeros(2, 5, 4), 44100, 4),
    ],
)
def test_stereo_is_refused_with_the_remedy(draw):
    with pytest.raises(SepkitError, match="one channel"):
        draw()


def test_a_picture_has_twice_the_pixels_of_its_place_or_as_many_as_its_size_allows(monkeypatch):
    ax = plots.waveform(torch.zeros(1, 100), 100)

    def pixels(picture):
        return Image.open(io.BytesIO(picture.data)).size

    width = round(plots.WIDTH * plots.PAGE)
    sharp = plots.Picture(ax)
    assert pixels(sharp)[0] == 2 * width and sharp.size["width"] == width
    assert f'width="{width}"' in sharp._repr_html_()
    monkeypatch.setattr(plots, "LARGEST", len(sharp.data) - 1)
    smaller = plots.Picture(ax)
    assert pixels(smaller)[0] == 1.5 * width and smaller.size == sharp.size
    monkeypatch.setattr(plots, "LARGEST", 0)
    assert pixels(plots.Picture(ax))[0] == width


def test_the_caption_is_the_text_of_the_picture_in_html_and_the_stored_form_is_one_png():
    from bs4 import BeautifulSoup
    from IPython.core.formatters import DisplayFormatter
    from nbconvert import HTMLExporter
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    from sepkit.reproduce.notebook import strip_audio

    caption = 'A "line" & <more>'
    picture = plots.Picture(plots.waveform(torch.zeros(1, 100), 100), caption)
    data, metadata = DisplayFormatter().format(picture)
    assert data["text/plain"] == caption and metadata["image/png"]["alt"] == caption
    data["image/png"] = base64.b64encode(data["image/png"]).decode()  # as a kernel does
    output = new_output("display_data", data=data, metadata=metadata)
    notebook = new_notebook(cells=[new_code_cell("show(fig)", outputs=[output])])
    exported, _ = HTMLExporter().from_notebook_node(notebook)
    assert [image["alt"] for image in BeautifulSoup(exported, "html.parser").select("img")] == [
        caption
    ]
    strip_audio(notebook)
    assert sorted(output.data) == ["image/png", "text/plain"]
