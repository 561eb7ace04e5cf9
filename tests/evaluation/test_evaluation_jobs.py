"""Songs in several processes: what a kill leaves, what travels; sums that stand for a reference."""

import os
import pickle
import signal
import subprocess
import sys
import time

import pytest
import torch

from sepkit import audio
from sepkit.datasets import MemoryTrack, open_tracks
from sepkit.errors import SepkitError
from sepkit.evaluation import evaluate, evaluate_folders, jobs
from sepkit.evaluation.jobs import references_for
from sepkit.metrics import ffmpeg_available, load_scores
from sepkit.runtime.memory import free_memory
from sepkit.separation import Separator, get

RATE = 4000


def noise(seed, samples=3 * RATE, channels=2):
    return 0.1 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))


def write_songs(root, songs, stems=("vocals", "drums", "bass"), leak=0.1):
    for k, name in enumerate(songs):
        parts = {stem: noise(10 * k + j) for j, stem in enumerate(stems)}
        for stem, x in parts.items():
            audio.write(root / "true" / name / f"{stem}.wav", x, RATE)
            audio.write(
                root / "est" / name / f"{stem}.wav", x + leak * (sum(parts.values()) - x), RATE
            )


def values(scores):
    return {(s.track, s.target, s.metric): s.value for s in scores}


# --- references that are sums


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("bass", "vocals"), {"vocals": ("vocals",), "bass": ("bass",)}),
        (("vocals", "no_vocals"), {"vocals": ("vocals",), "no_vocals": ("drums", "bass")}),
        (("vocals", "accompaniment"), {"vocals": ("vocals",), "accompaniment": ("drums", "bass")}),
        (("instrumental",), {"instrumental": ("drums", "bass")}),
        (("no_drums", "drums"), {"drums": ("drums",), "no_drums": ("vocals", "bass")}),
        # Its parts are there.
        (
            ("vocals", "drums", "bass", "no_vocals"),
            {"vocals": ("vocals",), "drums": ("drums",), "bass": ("bass",)},
        ),
        (("no_piano", "piano", "nonsense"), {}),
    ],
)
def test_a_sum_of_stems_is_the_reference_of_what_is_called_all_but_one(names, parts):
    found, findings = references_for(("vocals", "drums", "bass"), names, "a song")
    assert found == parts and list(found) == list(parts)
    sums = [name for name, stems in parts.items() if len(stems) > 1]
    assert [f.stems for f in findings] == [(name,) for name in sums]
    assert all("is the sum of " + ", ".join(parts[f.stems[0]]) in str(f) for f in findings)


def test_a_data_sets_own_accompaniment_is_its_reference():
    assert references_for(("vocals", "accompaniment"), ("accompaniment", "vocals"))[0] == {
        "vocals": ("vocals",),
        "accompaniment": ("accompaniment",),
    }


class Karaoke(Separator):
    def separate(self, mixture, references=None):
        return {"vocals": 0.5 * mixture, "accompaniment": 0.5 * mixture}


def test_two_stems_are_scored_against_four_by_either_way(tmp_path):
    stems = {name: noise(k) for k, name in enumerate(("vocals", "drums", "bass"))}
    scores = evaluate(
        Karaoke("karaoke"), [MemoryTrack("song", stems, RATE)], metrics=["usdr"], notice=None
    )
    rest, mixture = stems["drums"] + stems["bass"], sum(stems.values())
    expected = [
        10 * torch.log10(x.square().sum() / (x - 0.5 * mixture).square().sum()).item()
        for x in (stems["vocals"], rest)
    ]
    assert [s.value for s in scores] == pytest.approx(expected, abs=1e-3)
    for name, x in stems.items():
        audio.write(tmp_path / "true" / "song" / f"{name}.wav", x, RATE)
    for name in ("vocals", "no_vocals"):
        audio.write(tmp_path / "est" / "song" / f"{name}.wav", 0.5 * mixture, RATE)
    findings = []
    folders = evaluate_folders(
        tmp_path / "true", tmp_path / "est", metrics=["usdr"], notice=None, findings=findings
    )
    assert [s.value for s in folders] == pytest.approx(expected, abs=1e-3)
    assert [(f.kind, f.stems) for f in findings] == [
        ("sum", ("no_vocals",)),
        ("mixture", ("vocals",)),
        ("mixture", ("no_vocals",)),
    ]


# --- findings are returned, and kept


def test_findings_come_back_with_the_scores_of_an_earlier_run(tmp_path):
    write_songs(tmp_path, ("a", "b"))
    audio.write(tmp_path / "est" / "a" / "vocals.wav", noise(0), RATE)  # the reference itself
    first, second, told = [], [], []
    places = tmp_path / "true", tmp_path / "est", tmp_path / "out"
    scores = evaluate_folders(*places, notice=None, findings=first)
    again = evaluate_folders(*places, notice=told.append, findings=second)
    assert [(f.kind, f.track, f.stems) for f in first] == [("perfect", "a", ("vocals",))]
    assert second[:-1] == first and second[-1].kind == "kept" and repr(again) == repr(scores)
    assert told[0].startswith("a: the estimate 'vocals' is its reference") and told[1].endswith(
        "out: 2 of 2 songs had been scored before; kept"
    )


@pytest.mark.parametrize("change", ["estimate", "reference", "nothing"])
def test_folders_are_scored_again_where_their_audio_has_changed(tmp_path, change):
    write_songs(tmp_path, ("a", "b"))
    places = tmp_path / "true", tmp_path / "est", tmp_path / "out"
    before = evaluate_folders(*places, metrics=["usdr"], notice=None)
    if change != "nothing":
        file = tmp_path / {"estimate": "est", "reference": "true"}[change] / "b" / "bass.wav"
        x = audio.read(file)[0]
        x[:, RATE] += 0.5  # one sample
        audio.write(file, x, RATE)
    findings = []
    after = evaluate_folders(*places, metrics=["usdr"], notice=None, findings=findings)
    changed = {(s.track, s.target) for s, t in zip(before, after) if s.value != t.value}
    assert changed == (set() if change == "nothing" else {("b", "bass")})
    assert [f.text.split("out: ")[1] for f in findings] == [
        f"{2 if change == 'nothing' else 1} of 2 songs had been scored before; kept"
    ]


def test_the_mixture_as_a_separator_is_not_told_to_be_the_mixture():
    told = []
    evaluate(
        get("mixture"),
        [MemoryTrack("song", {"a": noise(0), "b": noise(1)}, RATE)],
        metrics=["usdr"],
        notice=told.append,
    )
    assert told == []


# --- other processes


@pytest.mark.parametrize(
    "free, workers, told",
    [
        (10e9, 3, []),
        (2.5e9, 2, ["2 of 3 workers: each takes about 1.1 GB, and 2.5 GB of memory are free"]),
        (0.3e9, 1, ["1 of 3 workers: each takes about 1.1 GB, and 0.3 GB of memory are free"]),
        (None, 3, []),
    ],
)
def test_no_more_workers_than_fit_into_memory(tmp_path, monkeypatch, free, workers, told):
    write_songs(tmp_path, ("a", "b", "c"))
    monkeypatch.setattr(jobs, "free_memory", lambda: free)
    started, notes = [], []

    def run_jobs(jobs, workers, start):
        started.append(workers)
        return ((index, job()) for index, job in enumerate(jobs))

    monkeypatch.setattr(jobs, "run_jobs", run_jobs)
    scores = evaluate_folders(
        tmp_path / "true", tmp_path / "est", metrics=["usdr"], workers=5, notice=notes.append
    )
    assert len(scores) == 9 and notes == told and started == [workers] * (workers > 1)


def test_free_memory_is_part_of_what_the_machine_has():
    psutil = pytest.importorskip("psutil", reason="psutil is not installed")
    free = free_memory()
    assert free is None or 1e6 < free < psutil.virtual_memory().total


def write_stem_files(folder, names):
    """Songs as .stem.mp4: five streams each, the mixture first."""
    stempeg = pytest.importorskip("stempeg", reason="the musdb package is not installed")
    folder.mkdir(parents=True)
    for k, name in enumerate(names):
        stems = torch.stack([noise(10 * k + j, 2 * 44100).T for j in range(4)])
        data = torch.cat([stems.sum(0, keepdim=True), stems]).numpy()
        stempeg.write_stems(
            str(folder / f"{name}.stem.mp4"), data, 44100, writer=stempeg.StreamsWriter()
        )


@pytest.mark.skipif(not ffmpeg_available(), reason=".stem.mp4 needs ffmpeg")
def test_a_stem_file_travels_to_another_process(tmp_path):
    write_stem_files(tmp_path / "songs", ["A - B"])
    (track,) = open_tracks(tmp_path / "songs")
    there = pickle.loads(pickle.dumps(track))
    assert torch.equal(there.stem("bass", 100, 500), track.stem("bass", 100, 500))


@pytest.mark.slow
@pytest.mark.skipif(not ffmpeg_available(), reason=".stem.mp4 needs ffmpeg")
def test_stem_files_are_scored_by_several_processes(tmp_path):
    write_stem_files(tmp_path / "songs", ["A - B", "C - D"])
    tracks, told = open_tracks(tmp_path / "songs"), []
    together = evaluate(get("irm1"), tracks, metrics=["usdr"], workers=2, notice=told.append)
    assert all("is not the sum" in text for text in told)  # AAC does not code white noise well
    assert values(together) == pytest.approx(
        values(evaluate(get("irm1"), tracks, metrics=["usdr"])), abs=1e-6
    )


@pytest.mark.slow
def test_folders_in_several_processes_give_the_same_scores(tmp_path):
    write_songs(tmp_path, ("a", "b", "c"))
    told = []
    places = tmp_path / "true", tmp_path / "est"
    together = evaluate_folders(
        *places, workers=2, notice=told.append, progress=lambda *p: told.append(p)
    )
    assert sorted(p[2] for p in told) == ["a", "b", "c"]
    assert values(together) == values(evaluate_folders(*places))


@pytest.mark.slow
def test_shares_of_several_calls_become_whole(tmp_path):
    write_songs(tmp_path, ["a", "b", "c"])
    folders = tmp_path / "true", tmp_path / "est"
    once = evaluate_folders(*folders, metrics=("usdr",))
    for share in ("1/4", "2/4", "3/4", "4/4"):  # one of them has no song
        evaluate_folders(*folders, tmp_path / "out", ("usdr",), share=share, notice=None)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.json", "b.json", "c.json"]
    told = []
    whole = evaluate_folders(*folders, tmp_path / "out", ("usdr",), notice=told.append)
    assert any("3 of 3 songs had been scored before" in text for text in told)
    assert values(whole) == values(once) == values(load_scores(tmp_path / "out" / "scores.json"))


def test_an_error_in_another_process_names_the_song_and_keeps_the_finished(tmp_path):
    write_songs(tmp_path, ("a", "b"))
    (tmp_path / "est" / "b" / "bass.wav").write_text("no audio")
    with pytest.raises(SepkitError, match="bass.wav: not readable as audio"):
        evaluate_folders(tmp_path / "true", tmp_path / "est", workers=2)


#: Started with a folder and what to do. Its third song never ends, or kills its process.
SCRIPT = """
import os, sys, time
from pathlib import Path
from sepkit.datasets import open_tracks
from sepkit.evaluation import evaluate
from sepkit.separation import OracleSeparator

class Stuck(OracleSeparator):
    def separate(self, mixture, references=None):
        if self.act:
            marker = Path(sys.argv[1]) / f"started {os.getpid()}"
            if len(list(Path(sys.argv[1]).glob("started *"))) >= 2 or marker.exists():
                if self.act == "die":
                    os.kill(os.getpid(), 9)
                (Path(sys.argv[1]) / f"stuck {os.getpid()}").touch()
                time.sleep(600)
            marker.touch()
        return super().separate(mixture, references)

if __name__ == "__main__":
    root, act = Path(sys.argv[1]), sys.argv[2]
    separator = Stuck("irm1")
    separator.act = "" if act == "finish" else act
    try:
        tracks, options = open_tracks(root / "true"), {"workers": 2, "notice": print}
        evaluate(separator, tracks, root / "out", metrics=["usdr"], **options)
    except ValueError as error:
        print(type(error).__name__, error)
"""


def start(folder, act):
    script = folder / "script.py"
    script.write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, str(script), str(folder), act],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, seconds=180):
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks processes up in /proc")
def test_a_kill_leaves_no_process_behind_and_the_rest_is_scored_later(tmp_path, alive):
    write_songs(tmp_path, ("a", "b", "c", "d", "e"))
    run = start(tmp_path, "stuck")
    try:
        wait_for(lambda: len(list(tmp_path.glob("stuck *"))) == 2)  # both workers hold a song
    finally:
        run.send_signal(signal.SIGKILL)
        run.communicate()
    workers = [int(path.name.split()[1]) for path in tmp_path.glob("stuck *")]
    wait_for(lambda: not any(map(alive, workers)), 30)
    done = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("[!.]*.json")}
    assert 1 <= len(done) <= 3 and "scores.json" not in done
    broken = sorted({f"{name}.json" for name in "abcde"} - set(done))[0]
    # As if half-written.
    (tmp_path / "out" / broken).write_text((tmp_path / "out" / next(iter(done))).read_text()[:-100])
    said, _ = start(tmp_path, "finish").communicate(timeout=300)
    assert f"{len(done)} of 5 songs had been scored before; kept" in said
    # Not written again.
    assert all((tmp_path / "out" / name).stat().st_mtime_ns == when for name, when in done.items())
    scores = load_scores(tmp_path / "out" / "scores.json")
    alone = evaluate(get("irm1"), open_tracks(tmp_path / "true"), metrics=["usdr"])
    assert values(scores) == pytest.approx(values(alone), abs=1e-6)


@pytest.mark.slow
def test_a_killed_worker_is_an_error_that_says_what_to_do(tmp_path):
    write_songs(tmp_path, ("a", "b", "c", "d"))
    said, _ = start(tmp_path, "die").communicate(timeout=300)
    assert said.startswith(
        "SepkitError one of 2 workers was killed, most likely for want of memory; use fewer workers"
    )


# Not getrusage: its peak is at least what the parent held when it forked, here pytest with all
# that its tests have left behind.
PEAK = """
import pathlib, re, sys
from sepkit.evaluation import evaluate_folders

evaluate_folders(*sys.argv[1:], metrics=("csdr", "usdr", "si_sdr", "sir"), notice=None)
print(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_a_longer_song_takes_no_more_memory(tmp_path):
    """The audio of the long song alone is 130 MB larger."""
    peaks = {}
    for seconds in (5, 100):
        for k, name in enumerate(("a", "b")):
            for folder, gain in (("true", 1), ("est", 0.9)):
                audio.write(
                    tmp_path / f"{folder}{seconds}" / "song" / f"{name}.wav",
                    gain * noise(k, seconds * 44100),
                    44100,
                )
        places = [str(tmp_path / f"{folder}{seconds}") for folder in ("true", "est")]
        run = subprocess.run(
            [sys.executable, "-c", PEAK, *places],
            capture_output=True,
            text=True,
            check=True,
            # one arena: what glibc keeps for each thread varies between runs
            env=os.environ | {"MALLOC_ARENA_MAX": "1"},
        )
        peaks[seconds] = int(run.stdout) / 1e3
    assert peaks[100] - peaks[5] < 60  # MB
