"""What only a GPU can tell: the order of the parts, goals, and the whole of it, tiny, on a CPU."""

import json
import subprocess
import sys

import pytest
import torch

from sepkit import files, models
from sepkit.errors import SepkitError
from sepkit.reproduce import check_gpu
from sepkit.reproduce.check_gpu_parts import PARTS, Machine, agreement


@pytest.fixture
def machine(tmp_path):
    return Machine(torch.device("cpu"), True, tmp_path)


def broken(machine):
    raise SepkitError("the device is out; plug it in")


def test_a_part_that_fails_is_named_and_stops_no_other(machine, tmp_path):
    parts = {"first": broken, "loader": lambda machine: {"busy": 0.95}}
    report = check_gpu.check(machine, tmp_path / "out.json", "abc", parts=parts)
    assert report == files.read_json(tmp_path / "out.json")
    assert report["parts"]["first"]["state"] == "failed: the device is out; plug it in"
    assert report["parts"]["loader"]["state"] == "done" and not report["complete"]
    assert report["provenance"]["commit"] == "abc" and report["provenance"]["torch"]
    met = {goal["part"]: goal["met"] for goal in report["goals"]}
    assert met == {"training steps": None, "loader": True, "epoch": None, "BSSEval": None}


def test_a_missed_goal_is_told(machine, tmp_path):
    parts = {"loader": lambda machine: {"busy": 0.89}, "BSSEval": lambda machine: {}}
    report = check_gpu.check(machine, tmp_path / "out.json", parts=parts)
    (goal,) = (goal for goal in report["goals"] if goal["part"] == "loader")
    assert (goal["goal"], goal["here"], goal["met"]) == ("at least 0.9", 0.89, False)
    assert report["complete"]  # it has been measured


def test_parts_for_which_no_time_is_left_are_not_begun(machine, tmp_path):
    now = [0.0]

    def slow(machine):
        now[0] += check_gpu.BUDGET
        return {"late": machine.late()}

    parts = {"slow": slow, "next": broken}
    report = check_gpu.check(machine, tmp_path / "out.json", clock=lambda: now[0], parts=parts)
    assert report["parts"]["slow"]["late"] is True
    assert report["parts"]["next"] == {"state": check_gpu.NO_TIME} and not report["complete"]


def test_goals_are_of_parts_that_exist():
    assert {part for part, *_ in check_gpu.GOALS} <= set(PARTS)


def test_agreement_is_the_energy_over_that_of_the_difference():
    x = torch.ones(100)
    assert agreement(x, 1.01 * x) == pytest.approx(40)
    assert agreement(x, x) == 300


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_refused_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["check_gpu", "--out", str(tmp_path / "out.json")])
    with pytest.raises(SystemExit) as ended:
        check_gpu.main()
    said = capsys.readouterr().err
    assert ended.value.code == 1 and said.count("\n") == 1 and "--device cpu" in said
    assert not (tmp_path / "out.json").exists()


@pytest.mark.slow
def test_the_dry_run_does_every_part(tmp_path):
    out = tmp_path / "out.json"
    words = ["--tiny", "--device", "cpu", "--out", str(out)]
    subprocess.run(
        [sys.executable, "-m", "sepkit.reproduce.check_gpu", *words], check=True, timeout=400
    )
    text = out.read_text()
    report = json.loads(text)
    assert report["complete"] and report["tiny"] and report["device"] == "cpu"
    assert "/tmp" not in text and str(tmp_path) not in text
    parts = report["parts"]
    assert set(parts) == set(PARTS)
    assert set(parts["networks"]["networks"]) == set(models.MODELS)
    same = "float32 against the CPU (dB)"
    assert all(row[same] > 100 for row in parts["networks"]["networks"].values())
    assert 20 < parts["networks"]["networks"]["bsrnn"]["bfloat16 against float32 (dB)"] < 100
    assert parts["BSSEval"]["largest difference (dB)"] == 0
    assert (
        parts["processes"]["sum of ones"] == 1 and parts["processes"]["gradients alike (dB)"] > 100
    )
    scores = parts["scores"]["SDR (dB)"]["open-unmix-student"]
    assert abs(scores["bfloat16"] - scores["float32"]) < 0.05
    assert "--batch 1 --accumulate 4" in parts["out of memory"]["advice"]
    assert all(goal["here"] is not None for goal in report["goals"])
