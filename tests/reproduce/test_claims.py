"""Claims: verdicts on scores whose answer is known, and arms that must not be compared."""

import itertools
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sepkit.errors import SepkitError
from sepkit.files import provenance
from sepkit.metrics import Score, card_for
from sepkit.metrics.crossed import crossed
from sepkit.reproduce.claims import COLUMNS, Claim, evaluate, load_claims
from sepkit.reproduce.experiments.catalogue import EXPERIMENTS
from sepkit.reproduce.published import DOCUMENTS

SEEDS = Path(os.environ.get("SEPKIT_SOURCES", "/unset"), "seeds")
FOUR = ("vocals", "drums", "bass", "other")
ORIGIN = provenance(device="cpu", seed=0, profile="smoke")
NOISE = np.random.default_rng(0).normal(0, 1, 9)  # nine songs: the smallest p is 2 / 2^9
UNSURE = np.linspace(-0.3, 1.6, 9)  # differences, some of them negative


def claim(higher="a", lower="b", metric="usdr", target="vocals", **more):
    filled = {
        "id": "S9",
        "document": "003",
        "line": 1,
        "words": "",
        "statement": "a beats b",
        "how": "",
        "chapter": "",
    }
    return Claim(
        **{
            **filled,
            "metric": metric,
            "target": target,
            "higher": higher,
            "lower": lower,
            "direction": "greater",
            "least": 0.0,
            "family": "S9",
            "fixed_on": "2026-11-29",
            **more,
        }
    )


def trained(effects, seeds, **more):
    """Scores of arms a and b, whose difference for song i and seed j is effects[i, j]."""
    return {
        "experiment x": [
            score
            for j, seed in enumerate(seeds)
            for score in scores("a", NOISE + effects[:, j], seed=seed, **more)
            + scores("b", NOISE, seed=seed, **more)
        ]
    }


def scores(separator, values, metric="usdr", target="vocals", dataset="band", targets=FOUR, **said):
    card, origin = card_for(metric, targets), {**ORIGIN, **said}
    return [
        Score(f"song {i}", target, metric, float(value), separator, dataset, card, origin)
        for i, value in enumerate(values)
    ]


def verdicts(wanted, measured):
    return [outcome.verdict for outcome in evaluate(wanted, measured)]


def test_a_difference_in_every_song_holds_and_its_opposite_fails():
    measured = {"04_x": scores("a", NOISE + 1) + scores("b", NOISE)}
    (outcome,) = evaluate([claim()], measured)
    assert (
        outcome.verdict == "holds"
        and outcome.comparison.effect == pytest.approx(1)
        and outcome.comparison.n == 9
    )
    assert verdicts([claim("b", "a")], measured) == ["fails"]
    assert verdicts([claim(least=0.9)], measured) == ["holds"] and verdicts(
        [claim(least=1.1)], measured
    ) == ["fails"]


def test_the_p_value_is_the_sign_flip_of_all_songs():
    """By enumeration: 9 songs have 512 patterns of signs."""
    (outcome,) = evaluate([claim()], {"": scores("a", NOISE + UNSURE) + scores("b", NOISE)})
    means = [abs(np.dot(signs, UNSURE)) for signs in itertools.product((1, -1), repeat=9)]
    assert outcome.comparison.p == pytest.approx(
        np.mean(np.array(means) >= abs(UNSURE.sum()) - 1e-9)
    )


def test_holm_counts_every_comparison_of_a_family():
    measured = {"": scores("a", NOISE + UNSURE) + scores("b", NOISE)}
    (alone,) = evaluate([claim()], measured)
    five = evaluate(
        [claim(id=f"S9{part}") for part in "abcde"]
        + [claim("absent", id="S9f"), claim(id="S9g", family="another")],
        measured,
    )
    assert alone.p == alone.comparison.p and alone.verdict == "holds"
    assert [outcome.p for outcome in five[:5]] == pytest.approx([5 * alone.p] * 5)
    assert [outcome.verdict for outcome in five[:6]] == ["undecided"] * 5 + ["not run"], (
        "significant alone, not among five"
    )
    assert five[6].p == alone.p and five[6].verdict == "holds", "another family is another question"


def test_noise_is_undecided():
    assert verdicts([claim()], {"": scores("a", NOISE) + scores("b", NOISE[::-1])}) == ["undecided"]


def test_few_songs_cannot_hold():
    five = {"": scores("a", NOISE[:5] + 3) + scores("b", NOISE[:5])}
    (outcome,) = evaluate([claim()], five)
    assert outcome.verdict == "undecided" and outcome.p == 2 / 2**5, (
        "every song agrees, but there are five"
    )
    (outcome,) = evaluate([claim()], {"": scores("a", [3.0]) + scores("b", [1.0])})
    assert (
        outcome.verdict == "undecided: a single song was scored, at least 2 are needed"
        and outcome.comparison is None
    )
    assert outcome.row()["effect"] == "" and outcome.row()["measured on"] == "band"


def test_about_the_same():
    near, far = scores("a", NOISE + 0.05 * NOISE[::-1]), scores("a", NOISE + 2)
    wide = scores("a", NOISE + 2 * NOISE[::-1])
    same = claim(direction="same", tolerance=0.5)
    assert [verdicts([same], {"": arm + scores("b", NOISE)})[0] for arm in (near, far, wide)] == [
        "holds",
        "fails",
        "undecided",
    ]
    ratio = claim("a", "", direction="same", least=1.0, tolerance=0.1, unit="x")
    for value, verdict in ((1.05, "holds"), (1.3, "fails"), (0.8, "fails"), (1.1, "undecided")):
        measured = {"": scores("a", value + 0.01 * NOISE)}
        assert verdicts([ratio], measured) == [verdict], value
    assert evaluate([ratio], measured)[0].row()["bar"] == "1 ± 0.1 x"


def test_the_p_value_is_that_of_the_bar_not_of_zero():
    """Nine songs between 15.1 and 16.7 dB: far from 0, and all above 15."""
    above = 15.1 + 0.2 * np.arange(9)
    (outcome,) = evaluate([claim("a", "", least=15.0)], {"": scores("a", above)})
    assert outcome.p == 2 / 2**9 and outcome.verdict == "holds"
    (outcome,) = evaluate([claim("a", "", least=15.7)], {"": scores("a", above)})
    assert outcome.p > 0.05 and outcome.verdict == "undecided"


# --- trained arms: songs and seeds ---


@pytest.mark.parametrize(
    "changes, signed",
    [
        ({}, True),  # a difference of two arms
        ({"least": 1.0}, True),
        ({"lower": ""}, True),  # a change, such as a slope, held against nothing
        ({"lower": "", "least": 10.0}, False),  # a level
        ({"lower": "", "least": 1.0, "unit": "x"}, False),  # a ratio
        ({"lower": "", "least": 1.0, "direction": "same", "tolerance": 0.1}, False),
    ],
)
def test_only_differences_and_changes_have_a_plus_sign(changes, signed):
    one = claim(**changes)
    assert one.told(2.5) == ("+2.50" if signed else "2.50") and one.told(-2.5) == "-2.50"


def test_arms_pair_by_song_and_seed_and_both_spreads_count():
    rng = np.random.default_rng(1)
    effects = 0.5 + 0.3 * rng.normal(size=(9, 1)) + 0.3 * rng.normal(size=(1, 6))
    effects += 0.2 * rng.normal(size=(9, 6))
    (outcome,) = evaluate([claim(trained=True)], trained(effects, range(6)))
    expected = crossed(effects)
    assert outcome.comparison[:5] == pytest.approx(expected[:5]) and outcome.seeds == 6
    assert outcome.verdict == "holds" and outcome.by_seed == pytest.approx(effects.mean(0))
    low, high = effects.mean(0).min(), effects.mean(0).max()
    assert outcome.row()["by seed"] == f"{low:+.2f} to {high:+.2f}; 6 of 6 as claimed"


def test_seeds_that_disagree_leave_it_undecided_where_songs_alone_would_be_sure():
    rng = np.random.default_rng(2)
    effects = np.array([2.0, -1.0, 1.5, -0.5, 1.0]) + 0.1 * rng.normal(size=(9, 5))
    measured = trained(effects, range(5))
    assert verdicts([claim(trained=True), claim(trained=False)], measured) == ["undecided", "holds"]


def test_fewer_seeds_than_five_never_decide():
    for seeds, verdict in ((1, "one network"), (2, "undecided: 2 of 5 seeds"), (5, "holds")):
        effects = 3.0 + 0.01 * np.arange(9 * seeds).reshape(9, seeds)
        (outcome,) = evaluate([claim(trained=True)], trained(effects, range(seeds)))
        assert outcome.verdict == verdict and outcome.seeds == seeds
        assert outcome.row()["effect"].endswith("dB")
    assert verdicts([claim()], trained(effects[:, :1], [0])) == ["holds"], "fixed arms have no seed"


def test_one_network_takes_nothing_from_its_family():
    sure = scores("a", NOISE + UNSURE) + scores("b", NOISE)
    alone = evaluate([claim()], {"": sure})[0]
    both = evaluate([claim(), claim(id="S9b", trained=True)], {"": sure})
    assert both[0].p == alone.p and both[1].p is None and both[1].verdict == "one network"
    assert both[1].row()["p (Holm)"] == ""


def test_no_p_is_zero():
    outcome = evaluate([claim()], {"": scores("a", NOISE + UNSURE) + scores("b", NOISE)})[0]
    shown = {1e-9: "< 0.001", 0.0004: "< 0.001", 0.0006: "0.001", 0.0314: "0.031", 1.0: "1.000"}
    for p, text in shown.items():
        assert replace(outcome, p=p).row()["p (Holm)"] == text


def test_only_the_seeds_of_both_arms_count():
    effects = np.full((9, 6), 1.0) + 0.1 * NOISE[:, None]
    measured = trained(effects, range(6))
    half_filled = [s for s in measured["experiment x"] if s.separator == "a"]
    half_filled += [
        s for s in measured["experiment x"] if s.separator == "b" and s.provenance["seed"] < 3
    ]
    assert verdicts([claim(trained=True)], {"experiment x": half_filled}) == [
        "undecided: 3 of 5 seeds"
    ]
    apart = [
        s for s in measured["experiment x"] if (s.separator == "a") == (s.provenance["seed"] < 3)
    ]
    assert verdicts([claim(trained=True)], {"experiment x": apart}) == [
        "undecided: the arms have no seed in common"
    ]


def test_a_song_without_a_score_for_one_seed_is_left_out():
    effects = np.full((9, 5), 1.0) + 0.1 * NOISE[:, None]
    effects[4, 2] = math.nan
    (outcome,) = evaluate([claim(trained=True)], trained(effects, range(5)))
    assert outcome.comparison.n == 8
    assert outcome.comparison.effect == pytest.approx(np.delete(effects, 4, axis=0).mean())


def test_trainings_of_a_chapter_and_of_an_experiment_are_two_outcomes():
    many = trained(np.full((9, 5), 1.0) + 0.1 * NOISE[:, None], range(5))
    live = {"04_x": scores("a", NOISE - 1) + scores("b", NOISE)}
    found = evaluate([claim(trained=True)], live | many)
    assert [(one.where, one.verdict) for one in found] == [
        ("chapter 04", "one network"),
        ("experiment x", "holds"),
    ]


def test_versions_of_the_band_are_never_compared():
    a, b = scores("a", NOISE + 1, band=2), scores("b", NOISE)
    assert verdicts([claim()], {"": a + b}) == ["not run"]
    assert verdicts([claim()], {"": a + scores("b", NOISE, band=2)}) == ["holds"]


def test_without_a_lower_arm_the_scores_are_the_differences():
    wanted = claim("overfit", "", least=15.0)
    assert verdicts([wanted], {"": scores("overfit", 20 + NOISE)}) == ["holds"]
    assert verdicts([wanted], {"": scores("overfit", 10 + NOISE)}) == ["fails"]


def test_a_star_pairs_each_network_with_itself():
    """Network x gains 1 dB and y loses 1 dB: their mixture would show nothing."""
    names = {
        "net x, niter 1": NOISE + 1,
        "net x, niter 0": NOISE,
        "net y, niter 1": NOISE - 1,
        "net y, niter 0": NOISE,
        "net z, niter 1": NOISE,
    }
    measured = {"": [score for name, values in names.items() for score in scores(name, values)]}
    found = evaluate([claim("net *, niter 1", "net *, niter 0")], measured)
    assert [(one.network, one.verdict) for one in found] == [("x", "holds"), ("y", "fails")]
    measured[""] += scores("plain", NOISE - 5)
    found = evaluate([claim("net *, niter 1", "plain")], measured)
    assert [(one.row()["network"], one.verdict) for one in found] == [
        ("x", "holds"),
        ("y", "holds"),
        ("z", "holds"),
    ]
    (plain,) = evaluate([claim("net x, niter 1", "plain")], measured)
    assert plain.network == plain.row()["network"] == "", "no star, nothing that it stands for"


def test_data_sets_cards_and_excerpts_are_never_mixed():
    a = scores("a", NOISE + 1)
    for other in ({"dataset": "musdb18"}, {"excerpt": "8 s"}):
        assert verdicts([claim()], {"": a + scores("b", NOISE, **other)}) == ["not run"]
    ours, theirs = (
        scores("a", NOISE, "csdr"),
        scores("b", NOISE - 1, "csdr", targets=("vocals", "accompaniment")),
    )
    assert verdicts([claim(metric="csdr")], {"": ours + theirs}) == ["not run"]
    both = {
        "04_x": a
        + scores("b", NOISE)
        + scores("a", NOISE - 1, excerpt="8 s")
        + scores("b", NOISE, excerpt="8 s")
    }
    found = evaluate([claim(), claim(extent="excerpts")], both)
    assert [(one.row()["measured on"], one.verdict) for one in found] == [
        ("band, chapter 04", "holds"),
        ("band, chapter 04, excerpts", "fails"),
    ]


def test_only_the_chapters_of_the_claim_count():
    measured = {
        "02_masking": scores("a", NOISE + 1) + scores("b", NOISE),
        "04_x": scores("a", NOISE - 1) + scores("b", NOISE),
    }
    assert verdicts([claim(chapter="02"), claim(chapter="04"), claim(chapter="05")], measured) == [
        "holds",
        "fails",
        "not run",
    ]
    apart = {"03_ica": scores("b", NOISE), "04_x": scores("a", NOISE + 1)}
    assert verdicts([claim(chapter="03 04")], apart) == ["holds"]


def test_targets_and_seeds_are_averaged_within_a_song():
    """Vocals +2 dB, drums +1 dB, one seed 0.5 dB above, one below: 1.5 dB over 9 songs."""
    measured = {
        "": [
            score
            for target, gain in (("vocals", 2), ("drums", 1))
            for seed, shift in ((0, 0.5), (1, -0.5))
            for score in scores("a", NOISE + gain + shift, target=target, seed=seed)
            + scores("b", NOISE, target=target, seed=seed)
        ]
        + scores("a", NOISE + 9, target="bass")
    }
    (outcome,) = evaluate([claim(target="")], measured)
    assert outcome.comparison.effect == pytest.approx(1.5) and (
        outcome.comparison.n,
        outcome.seeds,
    ) == (9, 2)


def test_a_silent_song_is_left_out():
    a, b = scores("a", [*NOISE, math.nan] + np.ones(10)), scores("b", [*NOISE, 0.0])
    (outcome,) = evaluate([claim()], {"": a + b})
    assert outcome.comparison.n == 9 and outcome.comparison.effect == pytest.approx(1)


def test_scores_without_provenance_are_refused():
    bare = [Score(**{**score.__dict__, "provenance": {"seed": 0}}) for score in scores("a", NOISE)]
    with pytest.raises(SepkitError, match="a, song 0, vocals: the score has no provenance"):
        evaluate([claim()], {"": bare + scores("b", NOISE)})


def test_the_shipped_claims_stand_for_every_document_and_start_as_not_run():
    shipped = load_claims()
    assert {one.document for one in shipped} == set(DOCUMENTS)
    assert {one.id[:4] for one in shipped} >= {
        "S0.3",
        "S0.4",
        "S0.5",
        "S1.1",
        "S2.4",
        "S2.5",
        "S3.2",
        "S3.8",
        "S4.4",
        "S4.5",
        "S4.6",
    }
    assert all(one.statement and one.how for one in shipped)
    assert {outcome.verdict for outcome in evaluate(shipped, {})} == {"not run"}


def test_every_claim_shows_its_bar_its_family_and_the_day_on_which_it_was_fixed():
    for outcome in evaluate(load_claims(), {}):
        row, one = outcome.row(), outcome.claim
        assert row["bar"].endswith(one.unit) and one.changed in row["family"]
        assert row["family"].startswith(f"{one.family}, {one.fixed_on}")
        assert one.fixed_on >= "2026-11-29" and one.finding == one.family


def test_what_is_trained_by_an_experiment_needs_seeds():
    for one in load_claims():
        experiments = {*one.chapter.split()} & {*EXPERIMENTS} - {"cost"}
        assert one.trained == bool(experiments and one.extent != "trainings"), one.id


@pytest.mark.skipif(not SEEDS.is_dir(), reason="SEPKIT_SOURCES has no texts of the documents")
def test_every_claim_quotes_the_line_that_it_names():
    lines = {
        path.name[:3]: path.read_text(encoding="utf-8").split("\n") for path in SEEDS.glob("*.txt")
    }
    for one in load_claims():
        assert len(one.words) > 10 and one.words in lines[one.document][one.line - 1], one.id


def line(one, **change):
    """A claim as a line of the file."""
    row = {**vars(one), "trained": "yes" if one.trained else "no", **change}
    return ",".join(str(row[key]) for key in COLUMNS) + "\n"


@pytest.mark.parametrize(
    "change, says",
    [
        ({"document": "9"}, "line 2: unknown document '9'"),
        ({"direction": "up"}, "line 2: unknown direction 'up': choose from greater, same"),
        ({"extent": "bars"}, "line 2: unknown extent 'bars': choose from songs, excerpts"),
        ({"metric": ""}, "line 2: S9 names separators but no metric"),
        ({"least": "much"}, "line 2: value 'much' is not a number"),
        ({"tolerance": "some"}, "line 2: value 'some' is not a number"),
        ({"unit": ""}, "line 2: S9 has no unit"),
        ({"trained": "maybe"}, "line 2: unknown trained 'maybe': choose from yes, no"),
        ({"direction": "same"}, "line 2: S9 needs a tolerance above 0 for 'same'"),
        ({"tolerance": 1}, "line 2: S9 needs a tolerance above 0 for 'same', and 0 for 'greater'"),
        ({"family": ""}, "line 2: S9 has no family; say with which claims it shares its level"),
        ({"fixed_on": "soon"}, "line 2: S9 needs the day on which its family was fixed"),
        ({"changed": "later"}, "line 2: S9 needs the day of its change, such as '2026-11-29: two"),
        ({"trained": "yes", "extent": "blocks"}, "line 2: S9 has trained arms, but .* blocks"),
    ],
)
def test_claims_with_faults_are_refused(tmp_path, change, says):
    path = tmp_path / "claims.csv"
    path.write_text(",".join(COLUMNS) + "\n" + line(claim(), **change))
    with pytest.raises(SepkitError, match=says):
        load_claims(path)


def test_a_claim_stated_twice_is_refused(tmp_path):
    (tmp_path / "claims.csv").write_text(",".join(COLUMNS) + "\n" + line(claim()) * 2)
    with pytest.raises(SepkitError, match="line 3: S9 is stated twice"):
        load_claims(tmp_path / "claims.csv")
