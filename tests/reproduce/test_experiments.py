"""Experiments: equal steps, scores of the trained weights, resuming, and what is refused."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sepkit import audio, models
from sepkit.datasets import open_tracks
from sepkit.errors import Notice, SepkitError
from sepkit.files import origin
from sepkit.metrics import save_scores
from sepkit.reproduce import claims, experiments, ledger
from sepkit.reproduce.experiments import Arm, Design, catalogue, cost
from sepkit.reproduce.experiments.catalogue import EXPERIMENTS
from sepkit.training import Recipe
from sepkit.training.checkpoint import read_state, write_state
from sepkit.training.pretraining import Pretraining

RATE = 8000
TINY = dict(hidden=4, layers=1, n_fft=256, hop=128, sample_rate=RATE, channels=1, bandwidth=4000)
RECIPE = Recipe(batch=2, chunk_seconds=0.5, samples_per_track=2, max_steps=3, lr=1e-2)
DESIGN = Design(
    "open-unmix",
    TINY,
    RECIPE,
    (Arm("mse"), Arm("l1", recipe=dict(loss="l1"))),
    metrics=("usdr", "si_sdr"),
)


@pytest.fixture(autouse=True)
def committed(monkeypatch):
    """As if the sources were those of a commit, also while they are worked on."""
    monkeypatch.setattr(origin, "commit", lambda: "0123456789ab")


@pytest.fixture
def songs(tmp_path):
    """A folder of songs: two to train on, one for validation, two for the test."""
    rng = torch.Generator().manual_seed(0)
    for split, count in (("train", 2), ("valid", 1), ("test", 2)):
        for number in range(count):
            for stem in ("vocals", "other"):
                noise = 0.1 * torch.randn(1, 2 * RATE, generator=rng)
                audio.write(
                    tmp_path / "songs" / split / f"{split}{number}" / f"{stem}.wav", noise, RATE
                )
    return str(tmp_path / "songs")


def go(songs, tmp_path, design=DESIGN, seeds=2, **options):
    told = []
    scores = experiments.run(
        "trial",
        design,
        songs,
        seeds=seeds,
        out=tmp_path / "out",
        device="cpu",
        notice=told.append,
        **options,
    )
    return scores, told


def test_every_arm_and_seed_is_trained_for_equal_steps_and_scored_on_every_test_song(
    songs, tmp_path
):
    scores, told = go(songs, tmp_path)
    assert len(scores) == 2 * 2 * 2 * 2 and len(told) == 4  # arms, seeds, songs, metrics
    assert {(s.separator, s.provenance["seed"], s.track) for s in scores} == {
        (arm, seed, song) for arm in ("mse", "l1") for seed in (0, 1) for song in ("test0", "test1")
    }
    assert {s.provenance["steps"] for s in scores} == {3} and {
        s.provenance["train_songs"] for s in scores
    } == {2}
    assert {s.dataset for s in scores} == {
        "folder:songs, 8 kHz mono"
    }  # beside no 44.1 kHz score in one column
    assert all(s.provenance["profile"] == "student" and s.provenance["hours"] >= 0 for s in scores)


def test_the_scores_are_those_of_the_best_checkpoint(songs, tmp_path):
    scores, _ = go(songs, tmp_path, seeds=1)
    net = models.load(tmp_path / "out" / "trial" / "l1-0" / "vocals.safetensors").eval()
    for track in open_tracks(songs, "test", sample_rate=RATE, channels=1):
        with torch.no_grad():
            error = net(track.mixture()[None])[0] - track.stem("vocals")
        expected = 10 * torch.log10(track.stem("vocals").square().sum() / error.square().sum())
        found = next(
            s.value
            for s in scores
            if (s.separator, s.track, s.metric) == ("l1", track.name, "usdr")
        )
        assert found == pytest.approx(float(expected), abs=1e-3)


def test_a_stopped_experiment_goes_on_with_the_next_arm_and_ends_with_the_same_scores(
    songs, tmp_path
):
    whole, _ = go(songs, tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop(told):
        raise Stop

    with pytest.raises(Stop):
        experiments.run(
            "trial",
            DESIGN,
            songs,
            seeds=2,
            out=tmp_path / "broken" / "out",
            device="cpu",
            notice=stop,
        )
    assert not (tmp_path / "broken" / "out" / "trial.json").exists()
    resumed, told = go(songs, tmp_path / "broken")
    assert [line.split(": ")[1].split(";")[0] for line in told][0] == "kept" and sum(
        "kept" in line for line in told
    ) == 1
    assert [(s.separator, s.track, s.metric, s.value) for s in resumed] == [
        (s.separator, s.track, s.metric, s.value) for s in whole
    ]


def test_shares_of_an_experiment_become_whole(songs, tmp_path):
    whole, _ = go(songs, tmp_path / "once")
    told = [go(songs, tmp_path, share=f"{n}/3")[1] for n in (1, 2, 3)]
    assert sum(map(len, told)) == 4 and not (tmp_path / "out" / "trial.json").exists()
    gathered, lines = go(songs, tmp_path)
    assert all(": kept; " in line for line in lines)
    assert [(s.separator, s.track, s.metric, s.value) for s in gathered] == [
        (s.separator, s.track, s.metric, s.value) for s in whole
    ]


def test_an_arm_that_changed_is_trained_again_and_refused_in_the_old_folder(songs, tmp_path):
    go(songs, tmp_path, seeds=1)
    longer = Design(**{**vars(DESIGN), "recipe": RECIPE.but(max_steps=4)})
    scores, told = go(songs, tmp_path, longer, seeds=1)  # more steps: the trainings go on
    assert {s.provenance["steps"] for s in scores} == {4} and "kept" not in " ".join(told)
    with pytest.raises(SepkitError, match="holds a run with hidden 4, not 6"):
        go(songs, tmp_path, Design(**{**vars(DESIGN), "settings": {**TINY, "hidden": 6}}), seeds=1)


def spoil_sample(songs, name, sample):
    """Change one sample of a song in place; names, size and time of modification stay."""
    (file,) = Path(songs).glob(f"*/{name}/vocals.wav")
    status = file.stat()
    data = bytearray(file.read_bytes())
    data[len(data) - 4 * (2 * RATE - sample)] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def kept(told):
    return {line.split(",")[0]: ": kept" in line for line in told}


@pytest.mark.parametrize(
    "song, sample, again",
    [
        ("train1", RATE, {"all songs"}),
        ("valid0", 2 * RATE - 1, {"one song", "all songs"}),
        ("test0", 0, {"one song", "all songs"}),
        ("test1", RATE, {"one song", "all songs", "by heart"}),
    ],
)
def test_arms_whose_songs_have_changed_are_run_again(
    songs, tmp_path, monkeypatch, song, sample, again
):
    arms = (Arm("one song", songs=1), Arm("all songs"), Arm("by heart", excerpt=(1, 1.9)))
    design = Design(**{**vars(DESIGN), "arms": arms})
    before, _ = go(songs, tmp_path, design, seeds=1)
    spoil_sample(songs, song, sample)
    after, told = go(songs, tmp_path, design, seeds=1)
    assert kept(told) == {arm.name: arm.name not in again for arm in arms}
    fresh, _ = go(songs, tmp_path / "fresh", design, seeds=1)
    assert [s.value for s in after] == [s.value for s in fresh]
    monkeypatch.setattr(
        experiments.running.training, "train", None
    )  # from here on nothing is trained
    assert all(kept(go(songs, tmp_path, design, seeds=1)[1]).values())
    spoil_sample(songs, song, sample)  # back to what it was: both are kept
    assert [s.value for s in go(songs, tmp_path, design, seeds=1)[0]] == [s.value for s in before]


def test_moving_the_songs_and_names_of_training_songs_change_nothing(songs, tmp_path):
    go(songs, tmp_path, seeds=1)
    moved = tmp_path / "elsewhere" / "songs"
    shutil.copytree(songs, moved)
    (moved / "train" / "train1").rename(moved / "train" / "train2")
    assert all(kept(go(str(moved), tmp_path, seeds=1)[1]).values())


def test_kept_scores_are_found_without_decoding_a_song(songs, tmp_path, monkeypatch):
    in_memory = Design(**{**vars(DESIGN), "recipe": RECIPE.but(cache="memory")})
    go(songs, tmp_path, in_memory, seeds=1)
    monkeypatch.setattr(audio, "read", None)
    assert all(kept(go(songs, tmp_path, in_memory, seeds=1)[1]).values())


def test_a_training_of_before_audio_was_recorded_is_kept_and_scored_again(songs, tmp_path):
    """Its checkpoint took hours; that it belongs to these songs is taken on trust, and told."""
    before, _ = go(songs, tmp_path, seeds=1)
    for folder in (tmp_path / "out" / "trial").iterdir():
        state = read_state(folder / "last.pt")
        del state["about"]["audio"]
        write_state(folder / "last.pt", state)
        next(folder.glob("scores-*")).rename(folder / "scores-0123456789abcdef.json")
    with pytest.warns(Notice, match="recorded the names of songs alone; it goes on with what"):
        after, told = go(songs, tmp_path, seeds=1)
    assert not any(kept(told).values()) and [s.value for s in after] == [s.value for s in before]


def test_arms_choose_songs_and_excerpts(songs, tmp_path):
    arms = (
        Arm("one song", songs=1),
        Arm("with valid", with_valid=True),
        Arm("by heart", excerpt=(1, 1.0)),
        Arm("by heart", excerpt=(0, 1.0)),
    )
    scores, _ = go(songs, tmp_path, Design(**{**vars(DESIGN), "arms": arms}), seeds=1)
    counts = {
        s.separator: (
            s.provenance["train_songs"],
            sorted({t.track for t in scores if t.separator == s.separator}),
        )
        for s in scores
    }
    assert counts == {
        "one song": (1, ["test0", "test1"]),
        "with valid": (3, ["test0", "test1"]),
        "by heart": (1, ["test0", "test1"]),
    }
    assert {s.provenance.get("excerpt") for s in scores if s.separator == "by heart"} == {"1 s"}


def test_the_excerpt_is_the_one_in_which_the_voice_is_strongest():
    from sepkit.datasets import MemoryTrack

    voice = torch.zeros(1, 10 * RATE)
    voice[:, 6 * RATE : 8 * RATE] = 0.5
    track = MemoryTrack("t", {"vocals": voice, "other": torch.randn(1, 10 * RATE)}, RATE)
    part = experiments.excerpts.loudest(track, 2.0, "vocals")
    assert part.samples == 2 * RATE and part.stem("vocals").eq(0.5).all()
    assert torch.equal(part.stem("other"), track.stem("other", 6 * RATE, 2 * RATE))


def test_an_excerpt_is_learnt_and_scored_as_three_overlapping_examples():
    from sepkit.datasets import MemoryTrack

    ramp = torch.arange(400.0)[None]
    parts = experiments.excerpts.thirds(MemoryTrack("t", {"vocals": ramp, "other": -ramp}, RATE))
    assert [part.stem("vocals")[0, [0, -1]].tolist() for part in parts] == [
        [0, 199],
        [100, 299],
        [200, 399],
    ]


def test_derived_scores_are_computed_seed_by_seed(songs, tmp_path):
    design = Design(
        **{
            **vars(DESIGN),
            "derived": {
                "l1 - mse": lambda t: {key: t["l1"][key] - t["mse"][key] for key in t["l1"]}
            },
        }
    )
    scores, _ = go(songs, tmp_path, design)
    by = {(s.separator, s.provenance["seed"], s.track, s.metric): s for s in scores}
    derived = [s for s in scores if s.separator == "l1 - mse"]
    assert len(derived) == 8 and all(s.provenance["derived"] for s in derived)
    for s in derived:
        seed = s.provenance["seed"]
        assert (
            s.value
            == by["l1", seed, s.track, s.metric].value - by["mse", seed, s.track, s.metric].value
        )


def test_pretrained_arms_begin_with_what_was_learnt_from_all_mixtures(songs, tmp_path):
    """Each seed once: the same weights for both arms, and none for the arm from scratch."""
    design = replace(
        DESIGN,
        arms=(
            Arm("scratch", songs=1),
            Arm("few", songs=1, pretrained=True),
            Arm("all", pretrained=True),
        ),
        pretraining=Pretraining(units=2, bands=4, span=2, frames=16, batch=2, steps=2),
    )
    go(songs, tmp_path, design, seeds=1)
    folder = tmp_path / "out" / "trial"
    (file,) = folder.glob("pretraining-*-0.safetensors")
    begun = {
        arm: json.loads((folder / f"{arm}-0" / "run.json").read_text()).get("init")
        for arm in ("scratch", "few", "all")
    }
    assert not begun["scratch"] and begun["few"] == begun["all"]
    assert begun["few"]["checkpoint"].endswith(file.name)
    longer = replace(design, pretraining=replace(design.pretraining, steps=3))
    with pytest.raises(SepkitError, match="another"):
        go(songs, tmp_path, longer, seeds=1)


FINE_TUNED = Design(
    **{
        **vars(DESIGN),
        "arms": (Arm("a"), Arm("b", recipe=dict(loss="l1"))),
        "init": Arm("before", recipe=dict(max_steps=6)),
        "speed": True,
    }
)


def test_arms_are_fine_tuned_from_the_one_network_that_was_trained_first(songs, tmp_path):
    scores, told = go(songs, tmp_path, FINE_TUNED)
    assert [line.split(":")[0] for line in told] == [
        f"{arm}, seed {seed}" for seed in (0, 1) for arm in ("before", "a", "b")
    ]
    folder = tmp_path / "out" / "trial"
    for seed in (0, 1):
        first = models.load(folder / f"before-{seed}" / "vocals.safetensors").state_dict()
        for arm in ("a", "b"):
            begun = json.loads((folder / f"{arm}-{seed}" / "run.json").read_text())["init"]
            assert begun["checkpoint"].endswith(f"before-{seed}/vocals.safetensors")
            # Too few steps to move a weight far: 3 of Adam at 0.01.
            tuned = models.load(folder / f"{arm}-{seed}" / "vocals.safetensors").state_dict()
            key = "fc1.weight"
            assert 0 < (tuned[key] - first[key]).abs().max() < 0.05
    steps = {s.separator: s.provenance["steps"] for s in scores}
    assert steps == {"before": 6, "a": 3, "b": 3}


def test_arms_are_run_again_when_what_they_begin_with_has_changed(songs, tmp_path):
    go(songs, tmp_path, FINE_TUNED, seeds=1)
    _, told = go(songs, tmp_path, FINE_TUNED, seeds=1)
    assert all(kept(told).values())
    other = Design(**{**vars(FINE_TUNED), "init": Arm("before", recipe=dict(max_steps=8))})
    for arm in ("a", "b"):
        shutil.rmtree(tmp_path / "out" / "trial" / f"{arm}-0")
    _, told = go(songs, tmp_path, other, seeds=1)
    assert not any(kept(told).values())


def test_a_training_tells_its_steps_to_the_best_validation_loss(songs, tmp_path):
    scores, _ = go(songs, tmp_path, FINE_TUNED)
    speed = [s for s in scores if s.metric == "best_steps"]
    assert {(s.separator, s.track) for s in speed} == {
        (arm, f"seed {seed}") for arm in ("before", "a", "b") for seed in (0, 1)
    }
    for s in speed:
        log = experiments.running._log(
            tmp_path / "out" / "trial" / f"{s.separator}-{s.provenance['seed']}"
        )
        best = min(log, key=lambda row: row["valid_loss"])
        assert s.value == (best["step"] or log[-1]["step"])
        assert s.provenance["best_seconds"] == best["seconds"]


def test_an_arm_without_a_metric_has_an_empty_place_in_the_summary(songs, tmp_path):
    """Else its other numbers would stand below the wrong heading."""
    changed = {"slower": lambda t: {k: v for k, v in t["a"].items() if k[1] == "best_steps"}}
    scores, _ = go(songs, tmp_path, Design(**{**vars(FINE_TUNED), "derived": changed}), seeds=1)
    by = {row["arm"]: row for row in experiments.summary(scores)}
    assert list(by["slower"]) == list(by["a"]) and by["slower"]["usdr (dB, mean)"] == ""
    assert by["slower"]["best_steps (mean)"] == by["a"]["best_steps (mean)"] != ""
    assert by["a"]["songs"] == 2 and by["slower"]["songs"] == 0


def test_scores_of_two_versions_of_the_band_are_not_one_result(songs, tmp_path):
    scores, _ = go(songs, tmp_path, seeds=1)
    newer = [replace(s, provenance={**s.provenance, "band": 2}) for s in scores[:3]]
    save_scores(tmp_path / "mixed" / "trial.json", newer + scores[3:])
    with pytest.raises(SepkitError, match=r"trial.json: Scores of versions 1 and 2 of the band"):
        experiments.stored(tmp_path / "mixed")


def test_a_slope_is_that_of_the_least_squares_line_per_tenth():
    p = (0.0, 0.1, 0.2, 0.3, 0.5)
    values = np.array([[7.0, 3.0], [6.5, 3.1], [6.6, 2.0], [6.0, 2.5], [5.0, 2.2]])  # (p, songs)
    names = {x: catalogue._speech_arm(x).name for x in p}
    table = {
        name: {("a", "usdr"): row[0], ("b", "usdr"): row[1], ("a", "csdr"): 9.0}
        for name, row in zip(names.values(), values)
    }
    derived = catalogue.design("speech-fine-tuning").derived
    expected = np.polyfit(np.array(p) * 10, values, 1)[0]
    found = derived["fall by speech"](table)
    assert found == {
        ("a", "usdr"): pytest.approx(-expected[0]),
        ("b", "usdr"): pytest.approx(-expected[1]),
    }
    spread = np.abs(values - values.mean(1, keepdims=True))
    found = derived["rise of the spread by speech"](table)
    assert found["b", "usdr"] == pytest.approx(np.polyfit(np.array(p) * 10, spread[:, 1], 1)[0])


def test_the_gain_of_remixing_and_the_spread_are_what_they_say():
    table = {
        f"{n} songs, remixing {word}": {("a", "usdr"): value}
        for n, word, value in ((4, "on", 5.0), (4, "off", 2.0), (24, "on", 6.0), (24, "off", 5.5))
    }
    function = catalogue.design("songs").derived["gain by remixing, 4 songs against 24"]
    assert function(table) == {("a", "usdr"): 2.5}
    spread = catalogue.design("speech").derived["spread over songs, speech probability 0"]
    found = spread(
        {"speech probability 0": {("a", "usdr"): 1.0, ("b", "usdr"): 5.0, ("a", "csdr"): 7.0}}
    )
    assert found == {("a", "usdr"): 2.0, ("b", "usdr"): 2.0, ("a", "csdr"): 0.0}


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("profile", ["smoke", "student", "paper"])
def test_every_design_is_sound(name, profile):
    design = catalogue.design(name, profile)
    if name == "cost":
        assert design is None and profile in cost.BUDGETS
        return
    if name != "overfit":  # its arms are one network on several songs
        assert len({arm.name for arm in design.arms}) == len(design.arms)
    recipes = [design.recipe.but(**arm.recipe) for arm in design.arms]
    lengths = {(r.max_steps, r.epochs, r.batch, r.chunk_seconds) for r in recipes}
    assert name == "race" or len(lengths) == 1  # equal steps; the race has a test of its own
    if profile != "paper":  # those networks are large; their settings are tested with the models
        for arm in design.arms:
            models.build(
                arm.model or design.model,
                **({**design.settings, **arm.settings} if not arm.model else arm.settings),
            )


def test_claims_name_arms_that_exist():
    known = {claim.id: claim for claim in claims.load_claims()}
    for name, experiment in EXPERIMENTS.items():
        design = catalogue.design(name)
        separators = (
            {*(arm.name for arm in design.arms), *design.derived} if design else set(cost.VARIANTS)
        )
        measures = (*design.metrics, "best_steps") if design else ("step_time",)
        for identifier in experiment.claims:
            claim = known[identifier]
            assert claim.finding == identifier.rstrip("abcdefg")
            if name in claim.chapter.split():
                assert claim.higher in separators and claim.lower in (*separators, ""), identifier
                assert claim.metric in measures


def test_stored_results_are_read_back(songs, tmp_path):
    scores, _ = go(songs, tmp_path, seeds=1)
    assert experiments.stored(tmp_path / "out") == {"trial": scores}
    assert json.loads((tmp_path / "out" / "trial.json").read_text())["arms"] == ["mse", "l1"]


def test_stored_scores_of_no_commit_are_refused(songs, tmp_path, monkeypatch):
    monkeypatch.setattr(origin, "commit", lambda: "0123456789ab+")
    go(songs, tmp_path, seeds=1)
    told = r"trial.json: measured at commit 0123456789ab\+, with changes .* run it again"
    with pytest.raises(SepkitError, match=told):
        ledger.load_experiments(tmp_path / "out")


def test_the_summary_has_the_mean_over_songs_and_its_spread_over_seeds(songs, tmp_path):
    scores, _ = go(songs, tmp_path)
    row = next(row for row in experiments.summary(scores) if row["arm"] == "l1")
    means = [
        sum(
            s.value
            for s in scores
            if (s.separator, s.metric, s.provenance["seed"]) == ("l1", "usdr", seed)
        )
        / 2
        for seed in (0, 1)
    ]
    spread = abs(means[0] - means[1]) / 2**0.5
    assert row["usdr (dB, mean)"] == f"{sum(means) / 2:.2f} ± {spread:.2f}"
    assert (row["seeds"], row["songs"], row["steps"]) == (2, 2, 3)


@pytest.mark.parametrize(
    "arm, message",
    [
        (Arm("many", songs=9), "trial: the arm 'many' needs 9 training songs; .*songs has 2"),
        (
            Arm("aug", augmented=True),
            "trial: the arm 'aug' needs --augmented FOLDER; write it with: sepkit data augment",
        ),
        (
            Arm("speech", recipe=dict(speech_prob=0.5)),
            "trial: the arm 'speech' needs speech; give --speech band",
        ),
    ],
)
def test_what_an_arm_lacks_is_named(songs, tmp_path, arm, message):
    with pytest.raises(SepkitError, match=message):
        go(songs, tmp_path, Design(**{**vars(DESIGN), "arms": (arm,)}), seeds=1)


def test_unknown_experiments_and_profiles_are_refused():
    with pytest.raises(
        SepkitError, match="unknown experiment 'sweep': choose from overfit, variants"
    ):
        catalogue.design("sweep")
    with pytest.raises(SepkitError, match="unknown profile 'big'"):
        catalogue.design("songs", "big")


@pytest.fixture
def in_this_process(monkeypatch):
    """Count processes instead of starting them: each takes seconds to import torch."""
    started = []

    def called(job):
        started.append(job.args[0])
        return job()

    monkeypatch.setattr(cost, "in_fresh_process", called)
    return started


def test_costs_are_relative_within_a_block_and_reach_the_claims_but_no_table(
    tmp_path, in_this_process
):
    told = []
    scores = cost.run(tmp_path, "smoke", "cpu", notice=told.append)
    assert len(told) == 2 and {s.separator for s in scores} == set(cost.VARIANTS)
    assert [s.value for s in scores if s.separator == "loss mse"] == [1.0, 1.0]
    found = ledger.load_experiments(tmp_path)
    outcome = next(o for o in claims.evaluate(claims.load_claims(), found) if o.claim.id == "S3.4")
    assert outcome.verdict == "undecided" and "blocks" in outcome.where  # two decide nothing
    assert not [table for table in ledger.tables([], found) if table.measured]


def test_every_block_measures_every_variant_and_begins_with_another(tmp_path, monkeypatch):
    """Seconds that grow with the number of the process: what comes later seems slower."""
    order = []

    def numbered(job):
        order.append(job.args[2] if job.args[0] == "open-unmix" else "transformer")
        return float(len(order))

    monkeypatch.setattr(cost, "in_fresh_process", numbered)
    scores = cost.run(tmp_path, "smoke", "cpu", notice=lambda line: None)
    assert order == ["mse", "l1", "dual", "transformer", "l1", "dual", "transformer", "mse"]
    by = {(s.separator, s.track): s.value for s in scores}
    assert by["transformer", "block 0"] == 4 / 1 and by["transformer", "block 1"] == 7 / 8
    assert {s.provenance["seconds"] for s in scores if s.separator == "loss dual"} == {4.5}


@pytest.mark.slow
def test_a_measurement_runs_in_a_process_of_its_own():
    assert cost.in_fresh_process(os.getpid) not in (os.getpid(), cost.in_fresh_process(os.getpid))


def test_runs_outside_a_checkout_have_no_commit_and_those_that_ship_all_have_one():
    shipped = experiments.stored()
    for name, scores in shipped.items():
        assert all(score.provenance["commit"] for score in scores), name
    loose = [replace(s, provenance={**s.provenance, "commit": None}) for s in shipped["cost"]]
    assert experiments.overview({"cost": loose})[0]["commit"] == "none"
