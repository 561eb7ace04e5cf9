"""Which recordings are meant, where stems go, and that no two separations mix in one folder."""

import json
import os
import unicodedata

import pytest
import soundfile
import torch

from sepkit import audio, separation
from sepkit.audio.tags import read_tags
from sepkit.errors import SepkitError
from sepkit.separation import MixtureSeparator, find_recordings, output_folders, separate_file
from sepkit.separation.inputs import RECORD

RATE = 8000
EMPTY = '"format": 1, "sepkit": "0", "input": {}, "separator": {}, "options": {}'
SHORT = dict(chunk=0.5, overlap=0.1, notice=None)


def write_song(path, seed=0, rate=RATE, **options):
    x = 0.1 * torch.randn(2, RATE, generator=torch.Generator().manual_seed(seed))
    audio.write(path, x, rate, **options)
    return x


def empty(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(paths, folder):
    return [str(path.relative_to(folder)) for path in paths]


def contents(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name != RECORD
    }


# --- inputs


def test_a_folder_stands_for_the_audio_in_it_and_below(tmp_path):
    wanted = ["b.FLAC", "a.mp3", "CD 2/01.ogg", "CD 2/deep/x.wav", "song/mixture.wav"]
    other = [
        "cover.jpg",
        ".hidden.wav",
        ".hidden/a.wav",
        "song/vocals.wav",
        "done/vocals.wav",
        f"done/{RECORD}",
    ]
    empty(*(tmp_path / name for name in [*wanted, *other]))
    assert names(find_recordings([tmp_path]), tmp_path) == [
        "a.mp3",
        "b.FLAC",
        "CD 2/01.ogg",
        "CD 2/deep/x.wav",
        "song/mixture.wav",
    ]


def test_a_folder_without_audio_is_an_error_that_says_what_can_be_read(tmp_path):
    empty(tmp_path / "songs" / "cover.jpg", tmp_path / "songs" / ".hidden.wav")
    with pytest.raises(
        SepkitError, match=r"songs: no audio in this folder or below \(readable: WAV"
    ):
        find_recordings([tmp_path / "songs"])


def test_links_are_followed_but_not_in_circles_and_broken_ones_are_not_passed_over(tmp_path):
    empty(tmp_path / "a" / "x.wav")
    (tmp_path / "a" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "gone.wav").symlink_to("nowhere")
    (tmp_path / "a" / "elsewhere").symlink_to(tmp_path / "b")
    empty(tmp_path / "b" / "y.wav")
    assert names(find_recordings([tmp_path / "a"]), tmp_path) == [
        "a/gone.wav",
        "a/x.wav",
        "a/elsewhere/y.wav",
    ]


def test_patterns_are_those_of_a_shell_but_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    empty(
        *(
            tmp_path / name
            for name in (
                "b.wav",
                "a.wav",
                ".c.wav",
                "d/e/f.wav",
                "live [1].wav",
                "live 1.wav",
                "x*.wav",
                "xy.wav",
            )
        )
    )

    def found(*inputs):
        return list(map(str, find_recordings(inputs)))

    assert found("?.wav") == ["a.wav", "b.wav"]
    assert found("**/f.wav") == ["d/e/f.wav"] and found("d*") == ["d/e/f.wav"]
    assert found("live [1].wav") == ["live [1].wav"] and found("x*.wav") == ["x*.wav"]
    assert found("b.wav", "*.wav", str(tmp_path / "a.wav")) == [
        "b.wav",
        "a.wav",
        "live 1.wav",
        "live [1].wav",
        "x*.wav",
        "xy.wav",
    ]
    with pytest.raises(SepkitError, match=r"z\*.wav: no file matches this pattern"):
        found("a.wav", "z*.wav")
    assert found("missing.wav") == ["missing.wav"]  # reading it says so, and the others go on


# --- names


@pytest.mark.parametrize(
    "template, expected",
    [
        ("{stem}", "Song. No 1"),
        ("{parent}/{stem}", "Album/Song. No 1"),
        ("{index} {stem} ({ext})", "1 Song. No 1 (wav)"),
        ("by {model}/{stem}", "by my run_vocals/Song. No 1"),
        ("{{x}} all", "{x} all"),
    ],
)
def test_templates_of_names(tmp_path, template, expected):
    (folder,) = output_folders(
        [tmp_path / "Album" / "Song. No 1.WAV"], "out", template, "my run/vocals"
    ).values()
    assert folder.as_posix() == f"out/{expected}"


def test_numbers_are_of_one_width_and_mixtures_have_the_name_of_their_song(tmp_path):
    paths = [tmp_path / "test" / f"song {k}" / "mixture.wav" for k in range(10)]
    folders = output_folders(paths, "out", "{parent}/{index} {stem}").values()
    assert [f.as_posix() for f in folders][::9] == ["out/test/01 song 0", "out/test/10 song 9"]


@pytest.mark.parametrize(
    "template, expected",
    [
        ("{song}", "unknown field of --name 'song': choose from stem, parent, ext, model, index"),
        ("{stem.__class__}", "unknown field"),
        ("{}", "unknown field"),
        ("{index:>9999999999}", "unknown field"),
        ("{stem!r}", "unknown field"),
        ("{stem", "--name '{stem': expected"),
        ("../{stem}", "gives '../song'.*below the output folder"),
        ("/tmp/{stem}", "gives"),
        ("{stem}/../../x", "gives"),
        ("", "gives ''"),
        ("a//{stem}", "gives"),
        ("./{stem}", "gives"),
    ],
)
def test_templates_that_are_not_understood_or_lead_elsewhere(template, expected):
    with pytest.raises(SepkitError, match=expected):
        output_folders(["album/song.wav"], "out", template)


@pytest.mark.parametrize(
    "one, other, remedy",
    [
        ("a/song.mp3", "b/song.mp3", "{parent}/{stem}"),
        ("a/song.mp3", "a/song.wav", r"{stem} \({ext}\)"),
        ("a/Song.mp3", "b/song.mp3", "{parent}"),
        (
            f"a/{unicodedata.normalize('NFC', 'é')}.wav",
            f"b/{unicodedata.normalize('NFD', 'é')}.wav",
            "{parent}",
        ),
        ("a/song.wav", "b/song. .wav", "{parent}"),
    ],
)
def test_what_some_system_takes_for_one_name_is_refused_with_a_template_that_helps(
    one, other, remedy
):
    with pytest.raises(
        SepkitError,
        match=f"like those of {one}; rename one, or tell them apart, as by --name '{remedy}",
    ):
        output_folders([one, other], "out")
    template = "{parent}/{stem}" if "parent" in remedy else "{stem} ({ext})"
    assert len(set(output_folders([one, other], "out", template).values())) == 2


# --- one separation a folder


class Half(MixtureSeparator):
    """The mixture, which another seed stands for other weights of."""

    def __init__(self, seed=0):
        super().__init__()
        self.seed = seed

    def separate(self, mixture, references=None):
        return {
            target: 0.5 * estimate
            for target, estimate in super().separate(mixture, references).items()
        }

    def describe(self):
        return {**super().describe(), "seed": self.seed}


def test_the_record_says_what_made_the_stems(tmp_path):
    path = tmp_path / "song.wav"
    write_song(path)
    written = separate_file(path, Half(), tmp_path / "out", two_stems="vocals", **SHORT)
    record = json.loads((tmp_path / "out" / "song" / RECORD).read_text())
    from hashlib import sha256

    assert (
        record["input"]["sha256"] == sha256(path.read_bytes()).hexdigest()
        and record["input"]["name"] == "song.wav"
    )
    assert record["separator"] == Half().describe() and record["options"]["two_stems"] == "vocals"
    assert record["stems"] == {p.name: sha256(p.read_bytes()).hexdigest() for p in written.values()}


@pytest.mark.parametrize(
    "other, told",
    [
        ("input", "of song.wav, which is not this song.wav"),
        ("model", "by mixture with seed 0, not 1"),
        ("targets", "with targets None, not"),
        ("suffix", "with suffix .wav, not .flac"),
        ("subtype", "with subtype FLOAT, not PCM_16"),
    ],
)
def test_another_separation_is_refused_before_work_and_replaces_only_when_told(
    tmp_path, other, told
):
    path, out = tmp_path / "song.wav", tmp_path / "out"
    write_song(path)
    separate_file(path, Half(), out, **SHORT)
    (out / "song" / "mine.wav").write_text("the user's")
    before = contents(out)
    if other == "input":
        write_song(path, seed=1)
    options = {
        "targets": {"targets": ["bass"]},
        "suffix": {"suffix": "flac"},
        "subtype": {"subtype": "pcm_16"},
    }.get(other, {})
    separator = Half(int(other == "model"))
    with pytest.raises(
        SepkitError, match=f"out/song: holds the stems of another separation .*{told}.*--overwrite"
    ):
        separate_file(path, separator, out, **options, **SHORT)
    assert contents(out) == before and [p.name for p in out.iterdir()] == ["song"]
    written = separate_file(path, separator, out, overwrite=True, **options, **SHORT)
    assert contents(out).keys() == {f"song/{p.name}" for p in written.values()} | {"song/mine.wav"}
    assert contents(out)["song/mine.wav"] == b"the user's"
    separate_file(path, separator, out, **options, **SHORT)  # it is the same now


def test_stems_of_unknown_origin_are_not_replaced_nor_joined(tmp_path):
    write_song(tmp_path / "song.wav")
    empty(tmp_path / "out" / "song" / "vocals.wav", tmp_path / "out" / "song" / "piano.wav")
    with pytest.raises(
        SepkitError, match="out/song: holds piano.wav, vocals.wav, and no separation.json"
    ):
        separate_file(tmp_path / "song.wav", Half(), tmp_path / "out", **SHORT)
    with pytest.raises(
        SepkitError, match="holds piano.wav, which this separation would not replace"
    ):
        separate_file(tmp_path / "song.wav", Half(), tmp_path / "out", overwrite=True, **SHORT)
    assert not any(contents(tmp_path / "out").values())
    (tmp_path / "out" / "song" / "piano.wav").unlink()
    separate_file(tmp_path / "song.wav", Half(), tmp_path / "out", overwrite=True, **SHORT)
    assert all(contents(tmp_path / "out").values()) and len(contents(tmp_path / "out")) == 4


def test_the_true_stems_of_a_data_set_are_never_written_over(tmp_path):
    """`separate songs/A/mixture.wav --out songs` would write into songs/A."""
    write_song(tmp_path / "songs" / "A" / "mixture.wav")
    write_song(tmp_path / "songs" / "A" / "vocals.wav", seed=1)
    before = contents(tmp_path)
    for overwrite in (False, True):
        with pytest.raises(SepkitError, match="songs/A: holds mixture.wav"):
            separate_file(
                tmp_path / "songs" / "A" / "mixture.wav",
                Half(),
                tmp_path / "songs",
                overwrite=overwrite,
                **SHORT,
            )
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "spoilt",
    [
        "{",
        "[]",
        "{}",
        '{"format": 2}',
        f'{{{EMPTY}, "stems": {{"../../song.wav": "x"}}}}',
        f'{{{EMPTY}, "stems": {{"notes.txt": "x"}}}}',
        f'{{{EMPTY}, "input": {{"name": 3}}, "options": {{"a": []}}, "stems": {{"x.wav": 1}}}}',
    ],
)
def test_records_of_others_are_not_believed(tmp_path, spoilt):
    """A record names files that --overwrite removes."""
    path, folder = tmp_path / "song.wav", tmp_path / "out" / "song"
    write_song(path)
    separate_file(path, Half(), tmp_path / "out", **SHORT)
    (folder / "notes.txt").write_text("mine")
    (folder / RECORD).write_text(spoilt)
    with pytest.raises(SepkitError, match="out/song"):
        separate_file(path, Half(), tmp_path / "out", reuse=True, **SHORT)
    separate_file(path, Half(), tmp_path / "out", overwrite=True, **SHORT)
    assert path.exists() and (folder / "notes.txt").read_text() == "mine"
    assert json.loads((folder / RECORD).read_text())["format"] == 1


def test_only_whole_stems_of_this_very_separation_are_used_again(tmp_path):
    path, out = tmp_path / "song.wav", tmp_path / "out"
    write_song(path)
    made = []

    class Counting(Half):
        def separate(self, mixture, references=None):
            made.append(1)
            return super().separate(mixture, references)

    def again(**options):
        made.clear()
        written = separate_file(path, Counting(), out, reuse=True, **options, **SHORT)
        return written, len(made)

    first, work = again()
    assert work == 3 and again() == (first, 0)
    whole = first["drums"].read_bytes()
    first["drums"].write_bytes(whole[:-4] + b"\0\0\0\0")  # a stem that has changed
    assert again() == (first, 3) and first["drums"].read_bytes() == whole
    first["bass"].unlink()
    assert again()[1] == 3 and first["bass"].exists()


def test_a_kill_between_old_and_new_leaves_a_folder_that_is_refused(tmp_path, monkeypatch):
    path, out = tmp_path / "song.wav", tmp_path / "out"
    write_song(path)
    separate_file(path, Half(), out, **SHORT)
    replace = os.replace

    def killed(source, target):
        if target == out / "song" / "drums.wav":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr("sepkit.separation.files.os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        separate_file(path, Half(1), out, overwrite=True, **SHORT)
    monkeypatch.undo()
    with pytest.raises(SepkitError, match="no separation.json that says what made it"):
        separate_file(path, Half(1), out, **SHORT)
    separate_file(path, Half(1), out, overwrite=True, **SHORT)
    assert len(contents(out)) == 4


@pytest.mark.parametrize("faster, expected", [(0, None), (1, "by mixture with seed 1, not 0")])
def test_of_two_at_once_the_slower_one_refuses_to_mix(tmp_path, faster, expected):
    path, out = tmp_path / "song.wav", tmp_path / "out"
    write_song(path)

    class Slow(Half):
        def describe(self):
            return {**super().describe(), "kind": "Half"}

        def separate(self, mixture, references=None):
            if not out.joinpath("song").exists():
                separate_file(path, Half(faster), out, **SHORT)
            return super().separate(mixture, references)

    if expected is None:
        assert len(separate_file(path, Slow(), out, **SHORT)) == 4
    else:
        with pytest.raises(SepkitError, match=expected):
            separate_file(path, Slow(), out, **SHORT)
        assert json.loads((out / "song" / RECORD).read_text())["separator"]["seed"] == 1
    assert [p.name for p in out.iterdir()] == ["song"]


def test_what_is_found_out_on_closing_names_the_final_place(tmp_path, monkeypatch):
    write_song(tmp_path / "song.wav")
    monkeypatch.setattr(audio.Writer, "_readable", lambda writer: False)
    with pytest.raises(
        SepkitError,
        match=r"song.wav: \S*/out/song/other.wav: not all of its samples could be written",
    ):
        separate_file(tmp_path / "song.wav", Half(), tmp_path / "out", **SHORT)
    assert list((tmp_path / "out").iterdir()) == []


# --- what is in the files


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".ogg"])
def test_two_runs_make_the_same_bytes_and_tags_are_carried_over(tmp_path, suffix):
    tags = {
        "title": "Lied – 日本",
        "artist": "A",
        "album": "B",
        "date": "2001",
        "tracknumber": "7",
        "genre": "Folk",
    }
    write_song(tmp_path / "song.flac", rate=44100, tags=tags)
    for out in ("a", "b"):
        separate_file(tmp_path / "song.flac", Half(), tmp_path / out, suffix=suffix, **SHORT)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert read_tags(tmp_path / "a" / "song" / f"vocals{suffix}") == tags


def test_a_bit_depth_and_a_bit_rate_are_what_the_stems_have(tmp_path):
    x = write_song(tmp_path / "song.wav", rate=44100)
    deep = separate_file(tmp_path / "song.wav", Half(), tmp_path / "a", subtype="pcm_24", **SHORT)
    assert soundfile.info(deep["bass"]).subtype == "PCM_24"
    assert (audio.read(deep["bass"])[0] - 0.5 * x).abs().max() <= 2**-24
    separate_file(tmp_path / "song.wav", Half(), tmp_path / "b", suffix="mp3", bitrate=64, **SHORT)
    separate_file(tmp_path / "song.wav", Half(), tmp_path / "c", suffix="mp3", bitrate=320, **SHORT)
    small, large = ((tmp_path / out / "song" / "bass.mp3").stat().st_size for out in "bc")
    assert 4.5 < large / small < 5.5


@pytest.mark.skipif(os.name == "nt", reason="such names do not exist there")
@pytest.mark.parametrize(
    "name",
    [
        "100% %s {stem}",
        'it\'s "so"',
        "a\nb\tc",
        "trailing. .",
        "con",
        "-x",
        "a" * 251,
        "日本" * 41,
        "e\u0301",
        "\\back",
        os.fsdecode(b"\xff\xfe is no UTF-8"),
    ],
)
def test_odd_names_are_names(tmp_path, name):
    write_song(tmp_path / "in.wav")
    os.rename(tmp_path / "in.wav", tmp_path / f"{name}.wav")
    (path,) = find_recordings([tmp_path])
    (folder,) = output_folders([path], tmp_path / "out").values()
    written = separation.separate_file(path, Half(), tmp_path / "out", suffix="flac", **SHORT)
    assert folder.name == name and written["vocals"] == folder / "vocals.flac"
    assert [p.name for p in (tmp_path / "out").iterdir()] == [folder.name] and len(
        list(folder.iterdir())
    ) == 5
