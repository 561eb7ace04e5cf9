"""The command line: what it answers to good and to bad requests, and what it does not import."""

import io
import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr

import pytest
import torch
from typer.testing import CliRunner

from sepkit import __version__, audio, cli
from sepkit.cli.reproduce import show_jobs
from sepkit.errors import SepkitError

COMMANDS = (
    "doctor",
    "models",
    "separate",
    "evaluate",
    "train",
    "reproduce",
    "fetch",
    "data",
    "data band",
    "data list",
    "data musdb7s",
)


def sepkit(*arguments, **environment):
    return CliRunner().invoke(
        cli.app, [str(argument) for argument in arguments], env={"COLUMNS": "200", **environment}
    )


def in_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize("module", ["sepkit", "sepkit.cli"])
def test_importing_the_package_and_the_command_line_is_cheap(module):
    heavy = (
        "torch",
        "torchaudio",
        "numpy",
        "librosa",
        "museval",
        "musdb",
        "papermill",
        "pandas",
        "matplotlib",
        "lightning_fabric",
    )
    loaded = in_python(f"import {module}, sys; print(sorted(set({heavy!r}) & set(sys.modules)))")
    assert loaded == "[]"


def test_python_m_sepkit_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "sepkit", "--version"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, f"sepkit {__version__}")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_defaults_and_an_example(command):
    said = sepkit(*command.split(), "--help")
    assert said.exit_code == 0
    if command != "data":
        assert "Example" in said.output and f"sepkit {command.split()[0]}" in said.output
    if command in ("separate", "evaluate", "train", "reproduce", "data band"):
        assert "default:" in said.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["separate"],
        ["separate", "x.wav", "--nonsense"],
        ["reproduce", "--seed", "many"],
        ["reproduce", "--seed", "0..x"],
        ["evaluate"],
        ["evaluate", "--reference", "a"],
        ["evaluate", "--separator", "mixture", "--reference", "a"],
        ["evaluate", "--scores", "a", "--separator", "mixture"],
        ["evaluate", "--reference", "a", "--estimate", "b", "--workers", "0"],
        ["data", "band", "--train", "-1"],
    ],
)
def test_usage_errors_exit_with_2(arguments):
    assert sepkit(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["separate", "x.wav", "--model", "nonsense"],
            "unknown separator 'nonsense': choose from mixture, ",
        ),
        (
            ["separate", "x.wav", "--ext", "aiff"],
            "unknown format 'aiff': choose from wav, flac, mp3, ogg",
        ),
        (
            ["separate", "x.wav", "--model", "mixture", "--device", "tpu"],
            "unknown device 'tpu': choose from auto, cpu, cuda, mps",
        ),
        (["train", "--model", "nonsense"], "unknown model 'nonsense': choose from open-unmix"),
        (["train", "--size", "huge"], "unknown size 'huge': choose from student, paper"),
        (
            ["train", "--data", "nowhere"],
            "nowhere: neither a folder nor one of the data sets band, musdb7s",
        ),
        (
            ["train", "--recipe", "epoch=3"],
            "unknown part of the recipe 'epoch': choose from loss, batch",
        ),
        (["train", "--recipe", "lr"], "--recipe lr: expected NAME=VALUE"),
        (["reproduce", "42"], "unknown chapter '42': choose from "),
        (
            ["reproduce", "--profile", "huge"],
            "unknown profile 'huge': choose from smoke, student, paper",
        ),
        (["reproduce", "--device", "tpu"], "unknown device 'tpu'"),
        (["data", "band", "--genre", "polka"], "unknown genre 'polka': choose from "),
        (
            ["data", "band", "--knob", "tempo=5000"],
            "band knob tempo=5000: give a number from 50 to 200",
        ),
        (
            ["data", "band", "--preset", "huge"],
            "unknown band preset 'huge': choose from smoke, student",
        ),
        (
            ["evaluate", "--separator", "mixture", "--data", "nowhere"],
            "nowhere: neither a folder nor one of",
        ),
        (
            ["evaluate", "--reference", ".", "--estimate", "nowhere"],
            "nowhere: no such folder; a folder with estimated stems was expected",
        ),
        (["evaluate", "--scores", "nowhere"], "nowhere: no such file"),
    ],
)
def test_mistakes_are_one_line_without_traceback(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "01_x.ipynb").write_text('{"cells": []}')
    if arguments[0] == "reproduce":
        arguments = [*arguments, "--notebooks", folder]
    said = sepkit(*arguments, SEPKIT_DATA=str(tmp_path / "data"))
    assert said.exit_code == 1 and said.stdout == ""
    assert said.stderr.startswith(f"sepkit: error: {message}") and said.stderr.count("\n") == 1, (
        said.stderr
    )


def test_debug_shows_the_traceback(tmp_path):
    for arguments, environment in ((["--debug"], {}), ([], {"SEPKIT_DEBUG": "1"})):
        said = sepkit(*arguments, "train", "--size", "huge", **environment)
        assert isinstance(said.exception, SepkitError)
        os.environ.pop("SEPKIT_DEBUG", None)


def test_debug_is_understood_after_the_command(monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setenv("SEPKIT_DEBUG", "0")  # so that what main sets is undone
    with pytest.raises(SepkitError, match="unknown size"):
        cli.main(["train", "--size", "huge", "--debug"])


def test_ctrl_c_says_one_line_and_exits_with_130(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sepkit.cli.doctor.examine", interrupted)
    said = sepkit("doctor")
    assert (said.exit_code, said.stderr) == (130, "sepkit: interrupted\n")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(28, "No space left on device", "out.wav"),
            "out.wav: No space left on device; free some space",
        ),
        (PermissionError(13, "Permission denied", "out"), "out: Permission denied"),
        (MemoryError(), "not enough memory; use shorter chunks"),
        (
            ModuleNotFoundError("No module named 'musdb'", name="musdb"),
            "musdb is not installed; run: pip install",
        ),
        (KeyError("oops"), "unexpected KeyError: 'oops'; run again with --debug"),
    ],
)
def test_whatever_goes_wrong_is_said_in_one_line(monkeypatch, error, line):
    def broken(*_):
        raise error

    monkeypatch.setattr("sepkit.cli.doctor.examine", broken)
    said = sepkit("doctor")
    assert (
        said.exit_code == 1
        and said.stderr.startswith(f"sepkit: error: {line}")
        and said.stderr.count("\n") == 1
    )


def test_doctor_names_what_is_there_and_what_to_do_about_gaps(tmp_path, monkeypatch):
    song = tmp_path / "musdb18hq" / "test" / "Ä song"
    song.mkdir(parents=True)
    monkeypatch.setenv("PATH", "")
    checks = {
        check["topic"]: check
        for check in json.loads(sepkit("doctor", "--root", tmp_path, "--json").stdout)
    }
    assert (
        checks["sepkit"]["found"].startswith(__version__)
        and f"torch {torch.__version__.split('+')[0]}" in checks["packages"]["found"]
    )
    assert checks["data: musdb18hq"] == {
        "topic": "data: musdb18hq",
        "found": f"1 test songs in {tmp_path / 'musdb18hq'}",
        "status": "ok",
        "remedy": "",
    }
    assert (
        checks["data: band"]["status"] == "note"
        and checks["data: band"]["remedy"] == "run: sepkit data band"
    )
    assert (
        checks["ffmpeg"]["status"] == "note"
        and "apt-get install ffmpeg" in checks["ffmpeg"]["remedy"]
    )
    assert checks["disk"]["found"].endswith(f"GB free at {tmp_path}")


def test_data_list_counts_songs(tmp_path):
    for place in (
        "band/smoke/train/a",
        "band/smoke/train/b",
        "band/smoke/test/c",
        "band/smoke/test/.half",
    ):
        (tmp_path / place).mkdir(parents=True)
    found = {
        row["name"]: row
        for row in json.loads(sepkit("data", "list", "--root", tmp_path, "--json").stdout)
    }
    assert found["band/smoke"]["songs"] == {"train": 2, "test": 1}
    assert (
        found["band/smoke"]["remedy"] == "unfinished; go on with: sepkit data band --preset smoke"
    )
    assert found["musdb7s"]["songs"] == {} and "sepkit data musdb7s" in found["musdb7s"]["remedy"]


def test_data_musdb7s_without_ffmpeg_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    said = sepkit("data", "musdb7s", "--root", tmp_path)
    assert (
        said.exit_code == 1
        and "need ffmpeg" in said.stderr
        and "apt-get install ffmpeg" in said.stderr
    )
    assert list(tmp_path.iterdir()) == []


def test_data_musdb7s_leaves_nothing_half_downloaded(tmp_path, monkeypatch):
    from sepkit.datasets import musdb18

    def download(folder):
        (folder / "test").mkdir(parents=True)
        (folder / "test" / "half.stem.mp4").write_bytes(b"half")
        raise SepkitError("the network went away")

    monkeypatch.setattr(musdb18, "ffmpeg_missing", lambda: None)
    monkeypatch.setattr(musdb18, "download_excerpts", download)
    said = sepkit("data", "musdb7s", "--root", tmp_path)
    assert said.exit_code == 1 and "the network went away" in said.stderr
    assert list(tmp_path.iterdir()) == []


def test_knobs_of_the_band_are_listed_with_their_ranges():
    said = sepkit("data", "band", "--knobs").stdout.splitlines()
    assert any(line.startswith("horn_correlation\tnumber\t0 ... 1\t") for line in said)


def test_models_lists_networks_oracles_and_published_weights():
    from sepkit.models import MODELS
    from sepkit.models.downloads import manifest

    rows = {row["name"]: row for row in json.loads(sepkit("models", "--json").stdout)}
    assert rows["open-unmix"]["kind"] == "network" and rows["irm1"]["kind"] == "oracle"
    assert rows["umxhq"]["kind"] == "published weights" and "vocals" in rows["umxhq"]["targets"]
    for name in MODELS:
        assert rows[name]["paper"] and rows[name]["domain"] and rows[name]["parameters"] > 0
    assert (
        rows["hybrid-demucs"]["parameters"] == 83_639_368
        and rows["hybrid-demucs"]["targets"] == "one or several at once"
    )
    for name, entry in manifest().items():
        (published,) = [row for row in rows[entry["model"]]["published"] if row["name"] == name]
        assert (
            published["licence"] == rows[name]["licence"] == entry["licence"]
            and rows[name]["verified"]
        )
    assert rows["hdemucs-musdb-plus"]["targets"] == "drums, bass, other, vocals"
    assert (
        "test songs of MUSDB18" in rows["hdemucs-musdb-plus"]["caution"]
        and rows["hdemucs-musdb"]["caution"] is None
    )


def test_models_lists_the_weights_that_come_with_sepkit():
    from sepkit import DEFAULT_MODEL
    from sepkit.models import shipped_sets

    rows = {row["name"]: row for row in json.loads(sepkit("models", "--json").stdout)}
    included = {name for name, row in rows.items() if row["kind"] == "included weights"}
    assert included == set(shipped_sets()) and DEFAULT_MODEL in included
    assert rows["open-unmix-four-stems"]["targets"] == "bass, drums, other, vocals"
    assert "FluidR3" in rows["open-unmix-four-stems"]["licence"]
    assert all(rows[name]["model"] in rows and rows[name]["licence"] for name in included)


def test_models_as_tables_shows_licences_and_cautions():
    lines = sepkit("models").stdout.splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        "# networks",
        "# published weights, downloaded on first use",
        "# weights that come with sepkit",
        "# methods",
    ]
    cells = {line.split("\t")[0]: line.split("\t")[1:] for line in lines}
    assert (
        cells["hybrid-demucs"][0] == "83639368"
        and "hdemucs-musdb-plus" in cells["hybrid-demucs"][3]
    )
    assert (
        "CAUTION: trained on the test songs" in cells["hdemucs-musdb-plus"][-1]
        and "CC BY-NC-SA" in cells["umxl"][-1]
    )
    assert cells["iva"][0] == "blind"


def test_our_warnings_are_notes_of_one_line(monkeypatch):
    """A caution about weights is a note like others; warnings of other packages look as ever."""
    import warnings

    from sepkit import separation
    from sepkit.models.downloads import Caution

    def get(*_, **__):
        warnings.warn("seen: the test\nsongs", Caution)
        warnings.warn("something else", UserWarning)
        raise SepkitError("and no further")

    monkeypatch.setattr(separation, "get", get)
    lines = sepkit("separate", "song.wav", "--device", "cpu").stderr.splitlines()
    assert (
        lines[0] == "sepkit: note: seen: the test songs"
        and lines[-1] == "sepkit: error: and no further"
    )
    assert "UserWarning: something else" in lines[1]


@pytest.fixture
def songs(tmp_path):
    """A data set of two songs made of noises and a tone, 8 kHz."""
    generator = torch.Generator().manual_seed(0)
    for split, name in (("train", "a"), ("train", "b"), ("test", "c d")):
        time = torch.arange(16000) / 8000
        stems = {
            "vocals": torch.sin(2 * torch.pi * 440 * time).repeat(2, 1) * 0.3,
            "drums": torch.randn(2, 16000, generator=generator) * 0.05,
        }
        folder = tmp_path / "songs" / split / name
        for stem, sound in {**stems, "mixture": sum(stems.values())}.items():
            audio.write(folder / f"{stem}.wav", sound, 8000)
    return tmp_path / "songs"


def test_train_separate_evaluate_end_to_end(songs, tmp_path):
    """A tiny network is trained, separates a song into two stems and is scored, by commands."""
    run, out = tmp_path / "run", tmp_path / "separated"
    small = ("hidden=8", "n_fft=512", "hop=128", "sample_rate=8000", "bandwidth=4000", "layers=1")
    settings = [part for setting in small for part in ("--setting", setting)]
    trained = sepkit(
        "train",
        "--data",
        songs,
        "--out",
        run,
        "--max-steps",
        3,
        "--batch",
        2,
        "--chunk-seconds",
        0.5,
        "--device",
        "cpu",
        *settings,
    )
    assert trained.exit_code == 0, trained.stderr
    checkpoint = run / "vocals.safetensors"
    assert trained.stdout.strip() == str(checkpoint) and checkpoint.is_file()

    song = songs / "test" / "c d" / "mixture.wav"
    separated = sepkit(
        "separate",
        song,
        tmp_path / "missing.wav",
        "--model",
        checkpoint,
        "--out",
        out,
        "--two-stems",
        "vocals",
        "--device",
        "cpu",
    )
    assert (
        separated.exit_code == 1
        and "missing.wav" in separated.stderr
        and separated.stderr.count("\n") == 1
    )
    written = sorted(separated.stdout.split("\n"))[1:]
    assert len(written) == 2 and all(audio.info(path).samples == 16000 for path in written)

    scores = tmp_path / "scores.json"
    scored = sepkit(
        "evaluate",
        "--separator",
        checkpoint,
        "--data",
        songs,
        "--out",
        scores,
        "--metric",
        "usdr",
        "--device",
        "cpu",
    )
    assert scored.exit_code == 0, scored.stderr
    assert scores.is_file() and "uSDR on folder:songs (dB)" in scored.stdout


def test_evaluate_folders_prints_json(songs, tmp_path):
    said = sepkit(
        "evaluate",
        "--reference",
        songs / "test",
        "--estimate",
        songs / "test",
        "--metric",
        "si_sdr",
        "--json",
    )
    assert said.exit_code == 0, said.stderr
    rows = json.loads(said.stdout)
    assert {row["target"] for row in rows} == {"vocals", "drums"}
    assert {row["value"] for row in rows} == {"inf"}  # estimates are the references


def test_evaluate_prints_one_table_a_metric_and_shows_kept_scores_again(songs, tmp_path):
    options = (
        "--reference",
        songs / "test",
        "--estimate",
        songs / "test",
        "--out",
        tmp_path / "kept",
    )
    said = sepkit(
        "evaluate",
        *options,
        "--metrics",
        "usdr,isr",
        "--metric",
        "sar",
        "--window",
        0.5,
        "--hop",
        0.5,
    )
    assert said.exit_code == 0, said.stderr
    titles = [line for line in said.stdout.splitlines() if line.startswith("#")]
    assert [title.split()[1] for title in titles] == [
        "uSDR",
        "ISR",
        "SAR",
    ] and "frames of 0.5 s" in titles[1]
    assert said.stderr.splitlines()[0].startswith(
        "sepkit: note: c d: the estimate 'vocals' is its reference, sample for sample"
    )
    again = sepkit("evaluate", "--scores", tmp_path / "kept")
    assert (again.exit_code, again.stdout, again.stderr) == (0, said.stdout, "")
    by_song = sepkit("evaluate", "--scores", tmp_path / "kept" / "scores.json", "--songs")
    assert by_song.stdout.splitlines()[1].split("\t") == ["system", "song", "vocals", "drums"]
    assert by_song.stdout.splitlines()[2].split("\t")[1] == "c d"


@pytest.mark.parametrize(
    "metrics, told", [("", "no metrics were named"), ("usdr,nsdr", "unknown metric 'nsdr'")]
)
def test_evaluate_looks_at_the_metrics_before_it_renders_anything(metrics, told, tmp_path):
    said = sepkit(
        "evaluate", "--separator", "mixture", "--metrics", metrics, SEPKIT_DATA=str(tmp_path)
    )
    assert said.exit_code == 1 and told in said.stderr
    assert not list(tmp_path.iterdir())


def test_evaluate_shows_files_of_museval(tmp_path):
    for method, value in (("A", "1.5"), ("B", "NaN")):
        folder = tmp_path / method / "test"
        folder.mkdir(parents=True)
        frames = f'[{{"time": 0, "duration": 1, "metrics": {{"SDR": {value}, "SIR": 2}}}}]'
        (folder / "song.json").write_text(
            f'{{"targets": [{{"name": "vocals", "frames": {frames}}}]}}'
        )
    said = sepkit("evaluate", "--scores", tmp_path / "A", "--scores", tmp_path / "B")
    lines = said.stdout.splitlines()
    assert said.exit_code == 0 and lines[0].startswith(
        "# cSDR (dB): BSSEval v4 images, median over frames of 1 s"
    )
    assert lines[1:4] == ["system\tvocals\tsongs", "A\t1.50\t1", "B\tnan\t1"] and lines[
        4
    ].startswith("# SIR")
    (tmp_path / "A" / "test" / "song.json").write_text("{}")
    said = sepkit("evaluate", "--scores", tmp_path)
    assert said.exit_code == 1 and "song.json: not a file of museval's scores" in said.stderr


def test_reproduce_runs_reports_and_fails_with_the_failing_cell(songs, tmp_path):
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    parameters = "profile = weights = data = device = seed = out_dir = None"
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    for name, cell in (("01_fine", "print(data)"), ("02_broken", "1 / 0")):
        cells = [new_code_cell(parameters, metadata={"tags": ["parameters"]}), new_code_cell(cell)]
        nbformat.write(new_notebook(cells=cells), notebooks / f"{name}.ipynb")
    common = (
        "--notebooks",
        notebooks,
        "--data",
        songs,
        "--out",
        tmp_path / "out",
        "--profile",
        "smoke",
    )
    said = sepkit("reproduce", *common)
    assert said.exit_code == 1 and (tmp_path / "out" / "report.html").is_file()
    assert said.stdout.strip() == f"report: {tmp_path / 'out' / 'report.html'}"
    assert said.stderr.splitlines()[-1].startswith(
        "sepkit: error: 02_broken: cell 3 of 3: ZeroDivisionError: division by zero"
    )
    assert sepkit("reproduce", "01", *common).stderr == "01_fine  unchanged\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_reproduce_shows_how_each_chapter_ended(monkeypatch, terminal):
    """On a terminal with cells that move, elsewhere in one plain line per chapter."""
    seen = io.StringIO()
    seen.isatty = lambda: terminal
    with redirect_stderr(seen), monkeypatch.context() as patch:
        for name, value in {"COLUMNS": "120", "TERM": "xterm", "NO_COLOR": "1"}.items():
            patch.setenv(name, value)
        with show_jobs() as on_event:
            on_event("01_a", "unchanged", {"seconds": 9.0, "finished": 1, "of": 3, "left": 300})
            on_event("02_b", "waiting", {})
            on_event("03_c", "waiting", {})
            for cell in range(3):
                on_event("02_b", "cell", {"cell": cell, "of": 3})
            on_event("02_b", "done", {"seconds": 12.3, "finished": 2, "of": 3, "left": 120})
            on_event("03_c", "failed", {"seconds": None, "finished": 3, "of": 3, "left": 0})
    lines = [
        "01_a  unchanged  (1 of 3)",
        "02_b  done  12 s  (2 of 3, about 2 min left)",
        "03_c  FAILED  (3 of 3)",
    ]
    if terminal:
        assert all(line in seen.getvalue() for line in [*lines, "3 of 3 jobs"])
    else:
        assert seen.getvalue().splitlines() == lines
