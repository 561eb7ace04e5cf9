"""What museval writes, and what others made of it, becomes Scores; what is broken is named."""

import hashlib
import json
import math

import numpy as np
import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.metrics import (
    aggregate,
    card_for,
    comparable,
    framewise_sdr,
    load_museval,
    load_scores,
    museval_frames,
    save_scores,
)

RATE = 8000


def frame(time, duration=1.0, **metrics):
    return {"time": time, "duration": duration, "metrics": metrics}


def write(path, targets, **extra):
    """A file in museval's schema; Python writes NaN and Infinity bare, as museval does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "targets": [{"name": name, "frames": frames} for name, frames in targets.items()],
        **extra,
    }
    path.write_text(json.dumps(content))
    return path


def values(scores):
    return {(s.separator, s.track, s.target, s.metric): s.value for s in scores}


def test_medians_of_frames_with_bare_nan(tmp_path):
    sdrs, sirs = [1.0, math.nan, 4.0, 2.0, 10.0], [math.nan] * 5
    path = write(
        tmp_path / "TAK1" / "test" / "A - Ü.json",
        {"vocals": [frame(k, SDR=sdrs[k], SIR=sirs[k]) for k in range(5)]},
        museval_version="0.3.0",
    )
    assert "NaN" in path.read_text()
    scores = load_museval(path, dataset="musdb18")
    assert [(s.separator, s.track, s.target, s.metric, s.dataset) for s in scores] == [
        ("TAK1", "A - Ü", "vocals", "csdr", "musdb18"),
        ("TAK1", "A - Ü", "vocals", "sir", "musdb18"),
    ]
    assert scores[0].value == np.nanmedian(sdrs) == 3.0 and math.isnan(scores[1].value)
    assert scores[0].card == card_for("csdr", ["vocals"]) and scores[1].card == card_for(
        "sir", ["vocals"]
    )
    known = scores[0].provenance
    assert (
        known["origin"] == "third party"
        and known["file"] == "A - Ü.json"
        and known["museval"] == "0.3.0"
    )
    assert known["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert known["device"] is None and known["seed"] is None  # nobody knows
    frames = museval_frames(path)
    assert list(frames) == ["vocals"] and list(frames["vocals"]) == ["csdr", "sir"]
    np.testing.assert_array_equal(frames["vocals"]["csdr"].numpy(), sdrs)


def test_window_and_hop_come_from_the_file(tmp_path):
    path = write(tmp_path / "a.json", {"x": [frame(0.75 * k, 1.5, SDR=1.0) for k in range(3)]})
    assert load_museval(path)[0].card == card_for("csdr", ["x"], 1.5, 0.75)
    single = write(tmp_path / "b.json", {"x": [frame(0.0, 2.0, SDR=1.0)]})
    assert (load_museval(single)[0].card.window, load_museval(single)[0].card.hop) == (2.0, 2.0)


def test_a_folder_of_methods_and_splits(tmp_path):
    for method in ("A", "B"):
        for track in ("one", "two"):
            write(tmp_path / method / "test" / f"{track}.json", {"vocals": [frame(0, SDR=1.0)]})
    write(tmp_path / "A" / "train" / "three.json", {"vocals": [frame(0, SDR=1.0)]})
    (tmp_path / "A" / "test" / ".hidden.json").write_text("half a fi")  # what a kill leaves behind
    found = load_museval(tmp_path)
    assert {(s.separator, s.track) for s in found} == {
        ("A", "one"),
        ("A", "two"),
        ("A", "three"),
        ("B", "one"),
        ("B", "two"),
    }
    assert {s.separator for s in load_museval(tmp_path / "B", separator="mine")} == {"mine"}
    write(tmp_path / "A" / "valid" / "one.json", {"vocals": [frame(0, SDR=1.0)]})
    with pytest.raises(
        SepkitError, match="valid/one.json: .*test/one.json holds this song of 'A' too"
    ):
        load_museval(tmp_path)


def test_null_is_understood(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(
        '{"targets": [{"name": "x", "frames": ['
        '{"time": 0, "duration": 1, "metrics": {"SDR": 4, "SIR": null, "SAR": 5.5}},'
        '{"time": 1, "duration": 1, "metrics": {"SDR": 2, "SIR": null, "ISR": -1e-3}}]}]}'
    )
    assert values(load_museval(path, "m")) == {
        ("m", "a", "x", "csdr"): 3.0,
        ("m", "a", "x", "isr"): -1e-3,
        ("m", "a", "x", "sar"): 5.5,
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not a JSON file"),
        ('{"targets": [{"name": "voc', "not a JSON file"),
        ("[]", 'not a file of museval\'s scores; expected {"targets"'),
        ('{"targets": []}', "not a file of museval's scores"),
        (
            '{"targets": [{"frames": []}]}',
            r"incomplete, targets.0..name is not a text; expected time, duration and metrics",
        ),
        ('{"targets": [{"name": "x", "frames": []}]}', "target 'x' has no frames"),
        (
            '{"targets": [{"name": "x", "frames": [{"metrics": {"SDR": 1}}]}]}',
            r"incomplete, targets.0..frames.0..metrics.*|targets.0..frames.0..time is NoneType",
        ),
        (
            '{"targets": [{"name": "x", "frames": [{"time": 0, "duration": 1}]}]}',
            "incomplete, targets.0..frames.0..metrics is not an object",
        ),
        (
            '{"targets": [{"name": "x", "frames": ['
            '{"time": 0, "duration": 1, "metrics": {"SDR": "good"}}]}]}',
            "targets.0..frames.0..metrics.SDR is str; expected a finite number or null",
        ),
        ('{"targets": ["x"]}', "incomplete, targets.0..name is not a text"),
        ('{"targets": ' * 100_000, "not a JSON file"),
        ("[" * 100_000, "not a JSON file of ours .nested too deeply"),
        ('{"targets": 1, "targets": [2]}', "not a JSON file .the key 'targets' is there twice"),
        (b"\xff\xfe\x00", "not a JSON file"),
    ],
)
def test_broken_files_are_named(tmp_path, text, told):
    path = tmp_path / "song.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for what in (path, tmp_path):
        with pytest.raises(SepkitError, match=f"song.json: .*{told}") as error:
            load_museval(what)
        assert "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize("key", ["time", "duration", "SDR", "SAR"])
@pytest.mark.parametrize(
    "value",
    [
        "true",
        '"5.5"',
        "Infinity",
        "-Infinity",
        "1e999",
        "9" * 400,
        "-" + "9" * 400,
        "9" * 5000,
        "[]",
        "{}",
        "[1]",
        '{"a": 1}',
    ],
)
def test_what_is_no_number_is_told_with_its_place(tmp_path, key, value):
    """Booleans, texts, infinities, whole numbers beyond floats: in the second of three frames."""

    def fields(k, *names):
        values = {"time": k, **({key: value} if k == 1 else {})}
        return ", ".join(f'"{name}": {values.get(name, 1)}' for name in names)

    frames = ", ".join(
        f'{{{fields(k, "time", "duration")}, "metrics": {{{fields(k, "SDR", "SAR")}}}}}'
        for k in range(3)
    )
    (tmp_path / "song.json").write_text(f'{{"targets": [{{"name": "x", "frames": [{frames}]}}]}}')
    place = r"targets\[0\].frames\[1\]." + (f"metrics.{key}" if key.isupper() else key)
    with pytest.raises(
        SepkitError,
        match=f"song.json: ({place} is .*expected a finite number|not a JSON file .*4300 digits)",
    ) as error:
        load_museval(tmp_path / "song.json")
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_frames_that_are_no_course_of_time_are_named(tmp_path):
    for times, lengths in (
        ((0, 1), (0, 0)),
        ((0, 1), (-1, -1)),
        ((1, 0), (1, 1)),
        ((0, 0), (1, 1)),
        ((-1, 0), (1, 1)),
        ((0,), (0,)),
    ):
        path = write(
            tmp_path / "a.json",
            {"x": [frame(time, length, SDR=1.0) for time, length in zip(times, lengths)]},
        )
        with pytest.raises(
            SepkitError, match="a.json: its frames are not in order, or have no duration"
        ):
            load_museval(path)
    for key in ("time", "duration"):
        (tmp_path / "b.json").write_text(
            json.dumps(
                {"targets": [{"name": "x", "frames": [{**frame(0, SDR=1.0), key: math.nan}]}]}
            )
        )
        with pytest.raises(
            SepkitError,
            match=f"b.json: targets.0..frames.0..{key} is nan; expected a finite number$",
        ):
            load_museval(tmp_path / "b.json")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "x\n", "\x1b[31m", "x" * 500])
def test_targets_have_plain_names(tmp_path, name):
    with pytest.raises(SepkitError, match="a.json: the target .* expected a plain name"):
        load_museval(write(tmp_path / "a.json", {name: [frame(0, SDR=1.0)]}))


def test_files_that_contradict_themselves_are_named(tmp_path):
    one = [frame(0, SDR=1.0), frame(1, SDR=1.0)]
    for targets in (
        {"x": [frame(0, SDR=1.0), frame(1, 2.0, SDR=1.0)]},
        {"x": [frame(0, SDR=1.0), frame(1, SDR=1.0), frame(3, SDR=1.0)]},
        {"x": one, "y": one[:1]},
    ):
        with pytest.raises(
            SepkitError, match="a.json: its targets or frames differ in time or duration"
        ):
            load_museval(write(tmp_path / "a.json", targets))
    content = {"targets": [{"name": "x", "frames": one}] * 2}
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(SepkitError, match="two targets are called 'x'"):
        load_museval(tmp_path / "a.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        SepkitError, match="empty: no JSON files; expected museval's, such as METHOD/test/SONG.json"
    ):
        load_museval(tmp_path / "empty")
    with pytest.raises(SepkitError, match="missing.json: no such file"):
        load_museval(tmp_path / "missing.json")


def test_museval_scores_vocals_with_the_accompaniment_and_cards_say_so(tmp_path):
    four = ("vocals", "drums", "bass", "other")
    (alone,) = (
        s
        for s in load_museval(write(tmp_path / "a.json", {t: [frame(0, SDR=1.0)] for t in four}))
        if s.target == "vocals"
    )
    five = {
        s.target: s
        for s in load_museval(
            write(tmp_path / "b.json", {t: [frame(0, SDR=2.0)] for t in (*four, "accompaniment")})
        )
    }
    assert (
        five["vocals"].card.target_set
        == five["accompaniment"].card.target_set
        == ("accompaniment", "vocals")
    )
    assert five["drums"].card == card_for("csdr", four) == alone.card
    with pytest.raises(
        SepkitError,
        match=r"they differ in card.target_set: \('accompaniment', 'vocals'\) \| "
        r"\('bass', 'drums', 'other', 'vocals'\)",
    ):
        aggregate([alone, five["vocals"]])


def test_what_others_wrote_is_kept_and_compared_by_the_same_rules(tmp_path):
    ours = load_museval(
        write(tmp_path / "ours" / "a.json", {"x": [frame(0, SDR=1.0)]}), dataset="d"
    )
    theirs = load_museval(
        write(tmp_path / "theirs" / "a.json", {"x": [frame(0, SDR=3.0)]}), dataset="d"
    )
    assert comparable(theirs, ours) == ({"a": 3.0}, {"a": 1.0})
    old = load_museval(
        write(tmp_path / "old" / "a.json", {"x": [frame(0, SDR=3.0)]}),
        dataset="d",
        version="BSSEval v3 images",
    )
    with pytest.raises(SepkitError, match="card.version: BSSEval v3 images | BSSEval v4 images"):
        comparable(old, ours)
    save_scores(tmp_path / "kept.json", theirs)
    assert load_scores(tmp_path / "kept.json") == theirs


class MusdbTrack:
    """As much of a musdb track as `museval.eval_mus_track` looks at."""

    name, subset, rate = "a song", "test", RATE

    def __init__(self, stems):
        class Target:
            def __init__(self, audio):
                self.audio = audio

        rest = sum(x for name, x in stems.items() if name != "vocals")
        self.targets = {name: Target(x) for name, x in {**stems, "accompaniment": rest}.items()}


@pytest.mark.slow
def test_files_that_museval_writes_itself(tmp_path, museval_package):
    """SDR of vocals with accompaniment, drums and bass with vocals; silent frames are bare NaN."""
    rng = np.random.default_rng(0)
    stems = {name: 0.1 * rng.standard_normal((3 * RATE, 1)) for name in ("vocals", "drums", "bass")}
    stems["drums"][RATE : 2 * RATE] = 0
    track = MusdbTrack(stems)
    truth = {name: target.audio for name, target in track.targets.items()}
    estimates = {name: x + 0.02 * rng.standard_normal(x.shape) for name, x in truth.items()}
    museval_package.eval_mus_track(track, estimates, output_dir=str(tmp_path / "METHOD"))
    path = tmp_path / "METHOD" / "test" / "a song.json"
    assert "NaN" in path.read_text()
    for together, names in (
        (("vocals", "accompaniment"), ("vocals", "accompaniment")),
        (("vocals", "drums", "bass"), ("drums", "bass")),
    ):
        pair = (
            torch.stack([torch.as_tensor(audio[name].T) for name in together])
            for audio in (truth, estimates)
        )
        ours = framewise_sdr(*pair, RATE)
        for name in names:
            np.testing.assert_allclose(
                museval_frames(path)[name]["csdr"].numpy(),
                ours[together.index(name)].numpy(),
                atol=1e-5,
                rtol=0,
            )
    scores = {(s.target, s.metric): s for s in load_museval(tmp_path)}
    assert len(scores) == 16 and {s.separator for s in scores.values()} == {"METHOD"}
    assert scores["drums", "sar"].card == card_for("sar", ["vocals", "drums", "bass"])
    assert scores["vocals", "csdr"].card == card_for("csdr", ["vocals", "accompaniment"])
    assert scores["vocals", "csdr"].value == pytest.approx(14, abs=0.3)
    assert scores["vocals", "csdr"].provenance["museval"] == museval_package.version._version


@pytest.mark.slow
def test_files_that_museval_writes_for_two_folders(tmp_path, museval_package):
    import soundfile

    rng = np.random.default_rng(0)
    for folder in ("true", "est"):
        (tmp_path / folder).mkdir()
        soundfile.write(
            tmp_path / folder / "speech.wav", 0.1 * rng.standard_normal((2 * RATE, 1)), RATE
        )
    store = museval_package.eval_dir(str(tmp_path / "true"), str(tmp_path / "est"))
    store.save(tmp_path / "song.json")
    assert {s.target for s in load_museval(tmp_path / "song.json")} == {
        "speech"
    }  # museval calls it speech.wav
