"""Checkpoints of one GPU and nine minutes: the plan, its deadlines, and the whole of it, tiny."""

import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from sepkit import files, models
from sepkit.errors import SepkitError
from sepkit.reproduce import checkpoints_gpu as gpu
from sepkit.reproduce import checkpoints_plan as plan
from sepkit.training.presets import recipe_for

NAMES = {
    "open-unmix/vocals",
    "open-unmix/drums",
    "open-unmix/bass",
    "open-unmix/other",
    "bsrnn/vocals",
    "resunet-subbandtime/vocals",
    "wave-u-net/vocals",
}
TINY = {network.name: plan.tiny(network) for network in plan.NETWORKS}


def built(network):
    return models.build(
        network.model, target=network.target, **{**recipe_for(network.model)[1], **network.settings}
    )


def test_the_budgets_fit_into_nine_minutes_with_ten_seconds_for_the_start():
    assert sum(plan.BUDGET.values()) + 10 <= 9 * 60


def test_the_trainings_of_each_lane_fit_into_theirs_and_leave_time_for_steps():
    for lane in {network.lane for network in plan.NETWORKS}:
        own = [network for network in plan.NETWORKS if network.lane == lane]
        assert sum(network.seconds for network in own) <= plan.BUDGET["training"]
    for network in plan.NETWORKS:
        assert network.overhead(plan.SONGS["train"]) <= 0.6 * network.seconds, network.name


def test_a_run_writes_at_most_eight_files_one_of_them_the_manifest():
    assert {network.name for network in plan.NETWORKS} == NAMES
    assert len(NAMES) + 1 <= 8


@pytest.mark.parametrize("network", plan.NETWORKS, ids=lambda network: network.name)
def test_networks_are_several_times_the_students_size_and_their_files_small(network):
    model = built(network)
    student = models.build(network.model, target=network.target, **recipe_for(network.model)[1])
    assert weights(model) > (1.5 if network.target != "vocals" else 2) * weights(student)
    assert size(model) < 12e6


def test_all_files_together_have_at_most_forty_megabytes():
    assert sum(size(built(network)) for network in plan.NETWORKS) < 40e6


def weights(model):
    return sum(parameter.numel() for parameter in model.parameters())


def size(model):
    """Bytes in half precision: matrices have 16 bits, vectors their own."""
    return sum(
        value.numel() * (2 if value.ndim > 1 else value.element_size())
        for value in model.state_dict().values()
    )


@pytest.mark.parametrize("networks", [plan.NETWORKS, tuple(TINY.values())], ids=["full", "tiny"])
def test_recipes_are_ones_that_the_kit_knows(networks):
    for network in networks:
        recipe = recipe_for(network.model)[0].but(**{**plan.RECIPE, **network.recipe})
        assert (recipe.precision, recipe.schedule) == ("bf16-mixed", "cosine")


def test_without_time_nothing_is_begun_and_the_manifest_says_so(tmp_path):
    hours = iter(range(0, 3600 * 1000, 3600))
    run = gpu.Run(tmp_path / "out", tmp_path, "cpu", clock=lambda: next(hours))
    begun = time.monotonic()
    assert not run.all()
    assert time.monotonic() - begun < 10
    manifest = files.read_json(tmp_path / "out" / "manifest.json")
    assert manifest["complete"] is False
    assert {result["state"] for result in manifest["networks"].values()} == {gpu.NO_TIME}
    assert manifest["test scores (dB)"] == {}
    assert any("none was rendered" in error for error in manifest["errors"])


def test_a_process_that_outlasts_its_time_is_ended_with_all_that_it_began(tmp_path):
    mark = tmp_path / "begun"
    child = f"import time, pathlib; time.sleep(4); pathlib.Path({str(tmp_path / 'late')!r}).touch()"
    code = (
        "import subprocess, sys, pathlib, time;"
        f"subprocess.Popen([sys.executable, '-c', {child!r}]);"
        f"pathlib.Path({str(mark)!r}).touch(); time.sleep(60)"
    )
    run = gpu.Run(tmp_path, tmp_path, "cpu", clock=lambda: 1000.0 * mark.exists())
    state = run.run_python(["-c", code], 500.0, "log", at_once=True)
    assert state == "stopped at the deadline"
    time.sleep(5)
    assert not (tmp_path / "late").exists()


def test_a_failed_process_is_told_by_its_last_line_without_the_folder(tmp_path):
    run = gpu.Run(tmp_path, tmp_path, "cpu")
    code = f"import sys; print('first', file=sys.stderr); sys.exit('{tmp_path}/song.wav: damaged')"
    assert run.run_python(["-c", code], run.ends["songs"], "log") == "failed: song.wav: damaged"


def test_a_stored_network_of_other_settings_or_weights_is_refused(tmp_path):
    model = models.build("wave-u-net", target="vocals", levels=2, filters=2, output="direct")
    path = models.save(tmp_path / "vocals.safetensors", model, half=True)
    gpu.check_stored(path, model, {"levels": 2})
    with pytest.raises(SepkitError, match="levels=2, not 3"):
        gpu.check_stored(path, model, {"levels": 3})
    with torch.no_grad():
        next(model.parameters()).add_(0.1)
    with pytest.raises(SepkitError, match="is not what was trained"):
        gpu.check_stored(path, model, {})


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_refused_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["checkpoints_gpu", "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert said.count("\n") == 1 and "--device cpu" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_dry_run_leaves_networks_that_load_and_a_manifest_that_tells_all(tmp_path):
    words = ["--tiny", "--device", "cpu", "--out", str(tmp_path / "out")]
    subprocess.run(
        [sys.executable, "-m", "sepkit.reproduce.checkpoints_gpu", *words], check=True, timeout=400
    )
    out = tmp_path / "out"
    stored = sorted(path for path in out.rglob("*") if path.is_file())
    assert len(stored) <= 8 and all(path.stat().st_size <= 16e6 for path in stored)
    text = (out / "manifest.json").read_text()
    manifest = json.loads(text)
    assert manifest["complete"] is True and "errors" not in manifest
    assert str(tmp_path) not in text and "/tmp" not in text
    assert set(manifest["networks"]) == NAMES
    assert {"commit", "command", "date", "machine"} <= manifest["provenance"].keys()
    assert manifest["data"]["train"]["settings"]["version"] >= 1
    for name, result in manifest["networks"].items():
        path = out / f"{name}.safetensors"
        assert (result["state"], result["good"], result["step"]) == ("finished", True, 2)
        assert result["file"] == {"bytes": path.stat().st_size, "sha256": files.sha256(path)}
        assert result["learning curve"][0].startswith("epoch,step,train_loss,valid_loss")
        network = models.load(path)  # strictly by names
        assert all(network.settings[k] == v for k, v in TINY[name].settings.items())
        scores = manifest["test scores (dB)"][name]
        assert scores["songs"] == 1
        assert all(-200 < scores[metric] < 200 for metric in gpu.METRICS)


@pytest.mark.slow
def test_a_failure_stops_no_other_network_and_a_late_one_is_kept_as_it_stands(tmp_path):
    endless = replace(TINY["wave-u-net/vocals"], recipe={"batch": 2, "samples_per_track": 2})
    broken = replace(TINY["open-unmix/vocals"], settings={"hidden": -1})
    first = tmp_path / "runs" / "wave-u-net" / "vocals" / "vocals.safetensors"
    run = gpu.Run(
        tmp_path / "out",
        tmp_path,
        "cpu",
        (broken, TINY["open-unmix/drums"], endless),
        {**plan.TINY_SONGS, "seconds": 4},
        clock=lambda: time.monotonic() + 1000 * (first.exists() and ready()),
    )

    def ready():
        return run.results["open-unmix/drums"]["state"] == "finished"

    assert not run.all()
    results = files.read_json(tmp_path / "out" / "manifest.json")["networks"]
    assert results["open-unmix/vocals"]["state"].startswith("failed: ")
    assert "hidden" in results["open-unmix/vocals"]["state"]
    assert results["open-unmix/drums"]["good"]
    assert results["wave-u-net/vocals"]["state"] == "stopped at the deadline"
    assert results["wave-u-net/vocals"]["good"]
    assert models.load(tmp_path / "out" / "wave-u-net" / "vocals.safetensors").targets == (
        "vocals",
    )
    assert not (tmp_path / "out" / "open-unmix" / "vocals.safetensors").exists()
