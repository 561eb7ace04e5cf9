import json
import math
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.files import provenance
from sepkit.metrics import METRICS, MetricCard, bss_eval, bsseval, card_for, signals
from sepkit.metrics.scores import (
    REQUIRED_PROVENANCE,
    Score,
    aggregate,
    comparable,
    load_scores,
    save_scores,
    to_frame,
)
from sepkit.metrics.scoring import measure, score_track
from sepkit.metrics.sdr import framewise_sdr, sdr, si_sar, si_sdr, usdr
from sepkit.metrics.signals import Signals

RATE = 1000


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def song(names=("vocals", "drums", "bass"), seconds=5):
    references = {name: noise(2, seconds * RATE, seed=k) for k, name in enumerate(names)}
    estimates = {
        name: audio + 0.1 * (k + 1) * noise(2, seconds * RATE, seed=9 + k)
        for k, (name, audio) in enumerate(references.items())
    }
    return references, estimates


#: Once for all: it holds the second at which it was made.
MADE = provenance("make it", device="cpu", seed=0, profile="smoke")


def make(value=1.0, **changes):
    score = Score(
        "a song",
        "vocals",
        "csdr",
        value,
        "irm1",
        "band",
        card_for("csdr", ["vocals", "drums"]),
        dict(MADE),
    )
    return replace(score, **changes)


def test_cards_of_older_files_are_those_of_ratios_in_db(tmp_path):
    path = tmp_path / "scores.json"
    save_scores(path, [make(metric="mr_stft", card=card_for("mr_stft", ["vocals"]))])
    assert (load_scores(path)[0].card.unit, load_scores(path)[0].card.better) == ("", "lower")
    content = json.loads(path.read_text())
    del content["cards"][0]["unit"], content["cards"][0]["better"]
    path.write_text(json.dumps(content))
    assert (load_scores(path)[0].card.unit, load_scores(path)[0].card.better) == ("dB", "higher")
    content["cards"][0]["better"] = "louder"
    path.write_text(json.dumps(content))
    with pytest.raises(SepkitError, match="better is 'louder'; expected higher or lower"):
        load_scores(path)


def test_pairs_by_name_in_the_order_of_the_references():
    references, estimates = song()
    shuffled = {name: estimates[name] for name in ("bass", "vocals", "drums")}
    rows = score_track(references, shuffled, RATE)
    assert [(target, metric) for target, metric, _, _ in rows] == [
        (target, metric) for target in references for metric in ("csdr", "usdr", "si_sdr")
    ]
    values = {(target, metric): value for target, metric, value, _ in rows}
    frames = framewise_sdr(
        torch.stack([*references.values()]), torch.stack([*estimates.values()]), RATE
    )
    for k, name in enumerate(references):
        assert values[name, "csdr"] == pytest.approx(float(np.median(frames[k].numpy())), abs=1e-12)
        assert values[name, "usdr"] == pytest.approx(
            usdr(references[name], estimates[name]).item(), abs=1e-12
        )
        assert values[name, "si_sdr"] == pytest.approx(
            si_sdr(references[name], estimates[name]).item(), abs=1e-12
        )
    assert values["vocals", "usdr"] == pytest.approx(20, abs=0.3)  # and not those of another stem


def test_csdr_leaves_out_silent_frames_and_takes_the_middle_of_the_rest():
    references, estimates = song(seconds=5)
    references["drums"][:, RATE : 2 * RATE] = 0
    values = {t: v for t, _, v, _ in score_track(references, estimates, RATE, ["csdr"])}
    frames = framewise_sdr(
        torch.stack([*references.values()]), torch.stack([*estimates.values()]), RATE
    ).numpy()
    assert values["vocals"] == pytest.approx(
        np.nanmedian(frames[0]), abs=1e-12
    )  # of four frames: the mean of the middle two
    references["drums"][:] = 0
    assert all(math.isnan(v) for _, _, v, _ in score_track(references, estimates, RATE, ["csdr"]))


def test_scoring_some_targets_changes_the_card_of_framewise_metrics_only():
    references, estimates = song()
    (_, _, alone, card), (_, _, usdr_alone, usdr_card) = score_track(
        references, {"vocals": estimates["vocals"]}, RATE, ["csdr", "usdr"]
    )
    rows = score_track(references, estimates, RATE, ["csdr", "usdr"])
    assert card.target_set == ("vocals",) and rows[0][3].target_set == ("bass", "drums", "vocals")
    assert rows[0][2] == pytest.approx(alone)
    # Energies come from one matrix product, which adds up in another order for another number of
    # rows: 5000 sums in float64 may differ by 5000 * 1.1e-16 of themselves, 2.4e-12 dB.
    assert rows[1][2] == pytest.approx(usdr_alone, rel=0, abs=1e-11) and rows[1][3] == usdr_card


def test_framewise_metrics_are_medians_over_the_frames_of_bss_eval():
    references, estimates = song(("vocals", "drums"))
    references["drums"][:, :RATE] = 0
    rows = score_track(references, estimates, RATE, ["sar", "isr", "csdr", "sir"], window=2.0)
    ratios = bss_eval(
        *(torch.stack([*x.values()]) for x in (references, estimates)), RATE, window=2.0
    )
    medians = {name: np.nanmedian(x, 1) for name, x in zip(("csdr", "isr", "sir", "sar"), ratios)}
    assert [row[:2] for row in rows] == [
        (t, m) for t in ("vocals", "drums") for m in ("sar", "isr", "csdr", "sir")
    ]
    for row, (_, metric, value, card) in enumerate(rows):
        assert value == pytest.approx(medians[metric][row // 4], abs=1e-10)
        assert card.window == 2.0 and card.taps == (None if metric == "csdr" else 512)


class Recorded:
    """A signal that is read in parts, as evaluation reads files."""

    def __init__(self, audio):
        self.audio, self.reads = audio, []
        self.channels, self.samples = audio.shape

    def read(self, start, frames):
        assert start + frames <= self.samples
        self.reads.append(frames)
        return self.audio[:, start : start + frames]


@pytest.mark.parametrize("channels", [1, 2])
def test_scores_do_not_depend_on_the_parts_in_which_a_song_is_read(channels, monkeypatch):
    references, estimates = song(("vocals", "drums"))
    references, estimates = (
        {name: x[:channels] for name, x in audios.items()} for audios in (references, estimates)
    )
    references["drums"][:, 2000:3100] = 0
    one = measure(Signals(references, estimates), RATE, METRICS, 1.0, 0.5)
    monkeypatch.setattr(signals, "BLOCK", 700)
    monkeypatch.setattr(bsseval, "_SAMPLES_AT_ONCE", 1300)
    parts = [
        {name: Recorded(x) for name, x in audios.items()} for audios in (references, estimates)
    ]
    other = measure(Signals(*parts), RATE, METRICS, 1.0, 0.5)
    short = measure(Signals(*parts), RATE, ("usdr", "si_sdr"))
    for a, b in zip(one.rows(METRICS, 1.0, 0.5), other.rows(METRICS, 1.0, 0.5)):
        assert a[:2] == b[:2] and a[2] == pytest.approx(b[2], abs=1e-10)
    assert [row[2] for row in short.rows(("usdr",))] == pytest.approx(
        [row[2] for row in one.rows(("usdr",))], abs=1e-10
    )
    direct = {(t, m): v for t, m, v, _ in one.rows(METRICS)}
    for name in references:
        assert direct[name, "usdr"] == pytest.approx(
            usdr(references[name], estimates[name]).item(), abs=1e-10
        )
        assert direct[name, "si_sdr"] == pytest.approx(
            si_sdr(references[name], estimates[name]).item(), abs=1e-10
        )
    stacked = (torch.stack(list(audios.values())) for audios in (references, estimates))
    assert [direct[name, "si_sar"] for name in references] == pytest.approx(
        si_sar(*stacked).tolist(), abs=1e-8
    )


@pytest.mark.parametrize("level", [1e-2, 1e-4, 1e-6])
def test_si_sdr_keeps_its_digits_where_the_error_is_small(level):
    reference = song(("vocals",))[0]["vocals"].double()
    estimate = 0.7 * reference + level * torch.randn(
        reference.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64
    )
    ((_, _, value, _),) = score_track({"vocals": reference}, {"vocals": estimate}, RATE, ["si_sdr"])
    assert value == pytest.approx(si_sdr(reference, estimate).item(), abs=1e-8)
    assert [
        v for *_, v, _ in score_track({"v": reference}, {"v": reference}, RATE, ["si_sdr", "csdr"])
    ] == [math.inf, math.inf]


def test_si_sar_of_one_target_has_the_mixture_for_the_other_stems():
    references, estimates = song(("vocals", "accompaniment"))
    both, alone = (
        score_track(references, some, RATE, ["si_sar"])
        for some in (estimates, {"vocals": estimates["vocals"]})
    )
    assert alone[0][2] == pytest.approx(both[0][2], abs=1e-8)
    assert alone[0][3].target_set == ("vocals",)


@pytest.mark.parametrize("level", [1e-2, 1e-4, 1e-6])
def test_si_sar_keeps_its_digits_where_the_artefacts_are_small(level):
    references, _ = song(("vocals", "drums"))
    rest = level * noise(2, 5 * RATE, seed=3)
    estimates = {name: x + 0.1 * sum(references.values()) + rest for name, x in references.items()}
    stacked = (torch.stack(list(audios.values())) for audios in (references, estimates))
    values = [row[2] for row in score_track(references, estimates, RATE, ["si_sar"])]
    assert values == pytest.approx(si_sar(*stacked).tolist(), abs=1e-6)


@pytest.mark.parametrize("samples", [1, 2, 300, 4097])
@pytest.mark.parametrize("channels", [1, 2])
def test_very_short_songs_are_one_frame(samples, channels):
    generator = torch.Generator().manual_seed(0)
    references, errors = (torch.randn(2, channels, samples, generator=generator) for _ in range(2))
    estimates = references + 0.1 * errors
    rows = score_track(
        *({str(k): x for k, x in enumerate(y)} for y in (references, estimates)), 8000, METRICS
    )
    values = {(t, m): v for t, m, v, _ in rows}
    for k in (0, 1):
        expected = sdr(references[k], estimates[k]).item()
        assert values[str(k), "csdr"] == pytest.approx(expected, abs=1e-9) and values[
            str(k), "usdr"
        ] == pytest.approx(expected, abs=1e-3)
        assert not math.isnan(
            values[str(k), "sar"]
        )  # beyond what a fit of so few samples leaves, it is rounding


def test_no_metric_at_all_is_refused():
    with pytest.raises(SepkitError, match="no metrics were named: choose from csdr, usdr"):
        score_track(*song(), RATE, [])
    for window, hop in ((math.nan, 1), (1, math.inf), (0, 1), (1e308, 1), (1, -1), (1e-5, 1)):
        with pytest.raises(
            SepkitError, match="expected at least one sample each, and finite lengths"
        ):
            score_track(*song(), RATE, ["csdr"], window, hop)


def test_what_does_not_fit_is_named():
    references, estimates = song()
    with pytest.raises(
        SepkitError, match="no reference for the estimate 'piano'; there are vocals, drums, bass"
    ):
        score_track(references, {**estimates, "piano": estimates["bass"]}, RATE)
    with pytest.raises(
        SepkitError, match=r"drums: the reference has shape \(2, 5000\), the estimate \(1, 5000\)"
    ):
        score_track(references, {**estimates, "drums": estimates["drums"][:1]}, RATE)
    with pytest.raises(SepkitError, match="bass: the estimate holds NaN"):
        score_track(references, {**estimates, "bass": estimates["bass"] * math.nan}, RATE, ["usdr"])
    with pytest.raises(SepkitError, match="references 'vocals' and 'drums' differ in shape"):
        score_track({**references, "drums": references["drums"][:, :-1]}, estimates, RATE)
    with pytest.raises(SepkitError, match="unknown metric 'sdr': choose from csdr, usdr"):
        score_track(references, estimates, RATE, ["sdr"])
    with pytest.raises(SepkitError, match="at least one estimate"):
        score_track(references, {}, RATE)


def test_saved_scores_come_back(tmp_path):
    path = tmp_path / "scores.json"
    card = MetricCard("usdr", "MDX song SDR", delta=1e-7)
    values = {"a song": 1.0, "b": math.nan, "ünï": math.inf, "d": -math.inf}
    scores = [
        *(make(value, track=track) for track, value in values.items()),
        make(2.5, metric="usdr", card=card),
    ]
    save_scores(path, scores)
    back = load_scores(path)
    assert [repr(s.value) for s in back] == ["1.0", "nan", "inf", "-inf", "2.5"]
    assert [replace(s, value=0.0) for s in back] == [replace(s, value=0.0) for s in scores]
    content = json.loads(
        path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON")
    )
    assert content["scores"][0]["tracks"] == [*values]
    assert content["scores"][0]["values"] == [1.0, None, "inf", "-inf"]
    assert len(content["cards"]) == 2 and len(content["provenance"]) == 1
    assert set(content["cards"][0]) == {
        "metric",
        "version",
        "window",
        "hop",
        "taps",
        "aggregation",
        "target_set",
        "silent_frames",
        "delta",
        "unit",
        "better",
    }
    assert list(tmp_path.iterdir()) == [path]


def as_rows(path):
    """A file as the first format had it, an object for each score."""
    content = json.loads(path.read_text())
    rows = [
        (place, {**group, "track": track, "value": value})
        for group in content["scores"]
        for track, value, place in zip(group["tracks"], group["values"], group["order"])
    ]
    content["scores"] = [row for _, row in sorted(rows, key=lambda one: one[0])]
    for row in content["scores"]:
        del row["tracks"], row["values"], row["order"]
    path.write_text(json.dumps(content | {"format": "sepkit scores 1"}))


def test_scores_of_many_songs_come_back_in_their_order_from_both_formats(tmp_path):
    """Song by song, as `score_track` makes them: no group's scores stand beside each other."""
    draw, path = random.Random(0), tmp_path / "scores.json"
    other = dict(MADE, seed=1)
    scores = [
        make(draw.gauss(0, 10), track=track, target=target, separator=separator, provenance=origin)
        for separator, origin in (("a", dict(MADE)), ("a", other), ("b", other))
        for track in ("two", "one", "three")
        for target in ("vocals", "drums")
    ]
    del scores[2]  # not all groups have all songs
    save_scores(path, scores)
    assert load_scores(path) == scores
    groups = json.loads(path.read_text())["scores"]
    assert len(groups) == 6 and [group["order"][0] for group in groups] == [0, 1, 5, 6, 11, 12]
    as_rows(path)
    assert len(json.loads(path.read_text())["scores"]) == 17 and load_scores(path) == scores


@pytest.mark.parametrize("key", REQUIRED_PROVENANCE)
def test_a_score_without_provenance_is_refused(tmp_path, key):
    path = tmp_path / "scores.json"
    save_scores(path, [make()])
    before = path.read_bytes()
    orphan = make()
    orphan.provenance.pop(key)
    with pytest.raises(SepkitError, match=f"csdr of 'vocals' in 'a song' has no provenance {key}"):
        save_scores(path, [make(), orphan])
    assert path.read_bytes() == before


def test_files_that_hold_no_scores_are_told(tmp_path):
    path = tmp_path / "scores.json"
    with pytest.raises(SepkitError, match="no such file"):
        load_scores(path)
    path.write_text("[1, 2]")
    with pytest.raises(SepkitError, match="scores.json: not a file of sepkit scores"):
        load_scores(path)
    save_scores(path, [make()])
    broken = json.loads(path.read_text())
    del broken["scores"][0]["target"]
    path.write_text(json.dumps(broken))
    with pytest.raises(SepkitError, match="scores.json: a score is incomplete"):
        load_scores(path)


@pytest.mark.parametrize(
    "place, value, told",
    [
        ("scores", {"values": [True]}, r"scores\[0\].values\[0\] is True; expected a finite"),
        ("scores", {"values": ["5.5"]}, r"scores\[0\].values\[0\] is str"),
        ("scores", {"values": ["nan"]}, r"scores\[0\].values\[0\] is str"),
        ("scores", {"values": [[1]]}, r"scores\[0\].values\[0\] is list"),
        ("scores", {"values": [10**400]}, r"scores\[0\].values\[0\] is 1000000000"),
        ("scores", {"tracks": [7]}, r"scores\[0\].tracks\[0\] is no text"),
        ("scores", {"tracks": "a"}, r"scores\[0\]: tracks, values, order are no lists of one"),
        ("scores", {"order": [0, 1]}, r"scores\[0\]: tracks, values, order are no lists of one"),
        ("scores", {"order": ["0"]}, r"scores\[0\].order\[0\] is str; expected a finite number$"),
        ("scores", {"target": None}, r"scores\[0\].target is no text"),
        ("scores", {"card": -1}, r"scores\[0\] names no card"),
        ("scores", {"card": 1}, "IndexError"),
        ("scores", {"provenance": "x"}, r"scores\[0\] names no card or provenance"),
        ("scores", {"more": 1}, "unexpected keyword"),
        ("cards", {"window": -1.0}, r"cards\[0\].window is below 0"),
        ("cards", {"window": "1"}, r"cards\[0\].window is str"),
        ("cards", {"target_set": "ab"}, r"cards\[0\] has something else"),
        ("cards", {"target_set": [1]}, r"cards\[0\] has something else"),
        ("cards", {"version": 4}, r"cards\[0\] has something else"),
        ("provenance", None, r"provenance\[0\] is no object"),
        ("provenance", {"seed": [1]}, r"provenance\[0\].seed is list, no text or number"),
        ("provenance", {"commit": {}}, r"provenance\[0\].commit is dict, no text or number"),
        (
            "provenance",
            {"steps": "many"},
            r"provenance\[0\].steps is str; expected a finite number$",
        ),
        ("provenance", {"hours": 10**400}, r"provenance\[0\].hours is 1000"),
    ],
)
def test_what_others_wrote_is_told_with_its_place(tmp_path, place, value, told):
    path = tmp_path / "scores.json"
    save_scores(path, [make()])
    content = json.loads(path.read_text())
    content[place][0] = None if value is None else {**content[place][0], **value}
    path.write_text(json.dumps(content))
    with pytest.raises(SepkitError, match=f"scores.json: .*{told}") as error:
        load_scores(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize(
    "row, told",
    [
        ({"value": True}, r"scores\[0\].value is True; expected a finite number or null"),
        ({"value": "5.5"}, r"scores\[0\].value is str"),
        ({"value": 10**400}, r"scores\[0\].value is 1000000000"),
        ({"value": math.inf}, r"scores\[0\].value is inf; expected a finite number or null"),
        ({"track": 7}, r"scores\[0\].track is no text"),
        ({"target": None}, r"scores\[0\].target is no text"),
        ({"card": -1}, r"scores\[0\] names no card"),
        ({"track": "b"}, r"scores\[1\]: the csdr of 'vocals' in 'b' is there twice; keep one"),
        ({"more": 1}, "unexpected keyword"),
    ],
)
def test_what_others_wrote_in_the_first_format_is_told_with_its_place(tmp_path, row, told):
    path = tmp_path / "scores.json"
    save_scores(path, [make(), make(2.0, track="b")])
    as_rows(path)
    content = json.loads(path.read_text())
    content["scores"][0] |= row
    path.write_text(json.dumps(content))
    with pytest.raises(SepkitError, match=f"scores.json: .*{told}"):
        load_scores(path)


def test_bare_infinity_and_scores_that_are_there_twice_are_told(tmp_path):
    path = tmp_path / "scores.json"
    save_scores(path, [make(1.0), make(2.0, track="b")], indent=None)
    text = path.read_text()
    for value in ("Infinity", "-Infinity", "1e999"):
        path.write_text(text.replace("[1.0, 2.0]", f"[1.0, {value}]"))
        with pytest.raises(
            SepkitError, match=r"scores\[0\].values\[1\] is -?inf; expected a finite number or null"
        ):
            load_scores(path)
    path.write_text(text.replace('"b"', '"a song"'))
    with pytest.raises(
        SepkitError, match=r"scores\[0\]: the csdr of 'vocals' in 'a song' is there twice; keep one"
    ):
        load_scores(path)


def test_aggregate():
    scores = [make(v) for v in (1.0, 2.0, 10.0, math.nan, 3.0)]
    assert aggregate(scores) == 2.5
    assert aggregate(scores, "mean") == 4.0
    assert math.isnan(aggregate([make(math.nan)])) and math.isnan(
        aggregate([make(math.nan)], "mean")
    )
    with pytest.raises(SepkitError, match="unknown aggregation 'max': choose from median, mean"):
        aggregate(scores, "max")
    with pytest.raises(SepkitError, match="no scores"):
        aggregate([])


@pytest.mark.parametrize(
    "other, told",
    [
        (
            dict(card=card_for("csdr", ["vocals"])),
            r"card.target_set: \('drums', 'vocals'\) \| \('vocals',\)",
        ),
        (dict(card=card_for("csdr", ["vocals", "drums"], window=2)), r"card.window: 1.0 \| 2.0"),
        (
            dict(metric="usdr", card=card_for("usdr", [])),
            r"card.metric: csdr \| usdr; card.version: BSSEval.*card.delta",
        ),
        (dict(dataset="musdb18"), r"dataset: band \| musdb18"),
        (dict(separator="mixture"), r"separator: irm1 \| mixture"),
    ],
)
def test_aggregate_refuses_a_mixture_and_says_what_differs(other, told):
    with pytest.raises(SepkitError, match=f"they differ in {told}"):
        aggregate([make(), make(**other)])


def test_frame_is_tidy():
    frame = to_frame([make(), make(2.0, track="b")])
    assert frame[["track", "value"]].values.tolist() == [["a song", 1.0], ["b", 2.0]]
    assert (
        frame["card.silent_frames"].str.startswith("left out").all()
        and (frame["provenance.seed"] == 0).all()
    )
    assert frame.groupby("target")["value"].median()["vocals"] == 1.5
    assert list(to_frame([]).columns) == [
        "track",
        "target",
        "metric",
        "value",
        "separator",
        "dataset",
    ]


def test_comparable_pairs_by_track_and_keeps_what_only_one_has():
    a = [make(v, track=t) for t, v in (("one", 1.0), ("two", math.nan))]
    b = [
        make(v, track=t, separator="mixture")
        for t, v in (("two", 3.0), ("one", 2.0), ("three", 4.0))
    ]
    values_a, values_b = comparable(a, b)
    assert repr(values_a) == "{'one': 1.0, 'two': nan}" and values_b == {
        "two": 3.0,
        "one": 2.0,
        "three": 4.0,
    }


@pytest.mark.parametrize(
    "other, told",
    [
        (
            dict(card=card_for("csdr", ["vocals"])),
            r"card.target_set: \('drums', 'vocals'\) \| \('vocals',\)",
        ),
        (
            dict(card=replace(card_for("csdr", ["vocals", "drums"]), version="BSSEval v3 images")),
            "card.version: BSSEval v3",
        ),
        (dict(metric="usdr", card=card_for("usdr", [])), "card.metric: csdr | usdr"),
        (dict(dataset="musdb18"), r"dataset: band \| musdb18"),
        (dict(target="drums"), r"target: drums \| vocals"),
    ],
)
def test_comparable_refuses_what_does_not_measure_the_same(other, told):
    with pytest.raises(
        SepkitError,
        match=f"these scores cannot be compared, they differ in .*{told}.*; "
        "score both in the same way",
    ):
        comparable([make()], [make(separator="mixture", **other)])


def test_comparable_refuses_nothing_and_two_scores_of_a_track():
    with pytest.raises(SepkitError, match="the second list holds no scores"):
        comparable([make()], [])
    with pytest.raises(
        SepkitError, match="'a song' has 2 scores in one list; select one separator"
    ):
        comparable([make(), make(separator="mixture")], [make()])
