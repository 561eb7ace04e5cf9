"""The shipped networks on real recordings, where those are at hand."""

import pytest
import torch

import sepkit
from sepkit import audio, evaluation, separation
from sepkit.datasets.augmentation.stretching import resample_speed
from sepkit.datasets.real_mixes import real_mixes
from sepkit.files import shipped
from tests.separation import real_multitrack as real

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not real.available(), reason="SEPKIT_SAMPLES has no recordings"),
    pytest.mark.skipif(
        not shipped("checkpoints", "open-unmix-student").is_dir(),
        reason="no checkpoints are shipped",
    ),
]


@pytest.mark.parametrize("residual", [None, "spread"])
def test_four_stems_of_a_real_song_have_its_length_and_sum_to_it(tmp_path, residual):
    song = real.SAMPLES / "mixes" / "Kevin_MacLeod_-_Vibe_Ace.hq.ogg"
    separator = separation.get("open-unmix", device="cpu", residual=residual)
    written = separation.separate_file(song, separator, tmp_path)
    mixture, rate = audio.read(song)
    stems = {target: audio.read(path) for target, path in written.items()}
    assert set(stems) == {"vocals", "drums", "bass", "other"}
    assert all(
        stem_rate == rate and stem.shape == mixture.shape for stem, stem_rate in stems.values()
    )
    rest = mixture - sum(stem for stem, _ in stems.values())
    match = 10 * torch.log10(mixture.square().sum() / rest.square().sum())
    # Without the option, the filter's regularisation leaves a little over.
    assert match >= (60 if residual else 10)


def test_the_networks_lie_between_the_mixture_and_the_oracle():
    track = real.real_multitrack()
    vocals = {}
    for name in ("mixture", "open-unmix", "irm1"):
        scores = evaluation.evaluate(separation.get(name, device="cpu"), [track], metrics=("usdr",))
        vocals[name] = next(s.value for s in scores if s.target == "vocals")
    assert vocals["mixture"] + 1 < vocals["open-unmix"] < vocals["irm1"]


def test_the_default_is_the_best_of_what_ships_on_real_mixes(monkeypatch):
    monkeypatch.setenv("SEPKIT_SAMPLES", str(real.SAMPLES))

    def vocals(name):
        scores = evaluation.evaluate(
            separation.get(name, device="cpu"), real_mixes(), metrics=("usdr",), notice=None
        )
        return sum(s.value for s in scores if s.target == "vocals") / len(real_mixes())

    # 7.10 dB, and 3.94 of the four networks: docs/pages/command-line.md
    assert vocals(sepkit.DEFAULT_MODEL) > vocals("open-unmix-student") + 2.5


def test_a_song_a_quarter_tone_off_is_separated_nearly_as_well():
    """The band that it was trained on is in tune to the cent; records and tapes are not."""
    track, separator = real.real_multitrack(), separation.get(sepkit.DEFAULT_MODEL, device="cpu")

    def vocals(cents):
        mixture, voice = (
            resample_speed(x, 2 ** (cents / 1200), track.sample_rate)
            for x in (track.mixture(), track.stem("vocals"))
        )
        error = voice - separator.separate(mixture)["vocals"]
        return float(10 * torch.log10(voice.square().sum() / error.square().sum()))

    in_tune, *off = (vocals(cents) for cents in (0, -50, 50))
    assert min(off) > in_tune - 1, (in_tune, off)


def test_with_four_stems_every_one_is_better_than_that_of_the_students_network(monkeypatch):
    monkeypatch.setenv("SEPKIT_SAMPLES", str(real.SAMPLES))

    def means(name):
        separator = separation.get(name, device="cpu")
        scores = evaluation.evaluate(separator, real_mixes(), metrics=("usdr",), notice=None)
        return {
            target: sum(s.value for s in scores if s.target == target) / len(real_mixes())
            for target in separator.targets
        }

    four, student = means("open-unmix-four-stems"), means("open-unmix-student")
    default = means(sepkit.DEFAULT_MODEL)
    assert set(four) == set(student) == {"vocals", "drums", "bass", "other"}
    assert four["vocals"] == pytest.approx(default["vocals"], abs=1e-3), "the same network"
    assert all(four[target] > student[target] + 0.8 for target in four)


def test_with_equal_examples_bsrnn_is_ahead_on_recordings(monkeypatch):
    """On the band's own songs it is behind: docs/pages/command-line.md."""
    monkeypatch.setenv("SEPKIT_SAMPLES", str(real.SAMPLES))

    def vocals(name):
        separator = separation.get(name, device="cpu")
        scores = evaluation.evaluate(separator, real_mixes(), metrics=("usdr",), notice=None)
        return sum(s.value for s in scores if s.target == "vocals") / len(real_mixes())

    bsrnn, resunet = vocals("bsrnn-voices"), vocals("resunet-subbandtime-voices")
    assert bsrnn == pytest.approx(4.53, abs=0.1) and resunet == pytest.approx(2.69, abs=0.1)
