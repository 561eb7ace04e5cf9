"""The registry of data sets, and the order of stems: one entry is all that a new one needs."""

import numpy as np
import pytest
import soundfile

from sepkit import stems
from sepkit.datasets import DATA_HELP, DATASETS, DataSet, data_set_name, known_data, open_tracks
from sepkit.errors import SepkitError


def song(folder, *names):
    folder.mkdir(parents=True)
    for name in names:
        soundfile.write(folder / f"{name}.wav", np.full((800, 2), 0.1), 8000)


def test_an_entry_that_lies_in_the_data_root_is_opened_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "mine", DataSet("songs of mine", "run: record some"))
    with pytest.raises(SepkitError, match="mine: songs of mine expected here; run: record some"):
        open_tracks("mine", root=tmp_path)
    song(tmp_path / "mine" / "test" / "a", "vocals", "piano")
    assert [track.name for track in open_tracks("mine", "test", root=tmp_path)] == ["a"]
    assert known_data("mine") == data_set_name("mine") == "mine"


def test_an_entry_that_can_be_made_is_made(tmp_path, monkeypatch):
    def make(preset, root):
        song(root / preset / "a", "vocals", "piano")
        return root / preset

    monkeypatch.setitem(DATASETS, "mine", DataSet("songs of mine", "", make))
    (track,) = open_tracks("mine", root=tmp_path, preset="small")
    assert track.stems == ("vocals", "piano")


def test_help_lists_every_data_set():
    assert DATA_HELP == f"{', '.join(DATASETS)} or a folder of songs."


def test_stems_are_in_the_order_of_tables_and_others_follow_by_name():
    names = ["zither", "bass", "piano", "noise", "vocals"]
    assert stems.in_order(names) == ["vocals", "bass", "noise", "piano", "zither"]
    assert set(stems.STEMS) == set(stems.STEMS_OF_DEMUCS) <= set(stems.COLOURS)
