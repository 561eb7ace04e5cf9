"""Band splits: the paper's tables, and what no table may break."""

import numpy as np
import pytest

from sepkit.errors import SepkitError
from sepkit.models.bands import SPLITS, band_edges, by_width, default_split

#: bands by scheme, as the paper counts them
COUNTS = {
    "V1": 22,
    "V2": 19,
    "V3": 14,
    "V4": 23,
    "V5": 28,
    "V6": 26,
    "V7": 41,
    "bass": 30,
    "drums": 55,
}
#: bin widths of V7 in the best-known public implementation
V7 = [
    5,
    5,
    4,
    5,
    5,
    4,
    5,
    5,
    4,
    5,
    12,
    11,
    12,
    11,
    12,
    12,
    11,
    12,
    11,
    12,
    12,
    11,
    23,
    24,
    23,
    23,
    23,
    24,
    23,
    23,
    46,
    47,
    46,
    47,
    46,
    47,
    46,
    47,
    92,
    93,
    96,
]


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_has_the_papers_number_of_bands_and_every_bin_once(split):
    edges = band_edges(split)
    assert len(edges) - 1 == COUNTS[split]
    assert edges[0] == 0 and edges[-1] == 1025 and all(a < b for a, b in zip(edges, edges[1:]))


def test_v7_is_the_known_list_of_widths():
    assert np.diff(band_edges("V7")).tolist() == V7


@pytest.mark.parametrize(
    "split, sample_rate, n_fft",
    [("V7", 44100, 2048), ("drums", 48000, 2048), ("V4", 16000, 1024), ("bass", 22050, 2048)],
)
def test_every_bin_lies_in_the_band_of_its_frequency(split, sample_rate, n_fft):
    limits = [0]
    for upper, width in SPLITS[split]:
        limits += range(limits[-1] + width, upper + width, width)
    frequencies = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    expected = np.digitize(frequencies, limits) - 1
    edges = band_edges(split, n_fft, sample_rate)
    assert (np.digitize(np.arange(len(frequencies)), edges[:-1]) - 1).tolist() == expected.tolist()


def test_groups_hold_every_band_once_by_width():
    edges = band_edges("V7")
    groups = by_width(edges)
    assert sorted(band for _, bands in groups for band in bands) == list(range(41))
    assert [width for width, _ in groups] == sorted(set(V7))
    assert all(V7[band] == width for width, bands in groups for band in bands)


def test_targets_have_the_papers_splits():
    assert [default_split(target) for target in ("vocals", "drums", "bass", "other", "speech")] == [
        "V7",
        "drums",
        "bass",
        "V7",
        "V7",
    ]


@pytest.mark.parametrize(
    "split, n_fft, message",
    [
        ("V8", 2048, "unknown band split 'V8': choose from V1, V2"),
        (((1000, 300),), 2048, "0 to 1000 Hz cannot be divided into bands of 300 Hz"),
        (((1000, 0),), 2048, "bands of 0 Hz"),
        (((1000, 500), (500, 100)), 2048, "1000 to 500 Hz"),
        ("drums", 512, "narrower than a bin of 86.1 Hz"),
        ((5, 6), 2048, "a name or pairs"),
    ],
)
def test_splits_that_make_no_sense_are_refused(split, n_fft, message):
    with pytest.raises(SepkitError, match=message):
        band_edges(split, n_fft)
