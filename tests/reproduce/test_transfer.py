"""The transfer experiment: training data of each arm, and two test sets told apart."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sepkit import audio
from sepkit.datasets import MemoryTrack, open_tracks, real_mixes
from sepkit.errors import SepkitError
from sepkit.reproduce import experiments
from sepkit.reproduce.experiments import catalogue
from sepkit.training import Recipe

RATE = 8000
TINY = dict(hidden=4, layers=1, n_fft=256, hop=128, sample_rate=RATE, channels=1, bandwidth=4000)
RECIPE = Recipe(batch=2, chunk_seconds=3.0, samples_per_track=2, max_steps=1, lr=1e-2)
# As it is, but for smaller networks, shorter chunks and one step.
SMOKE = catalogue.design("transfer", "smoke")
DESIGN = replace(SMOKE, settings=TINY, recipe=RECIPE)


def noise(seed, seconds=4.0, rate=RATE, channels=1):
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(channels, int(seconds * rate), generator=generator)


def write_songs(folder, seed):
    for number, split in enumerate(("train", "train", "valid", "test")):
        for k, stem in enumerate(("vocals", "other")):
            path = folder / split / f"{split}{number}" / f"{stem}.wav"
            audio.write(path, noise(seed + 10 * number + k), RATE)
    return str(folder)


@pytest.fixture
def data(tmp_path):
    return write_songs(tmp_path / "songs", 0), write_songs(tmp_path / "natural", 1000)


@pytest.fixture
def real(monkeypatch):
    """Two mixtures in the place of the recordings."""

    def mixes(sample_rate, channels):
        return [
            MemoryTrack(f"real-{k}", {"vocals": noise(k, 1), "other": noise(9 + k, 1)}, sample_rate)
            for k in (1, 2)
        ]

    monkeypatch.setattr(real_mixes, "available", lambda: True)
    monkeypatch.setattr(real_mixes, "real_mixes", mixes)


def go(data, tmp_path, **options):
    songs, natural = data
    return experiments.run(
        "transfer",
        options.pop("design", DESIGN),
        songs,
        seeds=1,
        out=tmp_path / "out",
        device="cpu",
        **{"natural": natural, "notice": lambda text: None, **options},
    )


def test_every_arm_is_scored_on_both_test_sets_and_each_has_a_name(data, tmp_path, real):
    told = []
    scores = go(data, tmp_path, notice=told.append)
    arms = [arm.name for arm in DESIGN.arms]
    assert arms == [
        "base",
        "vocals by 4 semitones",
        "doubling and breath",
        "louder vocals",
        "equaliser",
        "natural voices",
        "all together",
    ]
    for dataset, songs in (
        ("folder:songs, 8 kHz mono", {"test3"}),
        ("real mixes, 8 kHz mono", {"real-1", "real-2"}),
    ):
        own = [score for score in scores if score.dataset == dataset]
        assert {(s.separator, s.track) for s in own} == {(a, song) for a in arms for song in songs}
        rules = {s.provenance.get("test songs") for s in own}
        assert rules == ({real_mixes.RULE} if dataset.startswith("real") else {None})
    assert {s.provenance["steps"] for s in scores} == {1}
    (command,) = {s.provenance["command"] for s in scores}  # by name, without a machine's path
    assert command.endswith(f"--seeds 1 --natural {Path(data[1]).name}"), command
    rows = experiments.summary(scores)
    assert [(row["arm"], row["tested on"], row["songs"]) for row in rows[:2]] == [
        ("base", "folder:songs, 8 kHz mono", 1),
        ("base", "real mixes, 8 kHz mono", 2),
    ]
    assert len(rows) == 2 * len(arms)
    assert len(told) == len(arms)
    assert all("on folder:songs, 8 kHz mono, " in t and "on real mixes, 8 kHz" in t for t in told)


def test_natural_voices_are_trained_on_and_the_tests_stay(data, tmp_path, monkeypatch):
    monkeypatch.setattr(real_mixes, "available", lambda: False)
    trained = {}
    original = experiments.running._Runner._plan

    def planned(self, arm, seed):
        plan = original(self, arm, seed)
        trained[arm.name] = [track.identity() for track in plan.songs["train"]]
        return plan

    monkeypatch.setattr(experiments.running._Runner, "_plan", planned)
    scores = go(data, tmp_path)
    own, natural = (
        [track.identity() for track in open_tracks(folder, "train", sample_rate=RATE, channels=1)]
        for folder in data
    )
    assert own != natural
    for arm in DESIGN.arms:
        assert trained[arm.name] == (natural if arm.natural else own)
    assert {s.track for s in scores} == {"test3"} and "tested on" not in experiments.summary(
        scores
    )[0]


def test_recordings_that_turn_up_later_are_scored_without_training_again(
    data, tmp_path, real, monkeypatch
):
    design = replace(DESIGN, arms=DESIGN.arms[:1])
    with monkeypatch.context() as without:
        without.setattr(real_mixes, "available", lambda: False)
        first = go(data, tmp_path, design=design)
    log = tmp_path / "out" / "transfer" / "base-0" / "log.csv"
    written = log.read_text()  # with the seconds that it took
    scores = go(data, tmp_path, design=design)
    assert {s.track for s in scores} - {s.track for s in first} == {"real-1", "real-2"}
    assert log.read_text() == written


def test_natural_voices_that_are_not_given_are_asked_for(data, tmp_path, real):
    with pytest.raises(SepkitError, match="'natural voices' needs --natural FOLDER; .*needs flite"):
        go(data, tmp_path, natural=None, design=replace(DESIGN, arms=DESIGN.arms[-2:]))


def test_arms_differ_from_the_base_in_one_thing_and_have_five_seeds():
    assert catalogue.EXPERIMENTS["transfer"].seeds >= 5
    for profile in catalogue.PROFILES:
        base, *others, every = catalogue.design("transfer", profile).arms
        changed = [
            {key: value for key, value in arm.recipe.items() if base.recipe.get(key) != value}
            for arm in others
        ]
        assert [len(change) + arm.natural for change, arm in zip(changed, others)] == [
            1,
            2,
            1,
            1,
            1,
        ]
        whole = {key: value for change in changed for key, value in change.items()}
        assert every.natural and every.recipe == {**base.recipe, **whole}
