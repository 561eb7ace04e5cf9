"""Fine-tuning: a run that begins with the weights of a checkpoint."""

import json
import signal

import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.models import load, read_header, save
from sepkit.training import train

from .tools import (
    FULL,
    QUICK,
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


@pytest.fixture
def start(tmp_path):
    """A checkpoint of an Open-Unmix, whose input statistics are part of it, trained a little."""
    return run(tmp_path / "start", QUICK.but(epochs=2))


def other_songs():
    return songs(3, seed=7)


def test_the_first_validation_is_the_checkpoints_and_its_weights_are_kept_bit_for_bit(
    tmp_path, start
):
    """Before any step. With the songs that validated it, the loss is the same too."""
    with pytest.raises(Stopped):
        run(tmp_path / "run", QUICK, stop_after(1, crash), other_songs(), init=start)
    first = rows(tmp_path / "run")[0]
    assert first[:2] == ("0", "0") and first[2] == "nan"
    assert float(first[3]) == read_header(start)["extra"]["valid_loss"]
    ours, theirs = weights(tmp_path / "run" / "vocals.safetensors"), weights(start)
    assert all(torch.equal(ours[key], value) for key, value in theirs.items())


def test_the_first_step_is_taken_from_its_weights_with_a_fresh_optimiser(tmp_path, start):
    seen = {}

    def look():
        seen.update({key: value.clone() for key, value in model.state_dict().items()})

    model = stop_after(1, look)
    run(tmp_path / "run", QUICK.but(epochs=1), model, other_songs(), init=start)
    parameters = dict(model.named_parameters())
    assert all(
        torch.equal(seen[key], value) for key, value in weights(start).items() if key in parameters
    )
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["optimiser"]["state"]
    assert {int(part["step"]) for part in state.values()} == {3}  # of this run alone
    assert any(not torch.equal(value, seen[key]) for key, value in parameters.items())


def test_what_is_kept_is_never_worse_than_the_start(tmp_path, start):
    best = run(tmp_path / "run", QUICK.but(lr=0.5, epochs=2), tracks=other_songs(), init=start)
    losses = [float(row[3]) for row in rows(tmp_path / "run")]
    assert read_header(best)["extra"]["valid_loss"] == min(losses) <= losses[0]


def test_the_run_records_what_it_began_with(tmp_path, start):
    best = run(tmp_path / "run", QUICK.but(epochs=1), init=start)
    about = json.loads((tmp_path / "run" / "run.json").read_text())["init"]
    assert about == read_header(best)["extra"]["init"]
    assert about["checkpoint"] == str(start) and len(about["sha256"]) == 64
    copy = save(
        tmp_path / "copy.safetensors", load(start), {"name": "another file, the same weights"}
    )
    run(tmp_path / "run", QUICK.but(epochs=2), init=copy)
    assert [row[0] for row in rows(tmp_path / "run")] == ["0", "1", "2"]


@pytest.mark.parametrize("step", [2, 5])
def test_interrupted_and_resumed_it_is_the_same_run_bit_for_bit(tmp_path, start, step):
    run(tmp_path / "whole", FULL, tracks=other_songs(), init=start)
    stopping = stop_after(step, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", FULL, stopping, other_songs(), init=start)
    run(tmp_path / "broken", FULL, tracks=other_songs(), init=start)
    assert rows(tmp_path / "whole")[0][0] == "0"
    assert_same_run(tmp_path / "broken", tmp_path / "whole")


def test_resuming_with_another_start_is_refused(tmp_path, start):
    other = run(tmp_path / "other", QUICK.but(epochs=1, seed=1))
    run(tmp_path / "run", QUICK.but(epochs=1), init=start)
    before = (tmp_path / "run" / "last.pt").read_bytes()
    for init, given, remedy in (
        (other, f"--init {other}", "choose another folder"),
        (None, "no --init", "give the same --init to resume it"),
    ):
        message = f"began with {start} .*, and {given}.* was given; {remedy}"
        with pytest.raises(SepkitError, match=message):
            run(tmp_path / "run", QUICK, init=init)
    with pytest.raises(
        SepkitError,
        match="began with random weights, and --init .*; choose .* or leave --init out to resume",
    ):
        run(tmp_path / "start", QUICK, init=other)
    assert (tmp_path / "run" / "last.pt").read_bytes() == before


@pytest.mark.parametrize(
    "model, message",
    [
        (lambda: bands(), "holds open-unmix, not bsrnn; choose that model, or another checkpoint"),
        (
            lambda: tiny(hidden=16),
            "has hidden=8, but the network to train hidden=16; build it with the same settings",
        ),
        (lambda: tiny(hop=64), "has hop=128, but the network to train hop=64"),
        (
            lambda: tiny(bandwidth=2000),
            "has bandwidth=4000, but the network to train bandwidth=2000",
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_named_before_anything_is_written(
    tmp_path, start, model, message
):
    with pytest.raises(SepkitError, match=message) as error:
        run(tmp_path / "run", QUICK, model(), init=start)
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_settings_of_the_training_and_the_target_may_differ(tmp_path, start):
    tracks = songs(3, seed=3)
    model, recipe = tiny(target="other", dropout=0.3, loss="l1"), QUICK.but(epochs=1)
    valid, out = songs(1, seed=4), tmp_path / "run"
    train(model, tracks, valid, out, recipe, "cpu", progress=False, init=start)
    assert [row[0] for row in rows(tmp_path / "run")] == ["0", "1"]


def test_a_folder_gives_the_file_of_the_target(tmp_path, start):
    run(tmp_path / "run", QUICK.but(epochs=1), init=start.parent)
    with pytest.raises(SepkitError, match="has no network for other; choose one of vocals"):
        run(tmp_path / "other", QUICK, tiny(target="other"), init=start.parent)


def test_sepkit_train_takes_model_and_settings_from_the_checkpoint(tmp_path, start):
    data = folder_of_songs(tmp_path / "songs")
    quick = (
        "--data",
        data,
        "--device",
        "cpu",
        "--max-steps",
        2,
        "--batch",
        2,
        "--chunk-seconds",
        0.5,
        "--init",
        start,
    )
    done = sepkit("train", "--out", tmp_path / "run", *quick)
    assert done.exit_code == 0 and done.stdout == f"{tmp_path / 'run' / 'vocals.safetensors'}\n", (
        done.stderr
    )
    header = read_header(tmp_path / "run" / "vocals.safetensors")
    assert header["settings"]["hidden"] == 8 and header["extra"]["init"]["checkpoint"] == str(start)
    kept = header["extra"]["epoch"] == 0
    assert (f"no epoch was better than {start}; " in done.stderr) is kept
    other = sepkit("train", "--out", tmp_path / "b", *quick, "--setting", "hidden=16")
    assert (
        other.exit_code == 1
        and other.stderr.count("\n") == 1
        and "has hidden=8, but the network to train hidden=16" in other.stderr
    )
    model = sepkit("train", "--out", tmp_path / "b", *quick, "--model", "bsrnn")
    assert (
        model.exit_code == 1
        and model.stderr.count("\n") == 1
        and "holds open-unmix, not bsrnn" in model.stderr
    )
    missing = sepkit("train", "--out", tmp_path / "b", *quick[:-1], tmp_path / "none.safetensors")
    assert (
        missing.exit_code == 1
        and missing.stderr.count("\n") == 1
        and "none.safetensors" in missing.stderr
    )
    again = sepkit(*command(data, tmp_path / "run", "--max-steps", 2))
    assert again.exit_code == 1 and again.stderr.count("\n") == 1
    assert not (tmp_path / "b").exists()
