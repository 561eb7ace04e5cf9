"""The rehearsal of long runs: what is cut and what is not, its songs, its weights, and chapters."""

import json

import pytest
import torch

from sepkit import audio, models
from sepkit.datasets import open_tracks
from sepkit.datasets.musdb18 import ffmpeg_missing
from sepkit.errors import SepkitError
from sepkit.files import read_json
from sepkit.models.published_files import read_weights
from sepkit.reproduce import rehearsal, rehearsal_cuts, rehearsal_songs, rehearsal_weights
from sepkit.reproduce.notebook import find_chapters
from sepkit.stems import STEMS
from sepkit.training import Recipe

# ---- what is cut


@pytest.mark.parametrize(
    ("smoke", "paper", "taken"),
    [
        (2, None, 2),  # all songs
        (1.0, 3600.0, 1.0),
        (1.0, 6.0, 6.0),  # the length of an example
        (0, 5, 1),  # turns of what a smoke run leaves out
        ((0, 1), (0, 1, 2, 4, 8), (0, 1)),
        (("irm1",), ("ibm", "irm1", "psm"), ("ibm", "irm1", "psm")),
        ("student", "paper", "paper"),
        ("smoke", "student", "smoke"),  # a size of the band
        (dict(hidden=32), {}, {}),  # the network of the paper
        (
            dict(batches=(4,), model="a"),
            dict(batches=(16, 1), model="b"),
            dict(batches=(4,), model="b"),
        ),
    ],
)
def test_amounts_are_those_of_a_smoke_run_and_all_else_the_papers(smoke, paper, taken):
    assert rehearsal_cuts.pick(None, smoke, "not asked", paper) == taken


def test_a_recipe_keeps_everything_but_its_length():
    seen = []
    train = rehearsal_cuts.briefly(lambda *given, **named: seen.append((given, named)))
    full = Recipe(batch=16, chunk_seconds=6.0, lr=1e-3, epochs=100)
    train("net", [1, 2, 3], [4, 5, 6], "out", full, "cpu", progress=False)
    ((_, songs, valid, _, cut, device), named) = seen[0]
    assert (songs, valid, device, named) == ([1, 2, 3], [4, 5], "cpu", {"progress": False})
    assert cut == full.but(batch=2, max_steps=2, samples_per_track=1)


def test_only_networks_that_take_all_memory_are_smaller_and_by_what_is_not_given():
    build = rehearsal_cuts.smaller(lambda name, **settings: (name, settings))
    assert build("open-unmix", hidden=8) == ("open-unmix", {"hidden": 8})
    assert build("conv-tasnet", layers=3) == ("conv-tasnet", {"stacks": 1, "layers": 3})
    for name, settings in rehearsal_cuts.SMALLER.items():
        made = models.build(name, **settings).settings
        assert {part: made[part] for part in settings} == settings


def test_a_network_is_run_twice_on_audio_of_each_length_and_then_repeats_itself():
    """With the audio it was given, where it knows that; nobody can change what it remembers."""
    ran = []

    def runner(net, method, factor=1.0):
        def run(x):
            ran.append((net, x.shape[-1]))
            return {"vocals": factor * x} if method == "forward" else factor * x

        return run

    one, two, three = (torch.full((1, 2, 5), float(k)) for k in (1, 2, 3))
    short = torch.full((1, 2, 3), 4.0)
    run = rehearsal_cuts.seldom(runner)("net", "forward", factor=2.0)
    for x, taken in ((one, one), (two, two), (one, one), (three, two), (short, short)):
        found = run(x)
        assert found.keys() == {"vocals"} and torch.equal(found["vocals"], 2 * taken)
        found["vocals"].zero_()
    assert ran == [("net", 5), ("net", 5), ("net", 3)]
    other = rehearsal_cuts.seldom(runner)("other", "magnitude")
    assert torch.equal(other(three), three) and ran[3:] == [("other", 5)]


def test_of_a_data_set_all_songs_are_opened_and_the_first_of_each_split_used():
    """By `Run.tracks`, and by `open_tracks` of an experiment, which also names a data root."""
    opened = []

    def tracks(where, split, *more, **options):
        opened.append((where, split, more, options))
        return list(range(50))

    few = rehearsal_cuts.few(tracks)
    assert few("run") == [0, 1] and few("data", "train", "root", channels=1) == [*range(6)]
    assert opened == [("run", "test", (), {}), ("data", "train", ("root",), {"channels": 1})]


def test_the_band_stands_for_musdb18hq_and_other_data_are_refused():
    assert rehearsal.rehearsed(["band", "musdb7s"]) == ["musdb18hq", "musdb7s"]
    with pytest.raises(SepkitError, match="unknown data set to rehearse with 'librimix'"):
        rehearsal.rehearsed(["librimix"])


# ---- its songs


@pytest.fixture
def band(tmp_path):
    """Four songs to train on and two to test with, a third of a second of noise each."""
    for split, count in (("train", 4), ("test", 2)):
        for number in range(count):
            draw = torch.Generator().manual_seed(number + 10 * count)
            folder = tmp_path / "band" / split / f"{number}"
            parts = {s: 0.05 * torch.randn(2, 15000, generator=draw) for s in STEMS}
            folder.mkdir(parents=True)
            for stem, part in {"mixture": sum(parts.values()), **parts}.items():
                audio.write(folder / f"{stem}.wav", part, 44100, subtype="PCM_16")
    return tmp_path / "band"


@pytest.mark.parametrize(
    "data",
    [
        "musdb18hq",
        pytest.param(
            "musdb18", marks=pytest.mark.skipif(ffmpeg_missing() is not None, reason="no ffmpeg")
        ),
    ],
)
def test_150_songs_of_the_right_split_have_the_sound_of_six(band, tmp_path, data):
    folder = rehearsal_songs.make(data, tmp_path / "root", band)
    counts = {split: len(open_tracks(folder, split)) for split in ("train", "valid", "test")}
    assert counts == {"train": 86, "valid": 14, "test": 50}
    track = open_tracks(folder, "test")[3]
    original = audio.read(band / "test" / "1" / "bass.wav")[0]
    close = track.stem("bass")[:, : original.shape[-1]] - original
    assert close.square().sum() < 0.5 * original.square().sum()  # AAC
    assert data != "musdb18hq" or not close.any()


@pytest.mark.skipif(ffmpeg_missing() is not None, reason="no ffmpeg")
def test_two_data_sets_of_one_encoding_stand_beside_each_other(band, tmp_path):
    root = tmp_path / "root"
    folders = [rehearsal_songs.make(data, root, band) for data in ("musdb18", "musdb7s")]
    songs = [open_tracks(folder, "test")[0].mixture() for folder in folders]
    assert songs[0].any() and torch.equal(*songs)


# ---- its weights

#: Of BSRNN no weights are taken over, only their shapes: see tests/models/test_bsrnn.py.
SMALL = {
    "open-unmix": dict(hidden=8, layers=1),
    "resunet-subbandtime": dict(widths=[4] * 6),
    "hybrid-demucs": dict(width=4),
    "conv-tasnet": dict(filters=8, width=8, hidden=8, layers=2, stacks=1, as_published=True),
}


@pytest.mark.parametrize("model", SMALL)
def test_weights_in_the_authors_layout_come_back_through_their_reader(model, tmp_path):
    net, other = (models.build(model, target="vocals", **SMALL[model]) for _ in range(2))
    torch.save(rehearsal_weights.LAYOUTS[model](net), tmp_path / "file.pth")
    state = read_weights(tmp_path / "file.pth")
    assert set(state) != set(net.state_dict())  # it is another layout
    other.load_published(state)
    for name, value in net.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


def test_a_network_whose_layout_is_not_known_is_named():
    with pytest.raises(SepkitError, match="wave-u-net: the rehearsal cannot write"):
        rehearsal_weights.published({"model": "wave-u-net", "settings": {}}, "vocals", {})


def test_the_list_has_addresses_sizes_and_hashes_of_the_stand_ins(tmp_path, monkeypatch):
    file = {"url": "https://far.away/x.pth", "mirror": "m", "size": 5, "sha256": "0" * 8}
    entry = {"model": "open-unmix", "settings": SMALL["open-unmix"], "files": {"vocals": file}}
    other = {"files": {"bass": {"url": "https://far.away/y.pth", "mirror": "m", "size": 7}}}
    monkeypatch.setattr(rehearsal_weights, "manifest", lambda: {"one": entry, "two": other})
    listed = read_json(rehearsal_weights.make(tmp_path, "http://here", ["one"]))
    found, path = listed["one"]["files"]["vocals"], tmp_path / "one" / "x.pth"
    assert (found["url"], found["mirror"]) == ("http://here/one/x.pth", None)
    assert found["size"] == path.stat().st_size and len(found["sha256"]) == 8
    absent = {"url": "http://here/absent/y.pth", "mirror": None, "size": 7}
    assert listed["two"]["files"]["bass"] == absent and not (tmp_path / "two").exists()


def test_weights_are_made_for_all_that_chapters_are_said_to_need():
    sets = rehearsal_weights.needed(find_chapters())
    models = {rehearsal_weights.manifest()[name]["model"] for name in sets}
    assert {"umxhq", "hdemucs-musdb"} < set(sets) and models <= set(rehearsal_weights.LAYOUTS)
    assert rehearsal_weights.needed(find_chapters(["01", "12"])) == []


# ---- chapters


def rehearse(chapters, data, out):
    """Chapters that reach their end, and of which no number is left."""
    if data != "musdb18hq" and ffmpeg_missing():
        pytest.skip("ffmpeg is not installed")
    failed = rehearsal.run(chapters, [data], out, "cpu", workers=1)
    assert failed == []
    assert not (out / "results").exists() and not (out / "manifest.json").exists()
    assert not list(out.rglob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chapters", "data"),
    [
        (["04"], "musdb18hq"),
        (["02"], "musdb18"),
        pytest.param(["01"], "musdb18hq", marks=pytest.mark.long),
        pytest.param(["12"], "musdb7s", marks=pytest.mark.long),
    ],
)
def test_some_chapters_run_on_stand_ins_and_leave_nothing(tmp_path, chapters, data):
    rehearse(chapters, data, tmp_path)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("data", rehearsal_songs.DATA)
def test_all_chapters_run_on_every_stand_in(tmp_path, data):
    rehearse([], data, tmp_path)


@pytest.mark.slow
def test_a_chapter_that_fails_is_kept_and_told(tmp_path, monkeypatch, band):
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    names = {name: "" for name in ("profile", "weights", "data", "device", "seed", "out_dir")}
    first = new_code_cell(
        "\n".join(f"{name} = {value!r}" for name, value in names.items()),
        metadata={"tags": ["parameters"]},
    )
    steps = (
        "print(profile, weights, data, training.train.__qualname__)\nraise ValueError('no luck')"
    )
    (tmp_path / "notebooks").mkdir()
    nbformat.write(
        new_notebook(cells=[first, new_code_cell("from sepkit import training\n" + steps)]),
        tmp_path / "notebooks" / "01_one.ipynb",
    )
    monkeypatch.setattr(rehearsal.band, "ensure", lambda preset: band)
    (line,) = rehearsal.run(out=tmp_path / "out", device="cpu", notebooks=tmp_path / "notebooks")
    kept = tmp_path / "out" / "rehearsal" / "executed" / "01_one.failed.ipynb"
    assert line.startswith("01_one: cell ") and "no luck" in line and line.endswith(str(kept))
    outputs = json.dumps(read_json(kept))
    assert "paper published musdb18hq briefly" in outputs
