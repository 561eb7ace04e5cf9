"""Random calls of every command: one line or a result, never a traceback or a hang.

``SEPKIT_FUZZ=17:1000`` tries another seed and number of calls.
"""

import json
import os
import random
import shlex
import signal
import warnings

import nbformat
import numpy as np
import pytest
import soundfile
from nbformat.v4 import new_code_cell, new_notebook
from typer.testing import CliRunner

from sepkit import audio, band, cli, models

SEED, CALLS = map(int, os.environ.get("SEPKIT_FUZZ", "0:320").split(":"))
#: Seconds of computing that a call may take, and of waiting: other programs may keep the machine
#: busy.
LIMIT, HANGS = 60, 600
RATE = 8000
#: Values that no option was made for.
ODD = (
    "",
    " ",
    "0",
    "-1",
    "1.5",
    "2.0",
    "nan",
    "inf",
    "-inf",
    "1e308",
    "1e-300",
    "1" + "0" * 22,
    "1" + "0" * 5000,
    "4294967296",
    "~nosuchuser",
    "~",
    "..",
    "/dev/null",
    "/proc/nowhere",
    "é\u202e\U0001f3b5",
    "a" * 300,
    "[]",
    "{}",
    "[" * 5000,
    "null",
    "true",
    "-",
    "--",
    "a=b",
    "=",
    ",",
    "1,2",
    "%s",
    "${HOME}",
    "<b>",
    "\n",
    "x\ty",
)
NUMBERS = ("0", "1", "2", "3", "0.5", "1000")
NAMES = ("vocals", "drums", "mixture", "Vocals", "nonsense")
RECIPE = (
    "clip=5",
    "gains=null",
    "lr_factor=-1",
    "max_steps=1.5",
    "seed=1e99",
    "speech_prob=0.5",
    "batch=[]",
    "log=x",
    "ema=0.9",
    "x",
    "schedule=cosine",
    "warm_up=2",
    "swap=nan",
    "gains=[1,0]",
    "cut_seconds=0.2",
    "activity=true",
    "workers=-3",
)
SETTINGS = (
    "bandwidth=0",
    "bandwidth=1e9",
    "layers=0",
    "target=drums",
    "dropout=2",
    "hop=100",
    "channels=3",
    "x=1",
    "hidden={}",
)
KNOBS = (
    "workers=0",
    "tempo=90",
    "tempo=nan",
    "key=1.5",
    "genre=polka",
    "a_cappella=true",
    "root=1",
    "progress=1",
    "seed=3",
    "swing=",
)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Songs, a checkpoint and chapters, all tiny; and what options may take from them."""
    folder = tmp_path_factory.mktemp("fuzz")
    rng = np.random.default_rng(0)
    for split, name in (("train", "a"), ("train", "b"), ("test", "c d"), ("test", "ü")):
        stems = {stem: rng.normal(0, 0.1, (2 * RATE, 2)) for stem in ("vocals", "drums")}
        (folder / "songs" / split / name).mkdir(parents=True)
        for stem, samples in {**stems, "mixture": sum(stems.values())}.items():
            soundfile.write(folder / "songs" / split / name / f"{stem}.wav", samples, RATE)
    small = dict(hidden=8, layers=1, n_fft=256, hop=64, sample_rate=RATE, bandwidth=4000)
    models.save(folder / "model.safetensors", models.build("open-unmix", **small))
    (folder / "broken.wav").write_bytes(b"RIFF no")
    (folder / "notebooks").mkdir()
    parameters = 'profile = weights = data = device = seed = out_dir = ""'
    cells = [
        new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        new_code_cell("1 / int(seed)"),
    ]
    nbformat.write(new_notebook(cells=cells), folder / "notebooks" / "01_one.ipynb")
    scores = [{"track": "x", "target": "vocals"}]
    (folder / "scores.json").write_text(json.dumps({"scores": scores}))
    return folder


def commands(places):
    """Command -> (weight, arguments that are always there, {option: good values})."""
    songs, test = f"{places}/songs", f"{places}/songs/test"
    mixture = f"{test}/c d/mixture.wav"
    data, device = (
        (songs, songs, test, f"{places}/nowhere", "band"),
        ("cpu", "auto", "cuda", "cpu:0", "tpu"),
    )
    preset, workers = ("smoke", "student", "huge"), ("1", "1", "1", "2")
    metrics = ("usdr", "si_sdr,usdr", "csdr", "usdr,usdr", "x")
    separator = ("mixture", "irm1", "centre", f"{places}/model.safetensors", "nonsense", songs)
    return {
        "models": (1, [], {"--json": None}),
        "doctor": (1, [], {"--json": None, "--root": (songs,)}),
        "data list": (1, [], {"--json": None, "--root": (songs,)}),
        "data activity": (
            3,
            ["--cache", "OUT"],
            {
                "--data": data,
                "--split": ("train", "test", "x"),
                "--preset": preset,
                "--workers": workers,
                "--json": None,
            },
        ),
        "data band": (
            6,
            ["--root", "OUT", "--seconds", "2", "--train", "1", "--test", "0", "--voice", "dsp"],
            {
                "--train": NUMBERS[:4],
                "--test": NUMBERS[:3],
                "--seconds": ("2", "3"),
                "--seed": NUMBERS,
                "--genre": ("ska", "x"),
                "--knob": KNOBS,
                "--workers": workers,
                "--preset": preset,
                "--knobs": None,
                "--soundfont": ("nowhere", "OUT"),
                "--voice": ("dsp", "auto", "x"),
            },
        ),
        "data augment": (
            5,
            ["--out", "OUT", "--workers", "1"],
            {
                "--data": data,
                "--preset": preset,
                "--pitch": ("1", "none", "-2,2", "13"),
                "--speed": ("none", "1.1", "1", "0.5"),
                "--shift": ("none", "0.5", "5", "-1,1"),
                "--speed-by": ("resample", "x"),
                "--with-valid": None,
                "--workers": workers,
            },
        ),
        "separate": (
            8,
            [mixture, "--out", "OUT"],
            {
                "--model": separator,
                "--two-stems": NAMES,
                "--device": device,
                "--ext": ("wav", "flac", "ogg", "aiff"),
                "--clip": None,
                "--residual": None,
                "--niter": NUMBERS,
                "--precision": ("float32", "bfloat16", "int8", "x"),
                "--name": ("{parent}/{stem}", "{x}"),
                "--subtype": ("PCM_16", "x"),
                "--bitrate": ("128", "3"),
                "--overwrite": None,
                "IN": (f"{places}/broken.wav", test),
            },
        ),
        "evaluate": (
            9,
            [],
            {
                "--reference": (test, songs),
                "--estimate": (test, test, songs),
                "--separator": separator,
                "--data": data,
                "--split": ("train", "valid", "test"),
                "--preset": preset,
                "--scores": (f"{places}/scores.json", "OUT", songs),
                "--metrics": metrics,
                "--window": ("1", "0.5", "1000"),
                "--hop": ("0.5", "0.01"),
                "--songs": None,
                "--interval": None,
                "--out": ("OUT", "OUT.json"),
                "--device": device,
                "--workers": workers,
                "--json": None,
            },
        ),
        "train": (
            8,
            [
                "--out",
                "OUT",
                "--max-steps",
                "2",
                "--max-seconds",
                "3",
                "--batch",
                "2",
                "--chunk-seconds",
                "0.25",
                "--data",
                songs,
            ]
            + [
                part
                for name, value in dict(
                    hidden=8, n_fft=256, hop=64, sample_rate=RATE, bandwidth=4000, layers=1
                ).items()
                for part in ("--setting", f"{name}={value}")
            ],
            {
                "--model": ("open-unmix", "nonsense"),
                "--target": NAMES,
                "--data": data,
                "--size": ("student", "huge"),
                "--setting": SETTINGS,
                "--recipe": RECIPE,
                "--preset": preset,
                "--chunk-seconds": ("0.5", "1"),
                "--mix-prob": ("0", "0.5"),
                "--activity": None,
                "--speech": (songs, "band"),
                "--speech-prob": ("0.5",),
                "--strict": None,
                "--loss": ("l1", "x"),
                "--lr": ("0.1",),
                "--accumulate": ("2",),
                "--ema": ("0.5",),
                "--precision": ("32-true", "x"),
                "--seed": NUMBERS,
                "--epochs": ("1",),
                "--cache": ("memory", "OUT-cache"),
                "--log": ("csv", "x"),
                "--device": device,
                "--init": (f"{places}/model.safetensors",),
                "--missing": ("silent", "skip", "x"),
            },
        ),
        "experiment": (
            2,
            ["nonsense", "--out", "OUT"],
            {
                "--profile": ("smoke", "x"),
                "--data": data,
                "--preset": preset,
                "--seeds": NUMBERS,
                "--device": device,
                "--json": None,
            },
        ),
        "reproduce": (
            1,
            [
                "01",
                "--profile",
                "smoke",
                "--data",
                songs,
                "--out",
                "OUT",
                "--notebooks",
                f"{places}/notebooks",
            ],
            {
                "--seed": ("1", "0", "0..1", "1..", "0,0"),
                "--array": ("1/2", "2/2", "3/2", "x"),
                "--plan": None,
                "--merge": None,
                "--weights": ("shipped", "x"),
                "--device": device,
                "--workers": workers,
                "--force": None,
                "--parameter": ("x=1", "seed=1", "profile=huge"),
                "--timeout": ("30",),
            },
        ),
    }


def draw(rng, known):
    """One call: its command and arguments."""
    name = rng.choices(list(known), [weight for weight, _, _ in known.values()])[0]
    _, always, options = known[name]
    arguments = list(always)
    some = sum(rng.random() < 0.5 for _ in range(8))
    for option in rng.sample(list(options), min(len(options), some)):
        values = options[option]
        value = [] if values is None else [rng.choice(ODD if rng.random() < 0.25 else values)]
        arguments += ([] if option == "IN" else [option]) + value
    if rng.random() < 0.05:
        arguments.insert(rng.randrange(len(arguments) + 1), rng.choice(ODD))
    return name, arguments


def computed():
    """Seconds that this process and its children have computed so far."""
    return sum(os.times()[:4])


class Slow(BaseException):
    """Not an Exception: nothing that a command catches."""


def told_in_time(*_):
    raise Slow


def checked_result(name, arguments, said):
    """Raise an AssertionError if a call that went well has not brought what it should."""
    out = said.stdout.strip()
    assert out, "no output"
    if name == "separate":
        written = [audio.info(path).samples for path in out.splitlines()]
        assert written and set(written) == {2 * RATE}
    elif name == "train":
        assert models.load(out).targets
    elif name == "data band" and "--knobs" not in arguments:
        manifest = json.loads(open(os.path.join(out, band.MANIFEST)).read())
        assert manifest["complete"] and manifest["songs"]
    elif name == "data augment":
        assert json.loads(open(os.path.join(out, "augmented.json")).read())["complete"]
    elif "--json" in arguments:
        assert json.loads(out)


@pytest.fixture
def tiny_band(monkeypatch):
    for name in ("smoke", "student", "experiments"):
        monkeypatch.setitem(
            band.PRESETS,
            name,
            {
                "train": 2,
                "test": 1,
                "seconds": 2.0,
                "genres": ["rock"],
                "voice": "dsp",
                "instruments": "dsp",
                "speech": {
                    "speakers_train": 1,
                    "speakers_test": 1,
                    "utterances": 1,
                    "seconds": 1.0,
                },
            },
        )


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs an alarm clock")
def test_random_calls_bring_a_result_or_one_line(places, tiny_band, tmp_path, monkeypatch):
    rng, known, wrong, codes = random.Random(SEED), commands(places), [], []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEPKIT_DATA", str(places / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    signal.signal(signal.SIGALRM, told_in_time)
    for number in range(CALLS):
        name, arguments = draw(rng, known)
        arguments = [argument.replace("OUT", f"{tmp_path}/out{number}") for argument in arguments]
        call, began = f"sepkit {name} {shlex.join(arguments)}", computed()
        signal.alarm(HANGS)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                said = CliRunner().invoke(
                    cli.app,
                    [*name.split(), *arguments],
                    env={"COLUMNS": str(rng.choice((10, 80, 200)))},
                )
        except Slow:
            wrong.append(f"{call}\n  took more than {HANGS} s")
            continue
        finally:
            signal.alarm(0)
        codes.append(said.exit_code)
        try:
            assert said.exit_code in (0, 1, 2), f"exit code {said.exit_code}"
            assert said.exception is None or isinstance(said.exception, SystemExit), repr(
                said.exception
            )
            assert "error: unexpected" not in said.output and "Traceback" not in said.output, (
                "a riddle"
            )
            if said.exit_code == 1:
                lines = said.stderr.splitlines()
                assert any(line.startswith("sepkit: error: ") for line in lines), "no line says why"
            assert computed() - began < LIMIT, f"computed for {computed() - began:.0f} s"
            if said.exit_code == 0:
                checked_result(name, arguments, said)
        except Exception as problem:
            wrong.append(f"{call[:600]}\n  {problem}: {said.stdout[-300:]} {said.stderr[-600:]}")
    assert not wrong, f"{len(wrong)} of {CALLS} calls:\n" + "\n".join(wrong)
    assert codes.count(0) >= CALLS / 20 and codes.count(1) >= CALLS / 5, (
        "too few calls went well, or too few got that far"
    )
