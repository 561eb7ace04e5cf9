"""Whole chapters, in smoke: every cell run twice, and on the oddest songs that a chapter takes."""

import nbformat
import pytest
import torch

from sepkit import audio
from sepkit.reproduce.execution import execute
from sepkit.reproduce.notebook import find_chapters
from sepkit.stems import STEMS

RATE = 44100
CHAPTERS = find_chapters()
NAMES = [chapter.name for chapter in CHAPTERS]
pytestmark = [pytest.mark.slow, pytest.mark.long]


def run(notebook, tmp_path, monkeypatch, **parameters):
    """Execute a notebook as `sepkit reproduce` does; its error, if there is one."""
    monkeypatch.setenv("SEPKIT_PROFILE", "smoke")
    monkeypatch.setenv("SEPKIT_OUT", str(tmp_path / "out"))
    job = {"notebook": str(notebook), "output": str(tmp_path / "executed.ipynb"), "timeout": 600}
    given = {"profile": "smoke", "out_dir": str(tmp_path / "out"), **parameters}
    outcome = execute({**job, "cwd": str(tmp_path), "parameters": given}, lambda **_: None)
    return outcome.get("error"), outcome.get("cell")


@pytest.mark.parametrize("chapter", CHAPTERS, ids=NAMES)
def test_every_cell_may_be_run_twice(chapter, tmp_path, monkeypatch):
    notebook = nbformat.read(chapter.path, as_version=4)
    cells = []
    for cell in notebook.cells:
        again = cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", [])
        cells += [cell, nbformat.v4.new_code_cell(cell.source)] if again else [cell]
    notebook.cells = cells
    nbformat.write(notebook, tmp_path / chapter.path.name)
    error, cell = run(tmp_path / chapter.path.name, tmp_path, monkeypatch)
    assert error is None, cells[cell].source


def melody(lowest, notes_a_second, seconds, pan):
    """Decaying notes with five harmonics, (channels, samples); `pan` has a gain per channel."""
    time = torch.arange(int(seconds * RATE)) / RATE
    note = (time * notes_a_second).floor()
    pitch = lowest * 2 ** ((note * 5 % 12) / 12)
    phase = 2 * torch.pi * torch.cumsum(pitch.double(), 0) / RATE
    tones = sum(torch.sin(k * phase) / k for k in range(1, 6))
    sound = (0.2 * tones * torch.exp(-4 * (time * notes_a_second - note))).float()
    return sound * torch.tensor(pan)[:, None]


#: chapter -> (songs, stems, seconds, channels): as odd as `sepkit.learn.needs` lets it be.
FEW = ("strings", "winds")
MORE = (*STEMS, "guitar")
ODD = {name: (3, MORE, 8, 1) for name in NAMES} | {
    "01_stft": (1, ("theremin",), 2, 1),
    "02_masking": (1, FEW, 6, 1),
    "03_ica": (3, MORE, 8, 2),
    "05_resunet": (2, ("vocals", "keys"), 6, 1),
    "06_bsrnn": (2, ("vocals", "keys"), 6, 1),
    "08_sdr": (2, STEMS, 8, 1),
    "12_tables": (1, ("vocals", "keys"), 4, 1),
}


@pytest.mark.parametrize("chapter", CHAPTERS, ids=NAMES)
def test_the_chapter_runs_on_odd_songs_with_a_silent_second(chapter, tmp_path, monkeypatch):
    songs, stems, seconds, channels = ODD[chapter.name]
    for song in range(songs):
        for number, stem in enumerate(stems):
            pan = (1.0, 0.9 - 0.15 * number)[:channels]
            sound = melody(98.0 * 1.5**number * 1.05**song, 2 + number, seconds, pan)
            sound[:, RATE // 2 : RATE // 2 + RATE] = 0
            audio.write(tmp_path / "songs" / f"song {song}" / f"{stem}.wav", sound, RATE)
    error, cell = run(chapter.path, tmp_path, monkeypatch, data=str(tmp_path / "songs"))
    assert error is None, f"cell {cell}"
