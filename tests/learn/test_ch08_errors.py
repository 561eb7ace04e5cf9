"""Errors of known sizes: each is exactly as large as asked, and is the kind it is called."""

import math

import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.learn.ch08.errors import KINDS, distort, error_energies, flicker, late, spoil, stem_gain
from sepkit.metrics import bss_eval, sdr, si_sdr

RATE = 8000


@pytest.fixture(scope="module")
def stems():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 2 * RATE, generator=generator)
    voice = noise + 0.9 * late(noise, 1) + 0.5 * noise.flip(0)  # coloured, and wider than mono
    return voice, torch.randn(2, 2 * RATE, generator=generator)


def measures(voice, others, estimate):
    values = bss_eval(
        torch.stack([voice, others]), torch.stack([estimate, others]), RATE, window=2, hop=2
    )
    return dict(zip(("SDR", "ISR", "SIR", "SAR"), (float(value[0, 0]) for value in values)))


def test_without_errors_the_reference_comes_back(stems):
    assert torch.equal(distort(*stems), stems[0])


@pytest.mark.parametrize("level", (-20, -3.5, 6))
def test_interference_and_artefacts_have_the_energy_that_was_asked_for(stems, level):
    for kind in ("interference_db", "artefact_db"):
        assert float(sdr(stems[0], distort(*stems, **{kind: level}))) == pytest.approx(
            -level, abs=1e-4
        )


def test_gain_has_its_closed_form(stems):
    assert float(sdr(stems[0], distort(*stems, gain_db=-6.0))) == pytest.approx(
        -20 * math.log10(1 - 10**-0.3), abs=1e-4
    )
    assert float(si_sdr(stems[0], distort(*stems, gain_db=-6.0))) > 100


def test_delay_and_swap_move_samples_and_nothing_else(stems):
    voice, others = stems
    assert (
        torch.equal(distort(voice, others, delay=3)[:, 3:], voice[:, :-3])
        and not distort(voice, others, delay=3)[:, :3].any()
    )
    assert torch.equal(distort(voice, others, swap=True), voice[[1, 0]])
    assert torch.equal(late(torch.arange(4.0)[None], 1), torch.tensor([[0.0, 0, 1, 2]]))


def test_every_error_is_seen_by_the_measure_of_its_name(stems):
    """What BSSEval calls interference, artefact and spatial error is what these functions make."""
    leak, noise = (
        measures(*stems, distort(*stems, interference_db=-10)),
        measures(*stems, distort(*stems, artefact_db=-10)),
    )
    assert leak["SIR"] < 11 and leak["SAR"] > 60
    assert noise["SAR"] < 12 and noise["SIR"] > noise["SAR"] + 6
    for error in ({"gain_db": -6.0}, {"swap": True}, {"delay": 40}):
        found = measures(*stems, distort(*stems, **error))
        assert (
            found["ISR"] == pytest.approx(found["SDR"], abs=0.1)
            and min(found["SIR"], found["SAR"]) > found["ISR"] + 15
        )


def test_a_delay_beyond_the_taps_becomes_an_artefact():
    voice = torch.randn(1, 2 * RATE, generator=torch.Generator().manual_seed(1))
    others = torch.randn(1, 2 * RATE, generator=torch.Generator().manual_seed(2))
    within, beyond = (
        measures(voice, others, distort(voice, others, delay=delay))["SAR"] for delay in (500, 520)
    )
    assert within > 15 and beyond < 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", (3.0, 12.0))
def test_spoiled_stems_have_exactly_the_sdr(stems, kind, wanted):
    assert float(sdr(stems[0], spoil(kind, *stems, RATE, wanted))) == pytest.approx(
        wanted, abs=1e-4
    )


def test_flicker_follows_the_loudness_of_the_stem_and_is_unlike_it(stems):
    voice = stems[0] * (torch.arange(2 * RATE) < RATE)
    noise = flicker(voice, seed=3)
    assert torch.equal(noise, flicker(voice, seed=3)) and not torch.equal(
        noise, flicker(voice, seed=4)
    )
    assert abs(float((noise * voice).sum() / (noise.norm() * voice.norm()))) < 1e-4
    assert float(noise.norm() / voice.norm()) == pytest.approx(0.5, abs=0.1)
    assert not noise[:, RATE + 2048 :].any()  # silent where the stem is


def test_energies_of_the_parts_are_those_of_the_projections():
    """Least squares on 512 delays, written out, gives the parts; the ratios give their energies."""
    generator = torch.Generator().manual_seed(5)
    stem, rest, noise = torch.randn(3, 1500, dtype=torch.float64, generator=generator)
    guess = 0.8 * stem + 0.3 * rest + 0.2 * noise

    def delays(x):
        return torch.nn.functional.pad(x, (511, 511)).unfold(0, 512, 1).flip(1)

    def project(y, columns):
        return columns @ torch.linalg.lstsq(columns, y[:, None]).solution[:, 0]

    padded, target = (torch.nn.functional.pad(x, (0, 511)) for x in (guess, stem))
    own, both = (
        project(padded, delays(stem)),
        project(padded, torch.cat([delays(stem), delays(rest)], 1)),
    )
    ratios = bss_eval(torch.stack([stem, rest])[:, None], torch.stack([guess, rest])[:, None], 1500)
    found = error_energies(*(float(value[0, 0]) for value in ratios))
    for name, part in {
        "spatial": own - target,
        "interference": both - own,
        "artefacts": padded - both,
    }.items():
        assert found[name] == pytest.approx(
            float(part.square().sum() / stem.square().sum()), rel=1e-6
        )


def test_the_gain_of_a_stem_is_blind_to_what_stands_at_right_angles():
    stem, other = torch.zeros(2, 2, 8)
    stem[:, :4], other[:, 4:] = torch.tensor([[2.0], [-1.0]]), 3.0
    assert stem_gain(stem, 0.5 * stem + other) == pytest.approx(0.5)
    assert stem_gain(stem, stem) == 1 and stem_gain(stem, -stem) == -1
    assert math.isnan(stem_gain(0 * stem, other))


def test_an_error_without_interference_and_artefacts_is_spatial():
    found = error_energies(6.0, 6.0, math.inf, math.inf)
    assert found == {
        "reference": 1.0,
        "spatial": pytest.approx(10**-0.6),
        "interference": 0.0,
        "artefacts": 0.0,
    }


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda v, o: distort(v, o[:, 1:]), "one shape"),
        (lambda v, o: distort(v, o, delay=10**6), "expected 0 to"),
        (lambda v, o: distort(v[:1], o[:1], swap=True), "1 channel"),
        (lambda v, o: distort(v, 0 * o, interference_db=-10), "silent"),
        (lambda v, o: spoil("hum", v, o, RATE, 6), "interference"),
        (lambda v, o: spoil("level", v, o, RATE, 0), "above 0 dB"),
    ],
)
def test_what_cannot_be_done_is_said(stems, call, says):
    with pytest.raises(SepkitError, match=says):
        call(*stems)
