"""The names at the top of the package are those of its parts, and `separate` does what they say."""

import subprocess
import sys

import pytest
import torch

import sepkit
from sepkit import audio, datasets, evaluation, models, separation, training
from sepkit.errors import Notice, SepkitError

RATE = 8000


class Halves(separation.Separator):
    """Two equal parts of whatever it gets, at 8 kHz."""

    def __init__(self, sample_rate=RATE, channels=None):
        super().__init__("halves", ("a", "b"), sample_rate, channels)

    def separate(self, mixture, references=None):
        return {"a": 0.5 * mixture, "b": 0.5 * mixture}


def noise(channels=2, samples=RATE):
    return 0.1 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(0))


def in_python(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_names_are_the_functions_of_the_packages():
    assert sepkit.Track is datasets.Track
    assert (sepkit.read, sepkit.write) == (audio.read, audio.write)
    assert (sepkit.build, sepkit.load) == (models.build, models.load)
    assert sepkit.train is training.train
    assert sepkit.evaluate is evaluation.evaluate
    assert set(sepkit.__all__) == {
        *("Track", "build", "evaluate", "load", "read", "separate", "train", "write")
    }
    assert set(sepkit.__all__) <= set(dir(sepkit))


def test_names_and_packages_do_not_replace_each_other():
    code = "import sepkit; sepkit.train, sepkit.evaluate; import sepkit.training.loop; print({})"
    asked = "callable(sepkit.train), sepkit.training.train is sepkit.train, sepkit.evaluation"
    assert in_python(code.format(asked)).startswith("True True <module 'sepkit.evaluation'")
    with pytest.raises(AttributeError, match="sepkit.*'trian'"):
        _ = sepkit.trian


def test_asking_for_one_name_loads_no_more_than_it_needs():
    code = "import sys, sepkit; sepkit.build; print('sepkit.evaluation' in sys.modules)"
    assert in_python(code) == "False"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, "PASSIVE 500"),
        ({"GOMP_SPINCOUNT": "7"}, "PASSIVE 7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE None"),
    ],
)
def test_how_threads_wait_is_the_users_to_say(given, found, monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    asked = "os.environ['OMP_WAIT_POLICY'], os.environ.get('GOMP_SPINCOUNT')"
    assert in_python(f"import os, sepkit; print({asked})") == found


@pytest.mark.parametrize("given", [None, "AVX2"])
def test_amx_is_left_out_unless_the_user_says_otherwise(given, monkeypatch):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if given:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", given)
    code = "import os, sepkit; print(os.environ['ONEDNN_MAX_CPU_ISA'])"
    assert in_python(code) == (given or "AVX512_CORE_BF16")


def test_a_tensor_a_file_and_a_track_give_the_same_stems(tmp_path):
    x = noise()
    sepkit.write(tmp_path / "song.wav", x, RATE)
    track = datasets.MemoryTrack("song", {"a": 0.25 * x, "b": 0.75 * x}, RATE)
    for song, rate in [(x, RATE), (tmp_path / "song.wav", None), (track, None)]:
        stems = sepkit.separate(song, rate, Halves())
        assert list(stems) == ["a", "b"]
        torch.testing.assert_close(stems["a"], 0.5 * x)


def test_separate_is_what_the_command_writes(tmp_path):
    x = noise(samples=3 * 44100)
    sepkit.write(tmp_path / "song.wav", x, 44100)
    stems = sepkit.separate(tmp_path / "song.wav", device="cpu")
    files = separation.separate_file(
        tmp_path / "song.wav", separation.get(sepkit.DEFAULT_MODEL, "cpu"), tmp_path
    )
    assert set(stems) == set(files) == {"vocals", "accompaniment"}
    for target, path in files.items():
        assert torch.equal(stems[target], sepkit.read(path)[0])


def test_long_audio_is_separated_in_chunks_and_keeps_its_length():
    x = noise(1, 70 * 1000)
    stems = sepkit.separate(x, 1000, Halves(1000))
    torch.testing.assert_close(stems["b"], 0.5 * x)


def test_other_rates_and_channels_come_back_as_they_were_with_a_notice():
    with pytest.warns(Notice, match="16000 Hz is resampled to 8000 Hz and back and mono"):
        stems = sepkit.separate(noise(1, 16000), 16000, Halves(channels=2))
    assert stems["a"].shape == (1, 16000)


def test_oracles_read_the_stems_of_a_track():
    a, b = noise(), noise().flip(-1)
    stems = sepkit.separate(datasets.MemoryTrack("song", {"a": a, "b": b}, 44100), model="irm1")
    assert list(stems) == ["a", "b"]
    torch.testing.assert_close(stems["a"] + stems["b"], a + b, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((noise(),), "give sample_rate"),
        (("song.wav", 44100), "sample_rate is for tensors"),
        (("missing.wav",), "missing.wav: no such file"),
        ((noise()[0], RATE), r"expected a float tensor \(channels, samples\)"),
        ((noise(3), RATE), "has 3 channels"),
        ((noise(), RATE, "open-umix"), "unknown separator 'open-umix'"),
    ],
)
def test_what_cannot_be_separated_is_refused_in_one_line(arguments, message):
    with pytest.raises(SepkitError, match=message):
        sepkit.separate(*arguments)
