"""Each way in which signals make scores meaningless is found, named, and seen nowhere else."""

import math

import numpy as np
import pytest
import torch

from sepkit.metrics import bss_eval, examine, score_track, sdr

RATE = 8000
SECONDS = 6


def noise(seed, gain=0.1, channels=2, seconds=SECONDS):
    return gain * torch.randn(
        channels, seconds * RATE, generator=torch.Generator().manual_seed(seed)
    )


def song(**gains):
    return {
        name: noise(k, gain)
        for k, (name, gain) in enumerate((gains or dict(vocals=0.1, drums=0.1, bass=0.05)).items())
    }


def leaky(references, leak=0.1):
    mixture = sum(references.values())
    return {name: x + leak * (mixture - x) for name, x in references.items()}


def kinds(references, estimates, mixture=None, metrics=("csdr",)):
    frames = {}
    score_track(references, estimates, RATE, metrics, frames=frames)
    return {
        (f.kind, f.stems): f.text
        for f in examine(references, estimates, RATE, mixture, "a song", frames)
    }


@pytest.mark.parametrize("leak", [0.0003, 0.1, 0.5])
def test_ordinary_estimates_have_no_findings(leak):
    references = song()
    assert kinds(references, leaky(references, leak)) == {}
    mono = {name: x[:1] for name, x in references.items()}
    assert kinds(mono, leaky(mono, leak)) == {}
    double = {
        name: x[:1].repeat(2, 1) for name, x in references.items()
    }  # equal channels are no collinear stems
    assert kinds(double, leaky(double, leak)) == {}


def test_a_finding_reads_as_one_line_that_names_its_track():
    references = song()
    found = examine(
        references, {**leaky(references), "bass": references["bass"].clone()}, RATE, track="a song"
    )
    assert [(f.kind, f.track, f.stems) for f in found] == [("perfect", "a song", ("bass",))]
    assert str(found[0]).startswith(
        "a song: the estimate 'bass' is its reference, sample for sample"
    ) and "\n" not in str(found[0])


def test_a_perfect_estimate_is_one_to_the_last_bit():
    references = song()
    estimates = {**leaky(references), "bass": references["bass"].clone()}
    assert list(kinds(references, estimates)) == [("perfect", ("bass",))]
    assert {t: v for t, _, v, _ in score_track(references, estimates, RATE, ["csdr"])}[
        "bass"
    ] == math.inf
    estimates["bass"][0, 5] += 1e-6
    assert ("perfect", ("bass",)) not in kinds(references, estimates)
    estimates["bass"][:, : 2 * RATE] = 0.9 * references["bass"][:, : 2 * RATE]
    text = kinds(references, estimates)["perfect frames", ("bass",)]
    assert "in 4 of 6 frames" in text and "museval writes them as NaN" in text


def test_channels_that_cancel_are_told_as_the_reason_for_nan():
    references, estimates = song(), leaky(song())
    references["vocals"][1] = -references["vocals"][0]
    rows = score_track(references, estimates, RATE, ("csdr", "usdr"))
    assert all(math.isnan(v) == (m == "csdr") for _, m, v, _ in rows)
    text = kinds(references, estimates, sum(references.values()))["cancelling", ("vocals",)]
    assert (
        "the reference 'vocals' add up to zero" in text
        and "csdr, isr, sir and sar of this song are nan" in text
    )


def test_the_usdr_that_is_told_of_a_perfect_estimate_is_the_one_that_is_scored():
    references = song()
    estimates = {**leaky(references), "bass": references["bass"].clone()}
    values = {
        (t, m): v
        for t, m, v, _ in score_track(references, estimates, RATE, ("csdr", "usdr", "si_sdr"))
    }
    assert values["bass", "csdr"] == values["bass", "si_sdr"] == math.inf
    assert (
        f"allows, {values['bass', 'usdr']:.2f} dB"
        in kinds(references, estimates)["perfect", ("bass",)]
    )


def test_silence_is_counted_by_frame_and_by_stem():
    references, estimates = song(), leaky(song())
    references["vocals"][:, : 2 * RATE] = 0
    estimates["drums"][:, RATE : 4 * RATE] = 0
    found = kinds(references, estimates, sum(references.values()))
    text = found["silent frames", ("vocals", "drums")]
    assert text.startswith("4 of 6 frames left out of csdr, isr, sir, sar: ")
    assert "the reference 'vocals' is silent in 2, the estimate 'drums' is silent in 3" in text
    assert not any(
        kind == "silent frames" for kind, _ in kinds(references, estimates, metrics=("usdr",))
    )  # which looks at no frames
    references["bass"][:] = 0
    found = kinds(references, estimates, sum(references.values()))
    assert (
        "the reference 'bass' is silent throughout, so no frame" in found["silent", ("bass",)]
        and "leave this stem out" in found["silent", ("bass",)]
    )


def test_frames_that_are_all_left_out_are_told_though_no_stem_is_silent_throughout():
    references = song(a=0.1, b=0.1)
    references["a"][:, : 3 * RATE] = 0
    references["b"][:, 3 * RATE :] = 0
    text = kinds(references, leaky(references))["silent frames", ("a", "b")]
    assert (
        text.startswith("6 of 6 frames left out")
        and "no frame is left: csdr, isr, sir, sar are NaN" in text
    )


@pytest.mark.parametrize("bits", [None, 16])
def test_collinear_references_are_named_with_their_factor(bits):
    vocals, other = noise(0), noise(1)
    references = {"vocals": vocals, "accompaniment": 3 * vocals, "other": other}
    if bits:
        references = {
            name: (x * 2 ** (bits - 1)).round() / 2 ** (bits - 1) for name, x in references.items()
        }
    estimates = {name: x + 0.01 * noise(9) for name, x in references.items()}
    found = kinds(references, estimates)
    assert list(found) == [("collinear", ("vocals", "accompaniment"))]
    assert "the reference 'accompaniment' is 3 x the reference 'vocals'" in next(
        iter(found.values())
    )


def test_a_sum_of_stems_among_the_references_is_collinear_as_a_set():
    references = song(vocals=0.1, drums=0.1, bass=0.1)
    references["accompaniment"] = references["drums"] + references["bass"]
    estimates = {name: x + 0.01 * noise(9) for name, x in references.items()}
    assert list(kinds(references, estimates)) == [("collinear", ("drums", "bass", "accompaniment"))]
    references["accompaniment"] = (
        references["drums"] + references["bass"] + 0.05 * noise(7)
    )  # not quite
    assert kinds(references, estimates) == {}


@pytest.mark.parametrize("gain", [1, 0.25, -1])
def test_the_mixture_as_an_estimate_is_recognised_at_any_level(gain):
    references = song()
    mixture = sum(references.values())
    coded = mixture + 0.0005 * noise(5, 1)  # as after an encoder
    estimates = {**leaky(references), "bass": gain * coded}
    found = kinds(references, estimates, mixture)
    assert list(found) == [("mixture", ("bass",))]
    text = found["mixture", ("bass",)]
    assert ("times" in text) == (gain != 1) and f"times {gain:.2g}"[:7] in text + "times 1"
    told = float(text.split("(")[1].split(" dB")[0])
    assert told == pytest.approx(sdr(references["bass"], mixture).item(), abs=0.01)


def test_a_stem_that_is_the_whole_mixture_may_be_estimated_by_it():
    references = {"vocals": noise(0), "drums": 1e-4 * noise(1)}
    assert not any(
        kind == "mixture"
        for kind, _ in kinds(
            references, {"vocals": references["vocals"] + 1e-3 * noise(2), "drums": 1e-4 * noise(3)}
        )
    )


def test_exchanged_estimates_are_named():
    references, estimates = song(), leaky(song())
    estimates["vocals"], estimates["drums"] = estimates["drums"], estimates["vocals"]
    found = kinds(references, estimates)
    assert list(found) == [("mixed up", ("vocals",)), ("mixed up", ("drums",))]
    assert (
        "the estimate 'vocals' resembles the reference 'drums' far more than its own"
        in found["mixed up", ("vocals",)]
    )


@pytest.mark.parametrize("delay", [1, 40, 1105, -576])
def test_a_late_or_early_estimate_is_told_by_how_much(delay):
    references = song()
    estimates = {name: x.roll(delay, -1) for name, x in leaky(references).items()}
    found = kinds(references, estimates)
    assert {kind for kind, _ in found} == {"shifted"} and len(found) == 3
    late = "late" if delay > 0 else "early"
    told = f"starts {abs(delay)} samples ({1000 * abs(delay) / RATE:.1f} ms) too {late}"
    assert told in found["shifted", ("bass",)]


def test_estimates_of_another_song_are_told_and_poor_ones_are_not():
    references = song()
    others = {name: noise(50 + k) for k, name in enumerate(references)}
    assert {kind for kind, _ in kinds(references, others)} == {"unrelated"}
    poor = {
        name: 0.3 * x + 0.7 * x.std() * noise(60 + k, 1)
        for k, (name, x) in enumerate(references.items())
    }  # -7 dB
    assert kinds(references, poor) == {}


@pytest.mark.parametrize("gain", [0.5, 2, -1])
def test_a_wrong_level_is_told_with_the_right_factor(gain):
    references = song()
    estimates = {**leaky(references, 0.05), "drums": gain * leaky(references, 0.05)["drums"]}
    found = kinds(references, estimates)
    assert list(found) == [("level", ("drums",))]
    told = float(found["level", ("drums",)].split("multiplied by ")[1].split(";")[0])
    assert told == pytest.approx(1 / gain, rel=0.02)
    gained = float(found["level", ("drums",)].split("score ")[1].split(" dB")[0])
    before, after = (
        sdr(references["drums"], x).item() for x in (estimates["drums"], told * estimates["drums"])
    )
    assert gained == pytest.approx(after - before, abs=0.1)


def test_a_single_stem_has_no_interference():
    references = {"vocals": noise(0)}
    found = kinds(references, {"vocals": references["vocals"] + 0.1 * noise(1)}, metrics=("sir",))
    assert (
        list(found) == [("alone", ("vocals",))]
        and "its sir is infinite" in found["alone", ("vocals",)]
    )


# --- the two printouts of a report from 2022 whose author could not explain them (claims, S0.2)

FIRST = {
    "vocals": dict(SDR=math.nan, SIR=140.228, ISR=184.388, SAR=140.228),
    "accompaniment": dict(SDR=3.522, SIR=140.229, ISR=3.522, SAR=140.228),
}
SECOND = {"vocals": dict(SDR=-1.775, SIR=-1.772), "accompaniment": dict(SDR=1.781, SIR=1.784)}


def evaluated(references, estimates):
    """{target: {ratio: median over frames}}; an infinite median is NaN, as museval prints it."""
    frames = bss_eval(*(torch.stack([*x.values()]) for x in (references, estimates)), RATE)
    medians = [np.median(np.asarray(x), 1) for x in frames]
    return {
        name: {
            ratio: math.nan if math.isinf(values[k]) else values[k]
            for ratio, values in zip(("SDR", "ISR", "SIR", "SAR"), medians)
        }
        for k, name in enumerate(references)
    }


def test_the_first_printout_is_one_recording_given_for_both_stems():
    vocals = noise(0)
    references, estimates = (
        {"vocals": vocals, "accompaniment": 3 * vocals},
        {"vocals": vocals, "accompaniment": vocals.clone()},
    )
    ours = evaluated(references, estimates)
    assert math.isnan(ours["vocals"]["SDR"]) and math.isnan(FIRST["vocals"]["SDR"])
    for ratio in ("SDR", "ISR"):
        assert (
            ours["accompaniment"][ratio]
            == pytest.approx(20 * math.log10(3 / 2), abs=1e-6)
            == pytest.approx(FIRST["accompaniment"][ratio], abs=5e-4)
        )
    for target, ratio in (
        ("vocals", "SIR"),
        ("vocals", "ISR"),
        ("vocals", "SAR"),
        ("accompaniment", "SIR"),
        ("accompaniment", "SAR"),
    ):
        assert (
            FIRST[target][ratio] > 120 and not ours[target][ratio] < 120
        )  # rounding: any number beyond, or NaN
    found = kinds(references, estimates, metrics=("csdr", "sir"))
    assert (
        "the estimate 'vocals' is its reference, sample for sample: its csdr and si_sdr are "
        "infinite (museval prints nan)" in found["perfect", ("vocals",)]
    )
    assert (
        "the reference 'accompaniment' is 3 x the reference 'vocals'"
        in found["collinear", ("vocals", "accompaniment")]
    )
    assert "multiplied by 3" in found["level", ("accompaniment",)]


def test_the_second_printout_is_the_mixture_given_as_its_own_estimate():
    vocals, accompaniment = noise(0, 0.1 * 10 ** (-1.778 / 20), 1, 40), noise(1, 0.1, 1, 40)
    references = {"vocals": vocals, "accompaniment": accompaniment}
    estimates = {name: vocals + accompaniment for name in references}
    ours = evaluated(references, estimates)
    for target in SECOND:
        assert ours[target]["SDR"] == pytest.approx(SECOND[target]["SDR"], abs=0.05)
        assert ours[target]["SIR"] == pytest.approx(SECOND[target]["SIR"], abs=0.05)
        assert (
            ours[target]["ISR"] > 25 and ours[target]["SAR"] > 25
        )  # it is all made of the references
    assert ours["vocals"]["SDR"] == pytest.approx(-ours["accompaniment"]["SDR"], abs=0.05)
    found = kinds(references, estimates, metrics=("csdr", "sir"))
    assert set(found) == {("mixture", ("vocals",)), ("mixture", ("accompaniment",))}
    assert "is the mixture itself: nothing was separated" in found["mixture", ("vocals",)]
    assert float(found["mixture", ("vocals",)].split("(")[1].split(" dB")[0]) == pytest.approx(
        -1.78, abs=0.06
    )


@pytest.mark.slow
def test_museval_prints_what_the_report_shows(museval_package):
    vocals = noise(0, channels=1, seconds=2)
    references, estimates = torch.stack([vocals, 3 * vocals]), torch.stack([vocals, vocals])
    sdrs, _, sirs, sars = museval_package.evaluate(
        *(x.double().numpy().swapaxes(1, 2) for x in (references, estimates)), win=RATE, hop=RATE
    )
    store = museval_package.TrackStore("a kiss")
    for name, row in (("vocals", 0), ("accompaniment", 1)):
        store.add_target(
            name, {"SDR": sdrs[row], "SIR": sirs[row], "ISR": sdrs[row], "SAR": sars[row]}
        )
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(RuntimeWarning)
        lines = repr(store).splitlines()
    assert (
        "SDR:     nan" in lines[0]
        and "SDR:   3.522" in lines[1]
        and (sirs > 120).all()
        and (sars > 120).all()
    )


def test_the_readme_quotes_what_is_said():
    from pathlib import Path

    vocals, other = noise(0), noise(1)
    said = [
        *kinds(
            {"vocals": vocals, "accompaniment": 3 * vocals},
            {"vocals": vocals, "accompaniment": vocals.clone()},
        ).values(),
        *kinds(
            {"vocals": vocals, "drums": other},
            {"vocals": vocals + other, "drums": other + 0.1 * vocals},
        ).values(),
    ]
    page = Path(__file__).resolve().parents[2] / "docs" / "pages" / "scoring.md"
    quotes = [
        part
        for part in page.read_text(encoding="utf-8").split("`")
        if part.startswith(("the estimate", "the reference"))
    ]
    assert len(quotes) == 3 and all(
        any(text.startswith(quote) for text in said) for quote in quotes
    )
