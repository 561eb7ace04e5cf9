"""What goes wrong while a network trains: it is named in one line, and nothing good is lost."""

import functools
import sys
import types
import warnings

import pytest
import torch

from sepkit.datasets import Track
from sepkit.errors import Notice, SepkitError
from sepkit.models.open_unmix import OpenUnmix
from sepkit.training.songs import WatchedTrack

from .tools import (
    QUICK,
    Broken,
    Known,
    Stopped,
    assert_same_run,
    bands,
    command,
    crash,
    folder_of_songs,
    rows,
    run,
    sepkit,
    songs,
    stop_after,
    tiny,
    weights,
)


@pytest.mark.parametrize("where", ["loss", "weights"])
def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_state(tmp_path, where):
    run(tmp_path, QUICK.but(epochs=1))
    good, before = weights(tmp_path / "vocals.safetensors"), (tmp_path / "last.pt").read_bytes()
    model = tiny()

    def spoil():
        model.fc1.weight.data[0, 0] = float("nan")

    spoiler = stop_after(2, spoil) if where == "loss" else stop_after(2, lambda: None)
    if where == "loss":
        spoiler.fc1.register_forward_hook(
            lambda module, inputs, output: output * float("nan") if spoiler.training else output
        )
    else:
        spoiler.fc2.weight.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(
        SepkitError,
        match="training failed in epoch 2, step .*: loss or weights are NaN.*smaller lr than 0.01",
    ) as error:
        run(tmp_path, QUICK.but(save_minutes=0), spoiler)
    assert "\n" not in str(error.value)
    assert (tmp_path / "last.pt").read_bytes() == before
    assert all(
        torch.equal(value, good[key])
        for key, value in weights(tmp_path / "vocals.safetensors").items()
    )


def test_a_full_disk_keeps_the_state_before(tmp_path, monkeypatch):
    run(tmp_path, QUICK.but(epochs=1))
    before = (tmp_path / "last.pt").read_bytes()

    def full(saved, path):
        path.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file data/1: file write failed")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(SepkitError, match="last.pt: cannot be written .*is the disk full"):
        run(tmp_path)
    assert (tmp_path / "last.pt").read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


# --- songs that cannot be read --------------------------------------------------------------------


def with_broken(good=0, count=3):
    """Songs of which the second cannot be read from sample `good` on."""
    tracks = songs(count)
    return [tracks[0], Broken(tracks[1], good), *tracks[2:]]


def train_noting(out, recipe, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(out, recipe, **options)
    return [str(warning.message) for warning in caught if issubclass(warning.category, Notice)]


@pytest.mark.parametrize("cache", [None, "memory"])
def test_a_song_that_cannot_be_read_is_named_once_and_the_run_is_that_of_the_others(
    tmp_path, cache
):
    recipe, first, third = QUICK.but(cache=cache), *songs(3)[::2]
    notes = train_noting(tmp_path / "with", recipe, tracks=with_broken())
    assert (
        len(notes) == 1 and notes[0].startswith("song-0-1: ") and "Input/output error" in notes[0]
    )
    assert notes[0].endswith("this song is left out from now on")
    run(tmp_path / "without", recipe, tracks=[first, third])
    assert rows(tmp_path / "with") == rows(tmp_path / "without")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_song_that_turns_out_broken_amid_an_epoch_leaves_the_run_repeatable(tmp_path, workers):
    """Found by the first chunk from its end, as the seed has it; a crash later changes nothing."""
    recipe = QUICK.but(save_minutes=0, batch=2, samples_per_track=8)
    notes = train_noting(tmp_path / "whole", recipe, tracks=with_broken(good=9000), model=bands())
    assert len(notes) == 1 and "song-0-1" in notes[0]
    first_epoch = int(rows(tmp_path / "whole")[0][1])
    assert 8 <= first_epoch <= 12  # of 12 batches with the song and 8 without it
    for step in (2, 11):
        with pytest.raises(Stopped):
            train_noting(
                tmp_path / f"{step}",
                recipe,
                tracks=with_broken(good=9000),
                model=stop_after(step, crash, bands()),
            )
        train_noting(
            tmp_path / f"{step}",
            recipe.but(workers=workers),
            tracks=with_broken(good=9000),
            model=bands(),
        )
        assert_same_run(tmp_path / f"{step}", tmp_path / "whole")
    assert torch.load(tmp_path / "11" / "last.pt", weights_only=True)["state"]["left_out"] == {
        "train": [1],
        "valid": [],
    }


def test_a_broken_validation_song_is_left_out_too(tmp_path):
    valid = songs(3, seed=1)
    notes = train_noting(tmp_path / "with", QUICK, valid=[valid[0], Broken(valid[1]), valid[2]])
    assert len(notes) == 1 and "song-1-1" in notes[0]
    run(tmp_path / "without", QUICK, valid=valid[::2])
    assert rows(tmp_path / "with") == rows(tmp_path / "without")


@pytest.mark.parametrize("workers", [0, 1])
def test_strict_stops_at_a_broken_song(tmp_path, workers):
    with pytest.raises(SepkitError, match="song-0-1: .*Input/output error") as error:
        run(
            tmp_path,
            QUICK.but(strict=True, workers=workers),
            tracks=with_broken(good=9000),
            model=bands(),
        )
    assert "\n" not in str(error.value) and not (tmp_path / "last.pt").exists()


def test_a_watched_song_may_learn_its_length_later():
    class Late(Track):
        def __init__(self):
            self.name, self.stems, self.file_rate, self.sample_rate, self.channels = (
                "late",
                ("vocals",),
                8000,
                8000,
                1,
            )

        samples = functools.cached_property(lambda self: 1234)

    assert WatchedTrack(Late(), 0).samples == 1234


def test_when_no_song_is_left_the_last_one_is_named(tmp_path):
    with (
        pytest.raises(
            SepkitError, match="no train song is left that can be read; the last: song-0-2"
        ),
        pytest.warns(Notice),
    ):
        run(tmp_path, QUICK, tracks=[Broken(track) for track in songs(3)])


def test_sepkit_train_leaves_out_a_broken_file_or_stops_with_strict(tmp_path, spoil):
    """A file that is no audio at all, in a folder of good ones."""
    data, out = folder_of_songs(tmp_path / "songs"), tmp_path / "run"
    bad = data / "train" / "song-0-1" / "vocals.wav"
    bad.unlink()
    spoil("text", bad)
    quick = ("--max-steps", 2, "--batch", 2)
    done = sepkit(*command(data, out, *quick))
    assert done.exit_code == 0 and done.stdout == f"{out / 'vocals.safetensors'}\n", done.stderr
    told = [line for line in done.stderr.splitlines() if "no better than silence yet" not in line]
    assert len(told) == 1 and str(bad) in told[0] and "this song is left out" in told[0]
    stopped = sepkit(*command(data, tmp_path / "strict", *quick, "--strict"))
    assert stopped.exit_code == 1 and stopped.stderr.count("\n") == 1 and str(bad) in stopped.stderr


# --- what the machine lacks -----------------------------------------------------------------------


def hungry(limit, error=torch.OutOfMemoryError, validation=False):
    """A model for which more than so many examples are too much."""
    model = Known(lambda target: target.abs().mean((1, 2)))
    plain = model.loss

    def loss(self, mixture, target):
        if len(mixture) > limit or (validation and not self.training):
            raise error("CUDA out of memory. Tried to allocate 20.00 GiB")
        return plain(mixture, target)

    model.loss = types.MethodType(loss, model)
    return model


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
@pytest.mark.parametrize(
    "recipe, limit, message",
    [
        (
            QUICK.but(batch=12),
            6,
            "12 examples of 0.5 s at once do not fit on cpu, 6 do; use batch=6 and accumulate=2 "
            "for the same steps",
        ),
        (
            QUICK.but(batch=12),
            5,
            r"4 do; use batch=4 and accumulate=3 for the same steps \(--batch 4 --accumulate 3\)",
        ),
        (QUICK.but(batch=4, accumulate=3), 1, "4 examples .* 1 do; use batch=1 and accumulate=12"),
        (
            QUICK.but(batch=4),
            0,
            "nor does a smaller batch; use shorter examples .chunk_seconds., a smaller network",
        ),
    ],
)
def test_too_little_memory_says_which_batch_fits(tmp_path, recipe, limit, message, error):
    with pytest.raises(SepkitError, match=message) as raised:
        run(tmp_path, recipe, hungry(limit, error))
    assert str(raised.value).startswith("out of memory") and "\n" not in str(raised.value)


def test_other_errors_are_not_taken_for_a_lack_of_memory(tmp_path):
    def other():
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        run(tmp_path, model=stop_after(2, other))


def test_a_song_too_long_to_be_validated_is_named(tmp_path):
    with pytest.raises(SepkitError, match="song-1-0: out of memory: 2 s at once do not fit on cpu"):
        run(tmp_path, model=hungry(99, validation=True))


def test_sepkit_train_says_which_batch_fits(tmp_path, monkeypatch):
    plain = OpenUnmix.loss

    def loss(self, mixture, target):
        if len(mixture) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(self, mixture, target)

    monkeypatch.setattr(OpenUnmix, "loss", loss)
    said = sepkit(*command(folder_of_songs(tmp_path / "songs"), tmp_path / "run"))
    assert said.exit_code == 1 and said.stdout == "" and said.stderr.count("\n") == 1
    assert (
        "1 do; use batch=1 and accumulate=4 for the same steps (--batch 1 --accumulate 4)"
        in said.stderr
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_sepkit_train_without_the_gpu_that_was_asked_for(tmp_path):
    said = sepkit("train", "--data", tmp_path, "--device", "cuda")
    assert said.exit_code == 1 and said.stderr.count("\n") == 1
    assert (
        "device 'cuda': this machine has none that torch can use; use --device cpu or auto"
        in said.stderr
    )


class Board:
    """Stands in for TensorBoard's writer."""

    def __init__(self, folder, purge_step):
        self.folder, self.purge_step, self.points = folder, purge_step, []
        Board.last = self

    def add_scalar(self, name, value, step):
        self.points.append((name, value, step))

    def flush(self):
        self.flushed = list(self.points)

    def close(self):
        self.closed = True


def test_tensorboard_gets_every_epoch_and_a_resumed_run_goes_on_after_its_step(
    tmp_path, monkeypatch
):
    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Board
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr("sepkit.training.log.find_spec", lambda name: object())
    run(tmp_path, QUICK.but(epochs=1, log=("csv", "tensorboard")))
    assert Board.last.purge_step == 1 and str(Board.last.folder) == str(tmp_path / "tensorboard")
    run(tmp_path, QUICK.but(epochs=2, log=("csv", "tensorboard")))
    epoch, step, train_loss, valid_loss, lr = rows(tmp_path)[1]
    wanted = [
        ("train_loss", float(train_loss), 6),
        ("valid_loss", float(valid_loss), 6),
        ("lr", float(lr), 6),
    ]
    assert Board.last.purge_step == 4 and Board.last.flushed == wanted and Board.last.closed


def test_tensorboard_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr("sepkit.training.log.find_spec", lambda name: None)
    with pytest.raises(
        SepkitError, match="TensorBoard is not installed; run: pip install tensorboard"
    ):
        run(tmp_path / "run", QUICK.but(log="tensorboard"))
    assert not (tmp_path / "run").exists()
