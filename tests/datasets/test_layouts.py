"""Folders as other tools write them: what they are is said, and what to do; ours open as before."""

import pytest
import soundfile

from sepkit.datasets import open_tracks
from sepkit.errors import SepkitError


def put(root, *names):
    """Write a tenth of a second of silence, or an empty file that is no WAV, under each name."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".wav":
            soundfile.write(path, [[0.0, 0.0]] * 800, 8000)
        else:
            path.write_bytes(b"")


@pytest.mark.parametrize(
    "names, message",
    [
        (
            ["vocals/song1.wav", "vocals/song2.wav", "drums/song1.wav", "drums/song2.wav"],
            r"one folder a stem \(drums/, vocals/ ...\).*move drums/song1.wav to song1/drums.wav",
        ),
        (
            ["train/vocals/a.wav", "train/bass/a.wav"],
            r"train: one folder a stem .*move bass/a.wav to a/bass.wav",
        ),
        (
            ["Artist/Song/vocals.wav", "Artist/Song/drums.wav"],
            r"one folder deeper \(Artist/Song\), as in artist/song; .* such as .*Artist$",
        ),
        (["train/Artist/Song/vocals.wav"], r"train: songs lie one folder deeper \(Artist/Song\)"),
        (
            ["htdemucs/Song/vocals.wav", "htdemucs/Song/no_vocals.wav"],
            r"the output of Demucs, estimates of htdemucs; give .*htdemucs if",
        ),
        (
            ["a_vocals.wav", "a_drums.wav", "b_vocals.wav"],
            r"song and stem .*\(a_drums.wav\).*move a_drums.wav to a/drums.wav",
        ),
        (
            ["My Song - Vocals.wav", "My Song - Drums.wav"],
            r"move My Song - Drums.wav to My Song/drums.wav",
        ),
        (
            ["one/one (Vocals).wav", "one/one (Other).wav"],
            r"move one \(Other\).wav to one/other.wav",
        ),
        (
            ["musdb18hq/train/Song/vocals.wav", "musdb18hq/test/Song/vocals.wav"],
            r"lies in musdb18hq/ \(musdb18hq/test\); give .*musdb18hq$",
        ),
        (
            ["musdb/train/Song.stem.mp4", "musdb/test/Song.stem.mp4"],
            r"the data set lies in musdb/ .*; give .*musdb$",
        ),
        (["album/Song.stem.mp4"], r".stem.mp4 files lie one folder deeper; give .*album"),
        (
            ["uuid-1/data.json", "uuid-1/vocals/x.wav", "uuid-1/bass/y.wav"],
            r"uuid-1: a song of MoisesDB.*track.stems.*SONG/STEM.wav",
        ),
        (
            ["moisesdb_v0.1/uuid-1/data.json", "moisesdb_v0.1/uuid-1/vocals/x.wav"],
            r"uuid-1: a song of MoisesDB",
        ),
        (
            ["song/vocals/1.wav", "song/vocals/2.wav"],
            r"a folder for every stem \(vocals/, 2 file.*mix them, as song/vocals.wav",
        ),
        (["musdb18hq.zip"], r"musdb18hq.zip: is still packed; unpack it"),
        (["train/part1.tar", "test/part2.tar"], r"part[12].tar: is still packed"),
    ],
)
def test_the_layout_of_another_tool_is_named_with_what_to_do(tmp_path, names, message):
    put(tmp_path, *names)
    with pytest.raises(SepkitError, match=message) as error:
        open_tracks(tmp_path, "train")
    assert "\n" not in str(error.value) and str(error.value).startswith(str(tmp_path))


@pytest.mark.parametrize(
    "names, stems",
    [
        (
            ["s1/vocals.wav", "s1/accompaniment.wav", "s2/vocals.wav", "s2/accompaniment.wav"],
            ("vocals", "accompaniment"),
        ),  # Spleeter
        (
            [
                "s1/lead_vocals.wav",
                "s1/backing_vocals.wav",
                "s2/lead_vocals.wav",
                "s2/backing_vocals.wav",
            ],
            ("backing_vocals", "lead_vocals"),
        ),
        (
            ["other/vocals.wav", "other/drums.wav", "song/vocals.wav", "song/drums.wav"],
            ("vocals", "drums"),
        ),  # a song called other
        (
            ["s/vocals.wav", "s/vocals_other.wav", "t/vocals.wav", "t/vocals_other.wav", "u.zip"],
            ("vocals", "vocals_other"),
        ),
    ],
)
def test_a_folder_a_song_opens_whatever_its_names(tmp_path, names, stems):
    put(tmp_path, *names)
    tracks = open_tracks(tmp_path)
    assert len(tracks) == 2 and all(track.stems == stems for track in tracks)


def test_one_song_alone_says_how_many_are_needed(tmp_path):
    put(tmp_path, "song/vocals.wav", "song/drums.wav")
    assert len(open_tracks(tmp_path, "train")) == 1
    with pytest.raises(
        SepkitError,
        match="one song to train on, and none to validate with; at least two are needed: add songs",
    ):
        open_tracks(tmp_path, "valid")
    put(tmp_path, "train/a/vocals.wav", "valid/b/vocals.wav")
    assert [track.name for track in open_tracks(tmp_path, "valid")] == ["b"]


def test_an_empty_split_says_where_songs_are(tmp_path):
    put(tmp_path, "test/a/vocals.wav")
    with pytest.raises(SepkitError, match=r"no songs for train found \(1 in test/\)"):
        open_tracks(tmp_path, "train")
