"""Scores of separators and of folders: paired by name, resumed, clear about what does not fit."""

import json
import math
import warnings
from dataclasses import replace

import pytest
import torch

from sepkit import audio
from sepkit.datasets import MemoryTrack, open_tracks
from sepkit.errors import Notice, SepkitError
from sepkit.evaluation import evaluate, evaluate_folders, tables, to_table
from sepkit.metrics import aggregate, ffmpeg_available, load_scores, score_track
from sepkit.metrics.statistics import bootstrap_interval
from sepkit.separation import MixtureSeparator, OracleSeparator, Separator, get

RATE = 4000
QUIET = dict(notice=None)


def noise(seed=0, samples=4 * RATE, channels=2):
    return 0.1 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))


def make_track(name="a song", seed=0, stems=("vocals", "drums")):
    return MemoryTrack(name, {stem: noise(10 * seed + k) for k, stem in enumerate(stems)}, RATE)


class Leak(Separator):
    """Each stem plus a tenth of all the others: an SDR of 20 dB for two equally loud stems."""

    uses_references = True

    def __init__(self, leak=0.1, fail_on=None, **options):
        super().__init__("leak", **options)
        self.leak, self.fail_on, self.calls = leak, fail_on, 0

    def separate(self, mixture, references=None):
        self.calls += 1
        if self.calls == self.fail_on:
            raise KeyboardInterrupt
        return {target: x + self.leak * (mixture - x) for target, x in references.items()}

    def describe(self):
        return {**super().describe(), "leak": self.leak}


def values(scores):
    return {(s.track, s.target, s.metric): s.value for s in scores}


def test_scores_have_the_values_of_their_closed_form():
    tracks = [make_track("one", 1), make_track("two", 2)]
    scores = evaluate(Leak(), tracks, dataset="noise", seed=7, profile="smoke")
    assert len(scores) == 2 * 2 * 3
    for score in scores:
        assert score.value == pytest.approx(20, abs=0.4)
        assert (
            score.separator,
            score.dataset,
            score.provenance["seed"],
            score.provenance["device"],
        ) == ("leak", "noise", 7, "cpu")
    direct = score_track(
        tracks[0].references(), Leak().separate(tracks[0].mixture(), tracks[0].references()), RATE
    )
    assert [(s.target, s.metric, s.value, s.card) for s in scores[:6]] == direct


@pytest.mark.parametrize("chunk", [None, 1.0])
def test_long_tracks_are_scored_in_chunks_and_at_any_rate(chunk):
    tracks = [make_track()]
    oracle = evaluate(OracleSeparator("crm"), tracks, metrics=["usdr"], chunk=chunk, overlap=0.5)
    assert all(score.value > 55 for score in oracle)
    # Nothing near 2 kHz.
    stems = {
        stem: audio.resample(noise(k, 2 * RATE), RATE // 2, RATE)
        for k, stem in enumerate(("a", "b"))
    }
    there_and_back = evaluate(
        Leak(sample_rate=8000), [MemoryTrack("x", stems, RATE)], chunk=chunk, overlap=0.5
    )
    assert all(score.value == pytest.approx(20, abs=0.4) for score in there_and_back)


def test_oracles_lie_above_the_mixture_on_any_stems():
    tracks = [make_track(stems=("speech", "noise"))]
    floor, ceiling = (
        values(evaluate(s, tracks, metrics=["usdr"])) for s in (MixtureSeparator(), get("irm1"))
    )
    assert list(floor) == [("a song", "speech", "usdr"), ("a song", "noise", "usdr")]
    assert all(ceiling[key] > floor[key] + 3 for key in floor)


def test_only_common_targets_are_scored_and_none_is_an_error():
    class One(Separator):
        def separate(self, mixture, references=None):
            return dict.fromkeys(self.targets, mixture)

    scores = evaluate(One("one", ("drums", "piano")), [make_track()], metrics=["usdr"])
    assert [s.target for s in scores] == ["drums"]
    with pytest.raises(
        SepkitError,
        match="a song: its stems are vocals, drums, but one estimates piano: none in common",
    ):
        evaluate(One("one", ("piano",)), [make_track()])


def test_what_cannot_be_evaluated_is_refused(tmp_path):
    with pytest.raises(SepkitError, match="no tracks"):
        evaluate(Leak(), [])
    with pytest.raises(SepkitError, match="two songs are called 'a song'"):
        evaluate(Leak(), [make_track(), make_track(seed=1)])
    with pytest.raises(SepkitError, match="unknown metric 'wer': choose from csdr"):
        evaluate(Leak(), [make_track()], metrics=["wer"])
    (tmp_path / "file").write_text("")
    with pytest.raises(SepkitError, match="is a file; name a new folder"):
        evaluate(Leak(), [make_track()], tmp_path / "file")
    with pytest.raises(SepkitError, match="is a folder"):
        (tmp_path / "x.json").mkdir()
        evaluate(Leak(), [make_track()], tmp_path / "x.json")


def test_estimates_with_nan_name_the_song():
    class Diverged(Leak):
        def separate(self, mixture, references=None):
            return {target: x * float("nan") for target, x in references.items()}

    with pytest.raises(SepkitError, match="a song: vocals: the estimate holds NaN"):
        evaluate(Diverged(), [make_track()])


# --- what is written


def test_a_songs_file_has_museval_frames_behind_its_scores(tmp_path):
    scores = evaluate(Leak(), [make_track()], tmp_path)
    content = json.loads((tmp_path / "a song.json").read_text())
    assert [target["name"] for target in content["targets"]] == ["vocals", "drums"]
    frames = content["targets"][1]["frames"]
    assert [(f["time"], f["duration"]) for f in frames] == [(0, 1), (1, 1), (2, 1), (3, 1)]
    sdrs = sorted(f["metrics"]["SDR"] for f in frames)
    assert (sdrs[1] + sdrs[2]) / 2 == pytest.approx(values(scores)["a song", "drums", "csdr"])
    assert load_scores(tmp_path / "a song.json") == load_scores(tmp_path / "scores.json") == scores


@pytest.mark.skipif(not ffmpeg_available(), reason="museval needs ffmpeg")
def test_museval_reads_a_songs_file(tmp_path):
    from museval.aggregate import json2df

    evaluate(Leak(), [make_track()], tmp_path)
    frame = json2df(json.loads((tmp_path / "a song.json").read_text()), "a song")
    sdrs = frame[(frame.metric == "SDR") & (frame.target == "vocals")].score.astype(float)
    assert len(sdrs) == 4 and sdrs.between(19, 21).all()


def test_one_file_for_all_scores_keeps_the_songs_beside_it(tmp_path):
    scores = evaluate(Leak(), [make_track()], tmp_path / "leak.json")
    assert load_scores(tmp_path / "leak.json") == scores
    assert [p.name for p in (tmp_path / "leak.tracks").iterdir()] == ["a song.json"]


def test_an_interrupted_evaluation_goes_on_where_it_was_stopped(tmp_path):
    tracks = [make_track(name, k) for k, name in enumerate(("one", "two", "three"))]
    with pytest.raises(KeyboardInterrupt):
        evaluate(Leak(fail_on=2), tracks, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["one.json"]
    second = Leak()
    scores = evaluate(second, tracks, tmp_path)
    assert second.calls == 2
    assert [s.value for s in scores] == [s.value for s in evaluate(Leak(), tracks)]
    third = Leak()
    assert evaluate(third, tracks, tmp_path) == scores and third.calls == 0


@pytest.mark.parametrize("out", ["kept", "kept.json"])
def test_scores_of_another_separator_are_never_replaced(tmp_path, out):
    evaluate(Leak(), [make_track("one")], tmp_path / out)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    for tracks in ([make_track("one")], [make_track("two")]):  # the song's scores, those of all
        other = MixtureSeparator()
        with pytest.raises(SepkitError, match="holds the scores of leak, not of mixture; choose"):
            evaluate(other, tracks, tmp_path / out)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before
    again = Leak()
    evaluate(again, [make_track("one"), make_track("two", 1)], tmp_path / out, **QUIET)
    assert again.calls == 1  # the first song is kept


def test_scores_that_another_separator_writes_meanwhile_are_not_replaced(tmp_path):
    class Slow(Leak):
        def separate(self, mixture, references=None):
            if not self.calls:
                evaluate(MixtureSeparator(), [make_track()], tmp_path, **QUIET)
            return super().separate(mixture, references)

    slow = Slow()
    with pytest.raises(SepkitError, match="a song.json: holds the scores of mixture, not of leak"):
        evaluate(slow, [make_track()], tmp_path, **QUIET)
    assert {score.separator for score in load_scores(tmp_path / "a song.json")} == {"mixture"}


def test_scores_of_separated_folders_are_not_replaced_by_those_of_others(tmp_path):
    for folder in ("true", "one", "two"):
        write_songs(tmp_path / folder, ("a",))
    places = tmp_path / "true", tmp_path / "one", tmp_path / "out"
    scores = evaluate_folders(*places, metrics=["usdr"], **QUIET)
    with pytest.raises(SepkitError, match="holds the scores of one, not of two"):
        evaluate_folders(tmp_path / "true", tmp_path / "two", tmp_path / "out", metrics=["usdr"])
    assert evaluate_folders(*places, metrics=["usdr"], **QUIET) == scores


@pytest.mark.parametrize(
    "change", ["metrics", "separator", "audio", "window", "dataset", "broken file", "foreign file"]
)
def test_a_song_is_scored_again_when_anything_has_changed(tmp_path, change):
    evaluate(Leak(), [make_track()], tmp_path, dataset="x")
    separator, track, options = Leak(), make_track(), {"dataset": "x"}
    if change == "metrics":
        options["metrics"] = ["usdr"]
    elif change == "separator":
        separator = Leak(0.2)
    elif change == "audio":
        track = make_track(seed=1)
    elif change == "window":
        options["window"] = 2.0
    elif change == "dataset":
        options["dataset"] = "y"
    else:
        text = (tmp_path / "a song.json").read_text()
        (tmp_path / "a song.json").write_text(
            text[:-50] if change == "broken file" else '{"targets": []}'
        )
    scores = evaluate(separator, [track], tmp_path, **options)
    assert separator.calls == 1
    assert load_scores(tmp_path / "a song.json") == scores


@pytest.mark.slow
def test_several_processes_find_the_same_scores(tmp_path):
    tracks = [make_track(name, k) for k, name in enumerate(("one", "two", "three"))]
    told = []
    separators = get("irm1"), get("irm1")
    alone = evaluate(separators[0], tracks, tmp_path / "a")
    together = evaluate(
        separators[1], tracks, tmp_path / "b", workers=2, progress=lambda *p: told.append(p)
    )
    assert values(together) == values(alone) and list(values(together)) == list(values(alone))
    assert sorted(p[2] for p in told) == ["one", "three", "two"] and told[-1][:2] == (3, 3)


def test_what_no_other_process_can_take_is_done_in_this_one():
    track = make_track()
    track.handle = (k for k in ())  # generators cannot be sent
    told = []
    scores = evaluate(
        Leak(), [track, make_track("other")], workers=2, metrics=["usdr"], notice=told.append
    )
    assert (
        len(scores) == 4
        and "one song at a time, because separator or track cannot be handed" in told[0]
    )


def test_a_silent_stem_is_told_once_with_what_to_do():
    tracks = [make_track(name, k) for k, name in enumerate(("one", "two"))]
    for track in tracks:
        track._audio["drums"] *= 0
    told = []
    scores = evaluate(Leak(), tracks, notice=told.append)
    assert (
        len(told) == 1
        and "one: the reference 'drums' is silent" in told[0]
        and "leave this stem out" in told[0]
    )
    assert "(and 1 more like this)" in told[0]
    assert all(math.isnan(s.value) for s in scores if s.metric == "csdr")


@pytest.mark.parametrize("gain, told", [(10 ** (-15 / 20), ["-15.1 dB"]), (0.05, [])])
def test_a_mixture_that_is_not_the_sum_of_its_stems_is_told_once_a_song(gain, told):
    track = make_track()
    track._audio["mixture"] += gain * noise(7) * track.mixture().norm() / noise(7).norm()
    track.has_mixture = True
    for separator in (Leak(), get("irm1")):
        notes, findings = [], []
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            evaluate(
                separator,
                [track],
                metrics=["usdr"],
                chunk=1.0,
                overlap=0.5,
                notice=notes.append,
                findings=findings,
            )
        assert [f.kind for f in findings] == ["not the sum"] * len(told) and len(notes) == len(told)
        for note, level in zip(notes, told):
            assert (
                note.startswith("a song: the mixture is not the sum of its stems") and level in note
            )
    if told:
        with pytest.warns(Notice, match="the mixture is not the sum of its stems.* -15.1 dB"):
            get("irm1").separate(track.mixture(), track.references())


def test_a_song_with_a_silent_reference_is_not_scored_in_any_metric():
    tracks = [make_track(name, k) for k, name in enumerate("abc")]
    tracks[1]._audio["vocals"] *= 0
    scores = evaluate(Leak(), tracks, metrics=["usdr", "si_sdr", "csdr"], notice=None)
    missing = {(s.track, s.target, s.metric) for s in scores if math.isnan(s.value)}
    assert missing == {("b", "vocals", m) for m in ("usdr", "si_sdr", "csdr")} | {
        ("b", "drums", "csdr")
    }
    mean = (
        sum(
            s.value for s in scores if (s.target, s.metric) == ("vocals", "usdr") and s.track != "b"
        )
        / 2
    )
    cell = next(
        row for table in tables(scores) if table.title.startswith("uSDR") for row in table.rows
    )[1]
    assert cell == f"{mean:.2f} (of 2)" and mean == pytest.approx(20, abs=0.4)
    vocals = [s for s in scores if (s.target, s.metric) == ("vocals", "usdr")]
    assert aggregate(vocals, "mean") == pytest.approx(mean)


def rescored(scores, **changes):
    return [replace(score, **changes) for score in scores]


def test_the_table_summarises_each_metric_as_its_authors_do():
    tracks = [make_track(name, k) for k, name in enumerate("abc")]
    scores = evaluate(Leak(), tracks, dataset="noise") + rescored(
        evaluate(Leak(0.5), tracks, dataset="noise"), separator="leakier"
    )
    lines = to_table(scores).splitlines()
    assert (
        lines[0]
        == "cSDR on noise (dB): BSSEval v4 images, median over frames of 1 s, median over songs"
    )
    assert lines[1].split() == ["system", "vocals", "drums", "songs"]
    assert [line.split()[0] for line in lines[2:4]] == ["leak", "leakier"]
    mine = [
        s.value for s in scores if (s.separator, s.target, s.metric) == ("leakier", "drums", "csdr")
    ]
    assert lines[3].split()[-2:] == [f"{sorted(mine)[1]:.2f}", "3"]
    means = [
        s.value for s in scores if (s.separator, s.target, s.metric) == ("leakier", "drums", "usdr")
    ]
    assert lines[5].endswith("mean over songs") and lines[8].split()[-2] == f"{sum(means) / 3:.2f}"


def test_means_over_other_songs_never_share_a_table():
    three = evaluate(Leak(), [make_track(name, k) for k, name in enumerate("abc")])
    two = rescored([s for s in three if s.track != "c"], separator="fewer")
    shown = [t for t in tables(three + two) if t.title.startswith("uSDR")]
    assert [[row[0] for row in table.rows] for table in shown] == [["leak"], ["fewer"]]
    (songs,) = [t for t in tables(three + two, songs=True) if t.title.startswith("uSDR")]
    assert len(songs.rows) == 5, "a row for each song needs no common ones"


def test_a_table_says_when_lower_is_better_and_what_has_no_unit():
    scores = evaluate(
        Leak(), [make_track("a")], dataset="noise", metrics=["si_sar", "log_wmse", "mr_stft"]
    )
    ratio, log_wmse, distance = tables(scores)
    assert [table.title for table in (ratio, log_wmse, distance)] == [
        "SI-SAR on noise (dB)",
        "log-WMSE on noise",
        "MR-STFT distance on noise",
    ]
    assert ["lower is better" in table.card for table in (ratio, log_wmse, distance)] == [
        False,
        False,
        True,
    ]


def test_the_table_never_mixes_cards_and_shows_what_is_undefined():
    tracks = [make_track(name, k) for k, name in enumerate("ab")]
    scores = evaluate(Leak(), tracks, metrics=["csdr"])
    wide = evaluate(Leak(), tracks, metrics=["csdr"], window=2.0, hop=1.0)
    alone = [
        replace(s, card=replace(s.card, target_set=("drums",)))
        for s in scores
        if s.target == "drums"
    ]
    titles = [
        table.card
        for table in tables(
            scores
            + wide
            + [replace(s, card=replace(s.card, target_set=("bass", "drums"))) for s in alone]
        )
    ]
    assert [("of 2 s every 1 s" in t, "scored together with bass" in t) for t in titles] == [
        (False, False),
        (True, False),
        (False, True),
    ]
    one = tables([replace(scores[0], value=math.nan), *scores[1:]])[0]
    assert one.rows[0][1].endswith("(of 1)") and one.rows[0][-1] == "2"
    assert tables([replace(s, value=math.nan) for s in scores])[0].rows == [
        ("leak", "nan", "nan", "2")
    ]
    assert tables([replace(s, value=math.inf) for s in scores])[0].rows == [
        ("leak", "inf", "inf", "2")
    ]


def test_the_table_shows_songs_and_intervals():
    (score,) = evaluate(Leak(), [make_track(stems=("x",))], metrics=["usdr"], notice=None)
    scores = [replace(score, track=str(k), value=float(k)) for k in range(10)]
    assert [row[1:] for row in tables(scores, songs=True)[0].rows] == [
        (str(k), f"{k:.2f}") for k in range(10)
    ]
    low, high = bootstrap_interval(range(10), statistic="mean")
    assert low < 4.5 < high and tables(scores, interval=True)[0].rows == [
        ("leak", f"4.50 [{low:.2f}, {high:.2f}]", "10")
    ]
    assert tables(scores[:4], interval=True)[0].rows == [("leak", "1.50", "4")]  # too few to say


# --- folders


def write_songs(
    root, songs, leak=0.0, stems=("vocals", "drums"), rate=RATE, suffix=".wav", samples=4 * RATE
):
    for k, name in enumerate(songs):
        parts = {stem: noise(10 * k + j) for j, stem in enumerate(stems)}
        mixture = sum(parts.values())
        for stem, x in parts.items():
            y = x + leak * (mixture - x)
            audio.write(
                root / name / f"{stem}{suffix}",
                audio.resample(y, RATE, rate)[:, : samples * rate // RATE],
                rate,
            )


def test_song_folders_are_paired_by_name_whatever_their_order(tmp_path):
    write_songs(tmp_path / "true", ("zebra", "ant"))
    write_songs(tmp_path / "est", ("zebra", "ant"), leak=0.1, suffix=".flac")
    told = []
    scores = evaluate_folders(
        tmp_path / "true", tmp_path / "est", tmp_path / "scores.json", notice=told.append
    )
    assert (
        len(scores) == 12
        and all(s.value == pytest.approx(20, abs=0.4) for s in scores)
        and not told
    )
    assert {(s.separator, s.dataset) for s in scores} == {("est", "folder:true")}
    assert load_scores(tmp_path / "scores.json") == scores
    direct = score_track(
        *(open_tracks(tmp_path / d / "ant")[0].references() for d in ("true", "est")), RATE
    )
    assert [s.value for s in scores if s.track == "ant"] == [row[2] for row in direct]


def test_two_folders_of_one_song_with_any_stems(tmp_path):
    write_songs(tmp_path, ("true",), stems=("speech", "noise"))
    write_songs(tmp_path, ("est",), leak=0.1, stems=("speech", "noise"))
    audio.write(tmp_path / "est" / "mixture.wav", noise(), RATE)  # ignored
    scores = evaluate_folders(tmp_path / "true", tmp_path / "est", metrics=["usdr"])
    assert [(s.track, s.target) for s in scores] == [("true", "speech"), ("true", "noise")]
    assert all(s.value == pytest.approx(20, abs=0.4) for s in scores)


def test_estimates_lie_under_test_as_the_references_may(tmp_path):
    write_songs(tmp_path / "true" / "test", ("song",))
    write_songs(tmp_path / "est" / "test", ("song",), leak=0.1)
    assert len(evaluate_folders(tmp_path / "true", tmp_path / "est")) == 6


def test_what_does_not_fit_exactly_is_made_to_fit_and_told(tmp_path):
    write_songs(tmp_path / "true", ("a", "b", "c"), stems=("vocals", "drums", "bass"))
    write_songs(tmp_path / "est", ("a", "b", "extra"), leak=0.1, rate=8000, samples=3 * RATE)
    for name in ("a", "b"):
        audio.write(tmp_path / "est" / name / "piano.wav", noise(), RATE)
        y = audio.read(tmp_path / "est" / name / "drums.wav", channels=1)[0]
        audio.write(tmp_path / "est" / name / "drums.wav", torch.cat([y, y], -1), 8000)
    told = []
    scores = evaluate_folders(tmp_path / "true", tmp_path / "est", notice=told.append)
    assert {(s.track, s.target) for s in scores} == {
        (t, s) for t in "ab" for s in ("vocals", "drums")
    }
    found = "\n".join(told)
    for text in (
        "no estimates for 1 of 3 songs (c): scored without them",
        "extra left out, having no reference of that name",
        "piano.wav: left out, there is no reference 'piano' (there are vocals, drums, bass) "
        "(and 1 more like this)",
        "no estimate of bass; scored without",
        "vocals.wav: 8000 Hz, resampled to the references' 4000 Hz (and 3 more like this)",
        "drums.wav: 1 channel(s), made 2 like the reference",
        "vocals.wav: 3.000 s, but the reference has 4.000 s (4000 samples missing): padded with "
        "silence at its end",
        "a: 1 of 4 frames left out of csdr, isr, sir, sar: the estimate 'vocals' is silent in 1 "
        "(BSSEval's rule",
    ):
        assert text in found
    assert "drums.wav: 6.000 s" not in found  # told once for each kind
    assert len(told) == 8


def test_an_estimate_at_another_rate_alone_is_not_called_too_long(tmp_path):
    write_songs(tmp_path / "true", ("a",))
    write_songs(tmp_path / "est", ("a",), leak=0.1, rate=11025)
    told = []
    scores = evaluate_folders(
        tmp_path / "true", tmp_path / "est", metrics=["usdr"], notice=told.append
    )
    # What lies close to 2 kHz gets lost.
    assert len(told) == 1 and "resampled" in told[0] and all(s.value > 9 for s in scores)


def test_scores_at_another_rate_on_request(tmp_path):
    write_songs(tmp_path / "true", ("a",))
    write_songs(tmp_path / "est", ("a",), leak=0.1)
    scores = evaluate_folders(
        tmp_path / "true", tmp_path / "est", metrics=["usdr"], sample_rate=2000, notice=None
    )
    assert all(s.value == pytest.approx(20, abs=0.4) for s in scores)


def test_exchanged_stems_are_noticed_but_a_mixture_for_all_is_not(tmp_path):
    write_songs(tmp_path / "true", ("a",))
    write_songs(tmp_path / "est", ("a",), leak=0.1)
    folder = tmp_path / "est" / "a"
    (folder / "vocals.wav").rename(folder / "x.wav")
    (folder / "drums.wav").rename(folder / "vocals.wav")
    (folder / "x.wav").rename(folder / "drums.wav")
    told = []
    scores = evaluate_folders(
        tmp_path / "true", tmp_path / "est", metrics=["usdr"], notice=told.append
    )
    assert (
        len(told) == 1
        and "a: the estimate 'vocals' resembles the reference 'drums' far more than its own"
        in told[0]
    )
    assert all(s.value < 0 for s in scores)  # scored by name all the same
    told.clear()
    for stem in ("vocals", "drums"):
        audio.write(folder / f"{stem}.wav", noise(0) + 4 * noise(1), RATE)
    evaluate_folders(tmp_path / "true", tmp_path / "est", metrics=["usdr"], notice=told.append)
    # Four times too loud; and no exchange.
    assert [text.split(";")[0] for text in told] == [
        "a: the estimate 'drums' would score 22.3 dB more when multiplied by 0.235"
    ]


def test_folders_that_cannot_be_paired_say_why_and_what_to_do(tmp_path):
    write_songs(tmp_path / "true", ("a", "b"))
    write_songs(tmp_path / "one", ("a",))
    write_songs(tmp_path / "others", ("x", "y"))
    write_songs(tmp_path / "stems", ("a", "b"), stems=("voice", "kit"))
    write_songs(tmp_path / "uneven", ("a", "b"))
    (tmp_path / "uneven" / "b" / "drums.wav").unlink()
    (tmp_path / "empty").mkdir()
    for reference, estimate, expected in (
        ("missing", "true", "neither a folder nor one of the data sets"),
        ("true", "missing", "missing: no such folder"),
        ("true", "empty", "empty: no audio files, and no folders with any"),
        ("empty", "true", "no songs"),
        (
            "true",
            "one/a",
            "one/a: holds audio files itself, but .*true holds 2 song.*put the files into "
            "folders named after the songs, such as a/a/vocals.wav",
        ),
        (
            "true",
            "others",
            r"no song of .*others \(x, y\) has the name of one of .*true \(a, b\); "
            "songs are paired by",
        ),
        (
            "true",
            "stems",
            r"its files \(kit, voice\) and the references of a \(vocals, drums\) "
            "have no name in common.*rename",
        ),
        (
            "true",
            "uneven",
            "uneven/b: no estimate of drums, which other songs have; separate this song again",
        ),
    ):
        with pytest.raises(SepkitError, match=expected):
            evaluate_folders(tmp_path / reference, tmp_path / estimate, notice=None)


def test_a_broken_estimate_is_named(tmp_path):
    write_songs(tmp_path / "true", ("a",))
    write_songs(tmp_path / "est", ("a",))
    (tmp_path / "est" / "a" / "drums.wav").write_text("no audio")
    with pytest.raises(SepkitError, match="drums.wav: not readable as audio"):
        evaluate_folders(tmp_path / "true", tmp_path / "est", tmp_path / "out")
    assert not (tmp_path / "out" / "scores.json").exists()
