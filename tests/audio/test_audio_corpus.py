"""A corpus of files in every format, whole, cut, flipped and fuzzed, against ffmpeg."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest

from sepkit import audio
from sepkit.errors import SepkitError

from . import audio_corpus

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not audio_corpus.HAVE_FFMPEG, reason="ffmpeg is not installed"),
]
FRAME = 1152  # samples of an MPEG frame
#: Decoders that round otherwise than ffmpeg's: the largest difference.
TOLERANCE = {"ima.wav": 2e-3, "opus.webm": 5e-3, "layer2.mp2": 1e-4}
#: Formats that do not state how long they are: what was cut off leaves no trace.
SILENT = (".mp3", ".mp2", ".aac", ".webm", ".mkv", ".mka")
SEED = 10
FUZZED = 300
SECONDS, BYTES = 60, 6 << 30  # bounds for a file


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    files = audio_corpus.make(tmp_path_factory.mktemp("corpus"))
    assert len(files) >= 80
    return files


def outcome(path):
    """(samples, rate, warnings), or the message of the error."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            x, rate = audio.read(path)
        except SepkitError as error:
            assert path.name in str(error) and "\n" not in str(error)
            return str(error)
    return x.numpy().T, rate, [str(warning.message) for warning in told]


def within(path):
    """How many samples ffmpeg may differ by: it keeps the overlap at the joints of Ogg streams."""
    inexact = path.suffix in (".mp3", ".mp2") or path.stem in ("mp3", "chained")
    return FRAME if inexact else 0


def test_every_whole_file_gives_the_samples_that_ffmpeg_gives(corpus):
    wrong = {}
    for name, path in corpus.items():
        ours, theirs = outcome(path), audio_corpus.reference(path)
        if isinstance(ours, str):
            wrong[name] = ours
        elif theirs is not None:  # ffmpeg does not recognise radio.mp3
            x, rate, _ = ours
            y, its_rate, _ = theirs
            n = min(len(x), len(y), rate)  # ffmpeg loses a frame at some joints of MP3 files
            n = n if len(x) != len(y) else len(x)
            if rate != its_rate or abs(len(x) - len(y)) > within(path):
                wrong[name] = f"{len(x)} samples at {rate} Hz, not {len(y)} at {its_rate}"
            elif (error := np.abs(x[:n] - y[:n]).max()) > TOLERANCE.get(name, 2e-5):
                wrong[name] = f"differs by {error}"
    # ffmpeg finds the packets of a CAF file from a pipe corrupt, and libsndfile does not open it
    assert wrong.pop("pipe.caf", "").count("ffmpeg says") in (0, 1)
    assert not wrong


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_every_damaged_file_gives_the_samples_that_ffmpeg_gives_or_an_error(
    corpus, tmp_path, damage
):
    rng, wrong, refused = np.random.default_rng(SEED), {}, 0
    for name, whole in corpus.items():
        path, data = tmp_path / name, bytearray(whole.read_bytes())
        if damage == "cut":
            data = data[: int(rng.uniform(0.1, 0.95) * len(data))]
        else:
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        ours = outcome(path)
        if isinstance(ours, str):
            refused += 1
        elif (theirs := audio_corpus.reference(path)) is not None:
            short = len(theirs[0]) * ours[1] // theirs[1] - len(ours[0])  # more is no loss
            if short > within(path):
                wrong[name] = f"{short} samples fewer than ffmpeg"
    assert not wrong
    assert refused > (len(corpus) // 2 if damage == "cut" else 10)


FUZZ = """
import json, resource, sys, time, warnings
from pathlib import Path
from sepkit import audio
from sepkit.errors import SepkitError
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
for path in sorted(Path(sys.argv[1]).iterdir()):
    began, found = time.monotonic(), {"name": path.name}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            found["samples"] = audio.read(path)[0].shape[-1]
        except SepkitError as error:
            found["error"] = str(error)
        except BaseException as error:
            found["unexpected"] = repr(error)
    found.update(seconds=time.monotonic() - began, told=len(told))
    print(json.dumps(found), flush=True)
"""


def fuzzed(files, rng):
    """(name of the original, damaged bytes)."""
    names = sorted(files)
    name, other = (names[i] for i in rng.integers(0, len(names), 2))
    data = bytearray(files[name].read_bytes())
    kind = rng.integers(5)
    if kind == 0:
        for at in rng.integers(0, len(data), int(rng.integers(1, 30))):
            data[at] = rng.integers(256)
    elif kind == 1:
        data = data[: int(rng.integers(1, len(data)))]
    elif kind == 2:
        at = int(rng.integers(len(data)))
        data[at:at] = rng.bytes(int(rng.integers(1, 3000)))
    elif kind == 3:
        size = int(rng.integers(8, 600))
        data[:size] = files[other].read_bytes()[:size]
    else:
        for at in rng.integers(0, min(200, len(data)), int(rng.integers(1, 6))):
            data[at] ^= 1 << int(rng.integers(8))
    return name, bytes(data)


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of memory")
def test_no_fuzzed_file_raises_hangs_or_loses_samples_unnoticed(corpus, tmp_path):
    rng, originals = np.random.default_rng(SEED), {}
    for number in range(FUZZED):
        name, data = fuzzed(corpus, rng)
        path = tmp_path / f"{number:03d}_{name}"
        path.write_bytes(data)
        originals[path.name] = name
    command = [sys.executable, "-c", FUZZ, str(tmp_path), str(BYTES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FUZZED * SECONDS / 4)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and len(found) == FUZZED, done.stderr[-2000:]
    assert not [item for item in found if "unexpected" in item]
    assert not [item for item in found if item["seconds"] > SECONDS]
    assert not [e for item in found if "\n" in (e := item.get("error", ""))]
    assert 0.2 * FUZZED < sum("error" in item for item in found) < 0.9 * FUZZED
    lost = []
    for item in found:
        path = tmp_path / item["name"]
        if "samples" not in item or item["told"] or path.suffix in SILENT:
            continue
        whole = audio.info(corpus[originals[item["name"]]]).samples
        if item["samples"] >= whole - within(corpus[originals[item["name"]]]):
            continue
        theirs = audio_corpus.reference(path)  # the header of another file: fewer may be right
        if theirs is not None and item["samples"] < len(theirs[0]):
            lost.append((item, len(theirs[0])))
    assert not lost
