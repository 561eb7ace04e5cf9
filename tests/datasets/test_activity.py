"""Source activity detection against an independent computation, known silences, and its cache."""

import json
import math
import os

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from sepkit import audio, band, cli
from sepkit.datasets import MemoryTrack, activity, open_tracks
from sepkit.datasets.loader import decoded
from sepkit.errors import SepkitError

RATE = 1000


def track_of(loudness, rate=RATE, seed=0, name="t", channels=2):
    """A track whose "vocals" are noise of a deviation per second; "other" sounds throughout."""
    rng = np.random.default_rng(seed)
    level = np.repeat(np.asarray(loudness, dtype=np.float64), rate)
    noise = (
        rng.standard_normal((2, channels, len(level)))
        * np.stack([level, np.full_like(level, 0.1)])[:, None]
    )
    vocals, other = torch.from_numpy(noise).float()
    return MemoryTrack(name, {"vocals": vocals, "other": other}, rate)


def by_the_book(x, rate):
    """The paper's procedure, segment by segment, in plain numpy; starts of the active segments."""
    size, hop, chunk = 6 * rate, 3 * rate, 6 * rate // 10
    segments, start = [], 0
    while True:
        part = x[:, start : start + size].astype(np.float64)  # fewer samples at the end of the song
        chunks = [part[:, first : first + chunk] for first in range(0, part.shape[1], chunk)]
        energies = [np.sum(chunk**2) / len(x) * 44100 / rate for chunk in chunks]
        segments.append((start, [energy if energy > 0 else 1e-5 for energy in energies]))
        if start + size >= x.shape[1]:
            break
        start += hop
    threshold = max(np.quantile(np.concatenate([e for _, e in segments]), 0.15), 1e-3)
    return [
        start
        for start, energies in segments
        if sum(energy > threshold for energy in energies) > len(energies) / 2
    ]


@pytest.mark.parametrize("seed", range(4))
def test_the_procedure_of_the_paper_is_followed(seed):
    rng = np.random.default_rng(seed)
    # Long stretches at levels from silence over the threshold (1e-3 is about 2e-4 here) to 1.
    loudness = np.repeat(rng.choice([0, 1e-5, 2e-4, 0.01, 0.3], 30), rng.integers(1, 9, 30))
    track = track_of(loudness, seed=seed)
    found = activity.find([track])
    expected = by_the_book(track.stem("vocals").numpy(), RATE)
    assert found.starts[0]["vocals"] == expected and 0 < len(expected) < found.segments[0]
    assert (
        found.segments == [math.ceil((track.samples / RATE - 6) / 3) + 1]
        and found.frames == 6 * RATE
    )


def test_long_songs_are_read_in_parts_with_the_same_result():
    track = track_of(np.repeat([0, 0.2, 0, 0.2, 0.2], 30), rate=400)
    expected = by_the_book(track.stem("vocals").numpy(), 400)
    read, parts = track._read_file, []
    track._read_file = lambda name, start, frames: parts.append(frames) or read(name, start, frames)
    assert activity.find([track]).starts[0]["vocals"] == expected
    assert parts == 2 * [24000, 24000, 12000]  # a minute at a time, once


@pytest.mark.parametrize("rate, channels", [(22050, 2), (44100, 1), (48000, 2)])
def test_rate_and_channels_do_not_matter(rate, channels):
    """At -73 dB a stem counts, at -75 dB not: 1e-3 is the energy of 0.6 s at 44.1 kHz, -74.2 dB."""
    for level, active in ((-73, True), (-75, False)):
        track = track_of([10 ** (level / 20)] * 7, rate, channels=channels)
        squares = track.stem("vocals").double().square().mean()
        scaled = MemoryTrack(
            "t", {"vocals": track.stem("vocals") * (10 ** (level / 10) / squares) ** 0.5}, rate
        )
        energies = activity.chunk_energies(scaled, "vocals")[
            :-1
        ]  # 7 s are 11 chunks and a part of one
        assert (
            len(energies) == 11
            and (energies > 1e-3).all() == active
            and np.allclose(energies, 26460 * 10 ** (level / 10), rtol=0.1)
        )


def test_the_quantile_is_of_the_track_and_not_of_a_segment():
    """12 s of a murmur before a minute of song: less than 15 %, so the threshold lies above it.

    A quantile of each segment by itself would keep the murmur, which is steady: most of its chunks
    exceed 15 % of them.
    """
    track = track_of([0.001] * 12 + [0.3] * 80)
    energies = activity.chunk_energies(track, "vocals")
    whole = activity.active_segments(energies)
    alone = [
        n
        for n, segment in enumerate(activity.segments_of(energies))
        if len(activity.active_segments(segment))
    ]
    assert {0, 1, 2} <= set(alone) and not {0, 1, 2} & set(whole) and energies[:20].min() > 1e-3


def test_kept_segments_lie_in_the_sounding_parts():
    rng = np.random.default_rng(3)
    tracks, sounding = [], []
    for number in range(6):
        loud = np.repeat(rng.permutation([0, 0, 1, 1, 1]), 24) * 0.2  # sections of 24 s
        tracks.append(track_of(loud, name=f"t{number}", seed=number))
        sounding.append(np.repeat(loud > 0, RATE))
    found = activity.find(tracks)
    inside = [
        sounding[n][start : start + found.frames].mean()
        for n in range(6)
        for start in found.starts[n]["vocals"]
    ]
    assert np.mean(inside) > 0.95 and min(inside) >= 0.5
    (vocals, other) = found.statistics()
    assert 0.5 < vocals["share"] < 0.66 and vocals["kept_a_song"] == vocals["kept"] / 6
    assert other["share"] > 0.95 and other["segments"] == vocals["segments"] == 6 * 39


def test_short_and_silent_songs():
    brief, silent = track_of([0.2] * 2), track_of([0.0] * 20)
    found = activity.find([brief, silent])
    assert (
        found.starts[0]["vocals"] == [0] and found.segments[0] == 1
    )  # two seconds that sound throughout
    assert found.starts[1]["vocals"] == [] and found.statistics()[0]["songs_without"] == 1
    assert (
        activity.find([track_of([0.2, 0, 0, 0])]).starts[0]["vocals"] == []
    )  # a quarter of it sounds
    assert activity.find([track_of([0] * 8 + [0.2] * 3)]).starts[0]["vocals"] == [
        6 * RATE
    ]  # the last 5 s are a segment too


def wav_song(folder, loudness, seed=0):
    track = track_of(loudness, seed=seed)
    for stem, x in track.references().items():
        audio.write(folder / f"{stem}.wav", x.clamp(-1, 1), RATE, subtype="PCM_16")
    return folder


def test_the_index_is_kept_and_made_again_when_files_change(tmp_path, monkeypatch):
    wav_song(tmp_path / "data" / "song", [0.2] * 12 + [0] * 24)
    tracks, cache = open_tracks(tmp_path / "data"), tmp_path / "cache"
    first = activity.find(tracks, cache)
    monkeypatch.setattr(activity, "chunk_energies", None)  # from here on nothing is computed
    assert activity.find(tracks, cache) == first
    assert activity.find(decoded(tracks, tmp_path / "decoded", notice=None), cache) == first
    monkeypatch.undo()
    before = os.stat(tmp_path / "data" / "song" / "vocals.wav")
    wav_song(tmp_path / "data" / "song", [0] * 24 + [0.2] * 12)
    assert before.st_size == os.stat(tmp_path / "data" / "song" / "vocals.wav").st_size
    changed = activity.find(open_tracks(tmp_path / "data"), cache)
    assert (
        set(changed.starts[0]["vocals"]).isdisjoint(first.starts[0]["vocals"])
        and changed.starts[0]["vocals"]
    )


def test_a_damaged_index_is_named(tmp_path):
    wav_song(tmp_path / "data" / "song", [0.2] * 12)
    tracks = open_tracks(tmp_path / "data")
    activity.find(tracks, tmp_path / "cache")
    (entry,) = (tmp_path / "cache").iterdir()
    entry.write_text(json.dumps({"segments": 3}))
    with pytest.raises(
        SepkitError, match=f"{entry.name}: not an index of active segments; delete it"
    ):
        activity.find(tracks, tmp_path / "cache")


def test_tracks_in_memory_leave_no_files_and_mistakes_are_named(tmp_path):
    activity.find([track_of([0.2] * 8)], tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    with pytest.raises(SepkitError, match="tracks of one sample rate"):
        activity.find([track_of([0.2] * 8), track_of([0.2] * 8, rate=800)])
    with pytest.raises(SepkitError, match="tracks of one sample rate"):
        activity.find([])


# --- the command line, and the embedded band ------------------------------------------


def test_the_command_counts_and_keeps_an_index(tmp_path):
    wav_song(tmp_path / "data" / "a", [0.2] * 12 + [0] * 24)
    wav_song(tmp_path / "data" / "b", [0.0] * 36, seed=1)
    options = [
        "data",
        "activity",
        "--data",
        str(tmp_path / "data"),
        "--cache",
        str(tmp_path / "cache"),
    ]
    rows = json.loads(CliRunner().invoke(cli.app, [*options, "--json"]).stdout)
    assert rows[0] == dict(
        stem="vocals", songs=2, segments=22, kept=3, share=3 / 22, kept_a_song=1.5, songs_without=1
    )
    assert (
        CliRunner().invoke(cli.app, options).stdout.splitlines()[2]
        == "vocals\t2\t22\t3\t14%\t1.5\t1"
    )
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.slow
def test_silences_of_the_band_are_left_out(tmp_path):
    """A singer begins after some seconds, and pauses. Segments may be silent in part."""
    options = dict(
        seconds=12.0, workers=1, voice="dsp", instruments="dsp", speech=False, progress=False
    )
    tracks = open_tracks(
        band.render(tmp_path, train=2, test=0, genres=["rock", "jazz"], **options), "train"
    )
    kept, left_out = [], []
    for track, starts in zip(tracks, activity.find(tracks, tmp_path).starts, strict=True):
        tenths = (
            track.stem("vocals").square().mean(0).unfold(0, 4410, 4410).mean(-1) > 1e-8
        )  # 0.1 s above -80 dB
        for start in range(0, track.samples - 3 * 44100, 3 * 44100):
            share = float(tenths[start // 4410 : start // 4410 + 60].double().mean())
            (kept if start in starts["vocals"] else left_out).append(share)
    assert np.mean(kept) > 0.8 and min(kept) > 0.4 and np.mean(left_out) < 0.5


def test_sepkit_data_activity_leaves_out_broken_songs_and_counts_songs_without_a_stem(
    tmp_path, spoil
):
    """One that does not open, one that cannot be read to its end, and an instrumental."""
    data = tmp_path / "data"
    for name in ("a", "b", "c", "d"):
        wav_song(data / name, [0.2] * 12)
    (data / "b" / "vocals.wav").write_text("this is no music")
    (data / "d" / "vocals.wav").unlink()
    arguments = [
        "data",
        "activity",
        "--data",
        str(data),
        "--cache",
        str(tmp_path / "cache"),
        "--json",
    ]
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 0, done.stderr
    assert (
        done.stderr.count("\n") == 1
        and str(data / "b" / "vocals.wav") in done.stderr
        and "left out" in done.stderr
    )
    rows = {row["stem"]: row for row in json.loads(done.stdout)}
    assert [rows["vocals"][key] for key in ("songs", "songs_without")] == [3, 1]


def test_a_song_that_cannot_be_read_is_told_and_the_others_are_looked_at(tmp_path):
    class Broken(MemoryTrack):
        def _read_file(self, name, start, frames):
            raise OSError(5, "Input/output error", "broken/vocals.wav")

    good, told = track_of([0.2] * 12), []
    broken = Broken("broken", {stem: good.stem(stem) for stem in good.stems}, RATE)
    found = activity.find([good, broken, good], tmp_path, damaged=told.append)
    assert (
        found == activity.find([good, good], tmp_path)
        and len(told) == 1
        and "Input/output error" in str(told[0])
    )
    for tracks, damaged in (([good, broken], None), ([broken], told.append)):
        with pytest.raises(OSError, match="Input/output error"):
            activity.find(tracks, tmp_path, damaged=damaged)
