"""A grid of data sets and seeds: planned, shared out, stopped, and brought together."""

import json
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sepkit.errors import SepkitError
from sepkit.metrics import load_scores, save_scores
from sepkit.reproduce import batch, ledger, manifest
from sepkit.reproduce.grid import Grid, cell_name
from sepkit.reproduce.merge import merge
from sepkit.reproduce.plan import Cost, Costs, makespan
from sepkit.runtime import shares
from sepkit.validation import seeds
from tests.reproduce.course import WRITE, notebook, run
from tests.reproduce.tools import scores


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("3", (3,)),
        ("0..3", (0, 1, 2, 3)),
        ("5,0..2, 1", (5, 0, 1, 2)),
        ("4294967295", (2**32 - 1,)),
    ],
)
def test_seeds(text, numbers):
    assert seeds("seed", text) == numbers


@pytest.mark.parametrize(
    "text", ["0..x", "", "1..", "..3", "-1", "0...3", "1.5", "3..1", "0..4294967295", "4294967296"]
)
def test_other_seeds_are_refused(text):
    with pytest.raises(SepkitError, match=r"^seed=.*: numbers such as 0, 0\.\.7 or 0,2,5 were"):
        seeds("seed", text)


def test_shares_are_everything_once_and_of_like_cost():
    items, cost = list(range(50)), [1 + 7 * (item % 5) for item in range(50)]
    parts = [shares.dealt(items, f"{n}/4", cost.__getitem__) for n in range(1, 5)]
    assert sorted(sum(parts, [])) == items and all(part == sorted(part) for part in parts)
    loads = [sum(map(cost.__getitem__, part)) for part in parts]
    assert max(loads) - min(loads) <= max(cost)
    assert shares.dealt(items, None) == items
    assert sum(map(len, [shares.dealt([1, 2], f"{n}/9") for n in range(1, 10)])) == 2


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/0", "a/b", "-1/4", "1/4/2", "٣/4 "])
def test_other_shares_are_refused(text):
    with pytest.raises(SepkitError, match="expected N/M with N from 1 to M"):
        shares.parsed(text)


def test_the_time_of_a_plan():
    """Longest first is optimal here; one worker takes the sum, many take the longest."""
    assert makespan([3, 3, 2, 2, 2], 2) == 7 and makespan([4, 3, 3, 2], 2) == 6
    assert makespan([3, 1], 1) == 4 and makespan([3, 1], 9) == 3 and makespan([], 2) == 0


def test_two_data_sets_of_one_name_are_refused(course, tmp_path):
    other = shutil.copytree(course["data"][0], tmp_path / "more" / "dätä")
    with pytest.raises(SepkitError, match="two data sets are called 'dätä'"):
        Grid(**{**course, "data": [*course["data"], str(other)]})


class Kernels:
    """In place of notebooks: what ran, at most how many at a time, with which files."""

    def __init__(self, monkeypatch, fails=()):
        self.ran, self.fails, self.after = [], fails, lambda name: None
        monkeypatch.setattr("sepkit.reproduce.jobs.NotebookProcess", self.process)

    def process(kernels, chapter, folder, parameters, timeout, on_cell):
        class Process:
            stopped = False

            def run(self, threads):
                kernels.ran.append((chapter.name, parameters["seed"]))
                kernels.after(chapter.name)
                files = {
                    "executed": f"executed/{chapter.name}.ipynb",
                    "results": f"results/{chapter.name}.json",
                }
                seed = parameters["seed"]
                rows = [replace(s, value=float(seed)) for s in scores("net", [0.0], "folder:dätä")]
                save_scores(folder / files["results"], rows)
                (folder / "executed").mkdir(exist_ok=True)
                (folder / files["executed"]).write_text("{}")
                failed = (chapter.name, parameters["seed"]) in kernels.fails
                error = {"error": "no luck"} if failed else {}
                status = "failed" if failed else "done"
                return {"status": status, "seconds": 1.0, "peak_mb": 500, **files, **error}

            def stop(self):
                self.stopped = True

        return Process()


def files_of(out):
    return sorted(path.relative_to(out).as_posix() for path in out.glob("**/results/*.json"))


def test_a_grid_has_a_folder_for_each_seed_and_takes_over_what_is_there(course, monkeypatch):
    kernels = Kernels(monkeypatch, fails=[("02_broken", 1)])
    out, name = course["out"], "dätä-seed{}".format
    assert set(run(course)) == {"01_one", "02_broken", "03_tables"}
    assert files_of(out)[0] == "results/01_one.json"

    kernels.ran.clear()
    events = []
    entries = run(course, seeds=range(3), on_event=lambda *event: events.append(event))
    assert {seed for _, seed in kernels.ran} == {1, 2}, "seed 0 is done, and was moved"
    assert sorted(kernels.ran[-2:]) == [("03_tables", 1), ("03_tables", 2)], (
        "what gathers comes last"
    )
    assert files_of(out) == [
        f"{name(seed)}/results/{chapter}.json"
        for seed in range(3)
        for chapter in ("01_one", "02_broken", "03_tables")
    ]
    assert not (out / "results").exists() and not (out / "jobs").exists()
    assert manifest.failures(entries, out) == [
        f"02_broken {name(1)}: no luck; see {out / name(1)}/executed/02_broken.ipynb"
    ]
    states = manifest.load_manifest(out)["chapters"]
    assert len(states) == 9 and states[f"01_one {name(2)}"]["status"] == "done"
    last = events[-1][2]
    assert (last["finished"], last["of"], last["left"]) == (9, 9, 0)
    # Later calls with one seed keep to the folders; and only what failed runs again.
    kernels.ran.clear()
    run(course, seeds=[1])
    assert kernels.ran[0] == ("02_broken", 1) and ("01_one", 1) not in kernels.ran
    measured = ledger.load_measured(out / "results")
    assert [score.value for score in measured["01_one"]] == [0.0, 1.0, 2.0] and len(measured) == 3


def test_a_record_that_is_damaged_or_whose_files_are_gone_is_not_trusted(course, monkeypatch):
    kernels = Kernels(monkeypatch)
    run(course, "01")
    record, results = (course["out"] / f"{kind}/01_one.json" for kind in ("jobs", "results"))
    whole = record.read_bytes()
    for spoil in (
        lambda: record.write_bytes(whole[: len(whole) // 2]),
        lambda: record.write_text("[]"),
        lambda: results.write_text(results.read_text()[:-1]),
        results.unlink,
        (course["out"] / "executed/01_one.ipynb").unlink,
    ):
        spoil()
        kernels.ran.clear()
        run(course, "01")
        assert kernels.ran == [("01_one", 0)]
    kernels.ran.clear()
    run(course, "01")
    assert kernels.ran == []


def test_shares_of_several_calls_become_whole(course, monkeypatch):
    kernels = Kernels(monkeypatch)
    for share in ("1/3", "2/3", "3/3"):
        run(course, seeds=range(4), share=share)
    assert sorted(kernels.ran) == [
        (name, seed) for name in ("01_one", "02_broken") for seed in range(4)
    ]
    kernels.ran.clear()
    entries = run(course, seeds=range(4))
    assert sorted(kernels.ran) == [("03_tables", seed) for seed in range(4)]
    assert all(entry["status"] == "done" for entry in entries.values())


def test_folders_of_two_machines_are_merged(course, monkeypatch, tmp_path):
    Kernels(monkeypatch)
    first, second, out = tmp_path / "first", tmp_path / "second", tmp_path / "merged"
    run(course, "01", "02", out=first)
    run(course, "01", out=second, seeds=[1])
    notices = []
    for _ in range(2):  # again: nothing changes
        entries = merge([first, second], out, notices.append)
        assert {name: entry["status"] for name, entry in entries.items()} == {
            "01_one dätä-seed0": "done",
            "01_one dätä-seed1": "done",
            "02_broken dätä-seed0": "done",
        }
        assert notices == []
    (score,) = load_scores(out / "dätä-seed1" / "results" / "01_one.json")
    assert score.value == 1.0
    assert files_of(first) == ["results/01_one.json", "results/02_broken.json"]
    # What was merged is what runs there: nothing is left to do.
    kernels = Kernels(monkeypatch)
    run(course, "01", out=out, seeds=[0, 1])
    assert kernels.ran == []

    notebook(course["notebooks"], "01_one", WRITE, "print(1)")
    third = tmp_path / "third"
    run(course, "01", out=third)
    with pytest.raises(SepkitError, match="01_one was run from other code, data or parameters"):
        merge([third], out)
    whole = (third / "results" / "01_one.json").read_bytes()
    (third / "results" / "01_one.json").write_bytes(whole[:100])
    with pytest.raises(SepkitError, match="01_one.json: is not the file that 01_one wrote"):
        merge([third], tmp_path / "fourth")
    record = json.loads((third / "jobs" / "01_one.json").read_text())
    (third / "jobs" / "01_one.json").write_text(json.dumps({**record, "results": "../../x"}))
    with pytest.raises(SepkitError, match="third: holds no jobs"):
        merge([third], tmp_path / "fourth")
    with pytest.raises(SepkitError, match="holds no jobs; give folders"):
        merge([tmp_path / "note books {x}"], out)
    with pytest.raises(SepkitError, match="holds no jobs; give folders"):
        merge([], tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_no_two_jobs_run_together_whose_memory_does_not_fit(course, monkeypatch):
    together, lock, most = [], threading.Lock(), {}
    kernels = Kernels(monkeypatch)

    def after(name):
        with lock:
            together.append(name)
            most[frozenset(together)] = len(together)
        time.sleep(0.2)
        with lock:
            together.remove(name)

    kernels.after = after
    for name in ("04_big", "05_big"):
        notebook(course["notebooks"], name, WRITE)
    sizes = {"01_one": 0.1e9, "02_broken": 0.1e9, "04_big": 2e9, "05_big": 2e9}
    monkeypatch.setattr(Costs, "of", lambda self, job: Cost(1.0, sizes[job.chapter.name]))
    monkeypatch.setattr(batch, "free_memory", lambda: 3e9)
    names = tuple(sizes)
    run(course, *names, workers=4)
    assert len(kernels.ran) == 4 and max(most.values()) >= 2
    assert not [group for group in most if {"04_big", "05_big"} <= group]
    # A job that never fits runs alone.
    monkeypatch.setattr(batch, "free_memory", lambda: 1e9)
    most.clear()
    run(course, *names, workers=4, seeds=[1])
    assert not [group for group in most if "04_big" in group and len(group) > 1]


def test_a_plan_says_what_would_run_and_runs_nothing(course, monkeypatch):
    kernels = Kernels(monkeypatch)
    run(course, "01")
    kernels.ran.clear()
    grid = Grid(("01", "02"), **course)
    plan = batch.plan(grid, workers=2)
    assert [row[:3] for row in plan.rows()] == [("01_one", "1", "0"), ("02_broken", "1", "1")]
    assert plan.rows()[0][3:] == ("1 s", "500.0 MB") and plan.rows()[1][3] == "not measured"
    text = "\n".join(plan.lines())
    about = "profile smoke, weights shipped, device cpu, data folder:dätä"
    assert f"1 of 2 jobs to run: {about}" in text
    assert "1 were never measured and count as 60 s each" in text
    assert kernels.ran == [] and not Path(course["out"] / "jobs/02_broken.json").exists()


def test_nothing_is_guessed_of_the_authors_settings_and_times_of_other_songs_are_marked(
    course, monkeypatch
):
    Kernels(monkeypatch)
    run(course, "01")

    def told(**changed):
        grid = Grid(("01", "02"), **{**course, **changed})
        return "\n".join(batch.plan(grid, workers=1, force=True).lines())

    text = told(profile="paper")
    assert "time: 2 were never measured: profile paper trains as the papers' authors did" in text
    assert "about" not in text and "memory: 2 were never measured" in text
    assert "memory: up to 700.0 MB a job, 1 were never measured" in told()
    assert "other songs" not in told()
    record = manifest.load_record(course["out"], "01_one")
    record["parameters"]["data"] = "band"
    manifest.save_record(course["out"], "01_one", record)
    assert "other songs: times were measured on band; songs of minutes" in told()


@pytest.mark.parametrize("inside", ["", "folder"])
def test_a_file_in_the_place_of_the_folder_is_told_before_anything_runs(course, inside):
    file = Path(course["data"][0]) / "a" / "vocals.wav"
    with pytest.raises(SepkitError, match=r"vocals\.wav: is a file; choose another --out"):
        Grid(("01",), **{**course, "out": file / inside})


def test_chapters_are_named_with_commas_as_seeds_are(course):
    grid = Grid(("02,01_one", "01"), **course)
    assert [chapter.name for chapter in grid.chapters] == ["02_broken", "01_one"]


def test_another_seed_alone_leaves_what_was_done_before(course, monkeypatch):
    kernels = Kernels(monkeypatch)
    for seed in (5, 6, 5):
        run(course, "01", seeds=[seed])
    assert kernels.ran == [("01_one", 5), ("01_one", 6)]
    assert files_of(course["out"]) == [f"dätä-seed{seed}/results/01_one.json" for seed in (5, 6)]


def test_of_two_calls_that_have_planned_the_second_to_begin_is_spread(course):
    first, second = (Grid(("01",), **{**course, "seeds": [seed]}) for seed in (1, 2))
    assert not first.is_spread and not second.is_spread, "neither has begun"
    first.claim()
    second.claim()
    assert not first.is_spread and second.is_spread
    again = Grid(("01",), **{**course, "seeds": [1]})
    again.claim()
    assert not again.is_spread, "the same call goes on where it was"


def test_a_plan_says_which_finished_work_it_would_replace(course, monkeypatch):
    Kernels(monkeypatch)
    run(course, "01", "02")
    told = batch.plan(Grid(("01", "02", "03"), **{**course, "profile": "student"})).lines()
    assert "replaces 2 jobs done here with profile smoke; another --out keeps them" in told
    course["notebooks"].joinpath("01_one.ipynb").touch()
    notebook(course["notebooks"], "01_one", WRITE, "1")  # mended: nothing worth keeping is lost
    assert not [line for line in batch.plan(Grid(("01",), **course)).lines() if "replaces" in line]


def test_of_profile_paper_no_time_left_is_guessed(course, monkeypatch):
    Kernels(monkeypatch)
    events = []
    run(course, "01", "02", profile="paper", on_event=lambda *event: events.append(event))
    left = [details["left"] for _, event, details in events if event == "done"]
    assert left == [None, 0]


def test_what_a_gpu_takes_is_not_made_up_of_what_a_cpu_takes(course, monkeypatch):
    """Until jobs have run on one, the plan says that their times are of a CPU."""
    Kernels(monkeypatch)
    run(course, "01")

    def told(device):
        plan = batch.plan(Grid(("01", "02"), **{**course, "device": device}), force=True)
        return "\n".join(plan.lines()), plan.rows()[0][3]

    assert "GPU:" not in told("cpu")[0]
    text, time_each = told("cuda")
    assert "GPU: nobody has measured 2 of these jobs on one" in text and time_each == "1 s"
    record = manifest.load_record(course["out"], "01_one")
    record["parameters"]["device"] = "cuda:0"
    manifest.save_record(course["out"], "01_one", {**record, "seconds": 40.0})
    text, time_each = told("cuda")
    assert "GPU: nobody has measured 1 of these jobs on one" in text and time_each == "40 s"
    assert told("cpu")[1] == "not measured", "nor is a CPU's time made up of a GPU's"


def test_a_full_disk_is_told_before_anything_runs(course, monkeypatch):
    kernels = Kernels(monkeypatch)
    monkeypatch.setattr("sepkit.reproduce.plan.free_bytes", lambda path: 1e6)
    with pytest.raises(SepkitError, match="2 jobs need .* are free; free some space"):
        run(course)
    assert kernels.ran == []


def test_a_disk_that_is_full_on_one_node_fails_that_job_alone(course, monkeypatch):
    kernels = Kernels(monkeypatch)

    def after(name):
        if name == "01_one":
            raise OSError(28, "No space left on device")

    kernels.after = after
    entries = run(course, "01", "02")
    assert entries["02_broken"]["status"] == "done"
    (line,) = manifest.failures(entries)
    assert line.startswith("01_one: ") and "cannot be written (No space left on device)" in line
    kernels.after = lambda name: None
    assert run(course, "01", "02")["01_one"]["status"] == "done"


def test_names_of_folders():
    assert cell_name("band", 3) == "band-seed3"
    assert cell_name("/songs/my songs; rm", 0) == "my-songs-rm-seed0"
