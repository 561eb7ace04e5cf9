"""Pre-training: what a frame's unit is, what is masked, and that guessing it is learnt."""

import pytest
import torch

from sepkit import models
from sepkit.models.checkpoints import read_header
from sepkit.training.pretraining import Pretraining, guesses, pretrain, spans, units_of

RATE = 8000
TINY = dict(hidden=16, layers=1, n_fft=128, hop=64, sample_rate=RATE, channels=1, bandwidth=4000)
RECIPE = Pretraining(units=4, bands=8, span=3, frames=24, batch=8, steps=120, lr=1e-2)


def net(seed=0):
    torch.manual_seed(seed)
    return models.build("open-unmix", target="vocals", dropout=0.0, **TINY)


def melody(notes, seed=0):
    """Notes of 16 frames each over a little noise, (1, T)."""
    t = torch.arange(16 * 64) / RATE
    noise = 0.01 * torch.randn(1, 16 * 64 * len(notes), generator=torch.manual_seed(seed))
    return noise + torch.cat([0.3 * torch.sin(2 * torch.pi * f * t) for f in notes])[None]


def magnitude(audio):
    return net().stft(audio).abs()


def test_frames_that_sound_alike_have_one_unit_whatever_the_level():
    """Two notes and their unit: the same in both halves, and in a mixture 40 dB lower."""
    audio = melody([500, 2000] * 2)
    two = Pretraining(units=2, bands=8)
    found = units_of([magnitude(audio), magnitude(0.01 * audio)], RATE, two, 0)
    low, high, again, _ = (found[0][16 * k + 4 : 16 * k + 12] for k in range(4))
    assert len(low.unique()) == len(high.unique()) == 1 and low[0] != high[0]
    assert torch.equal(low, again) and torch.equal(found[0], found[1])


def test_what_lasts_and_what_is_sudden_are_different_units():
    """A tone and clicks whose spectra, averaged over time, have the same energy in a band."""
    tone = 0.1 * torch.sin(2 * torch.pi * 1000 * torch.arange(4 * RATE) / RATE)[None]
    clicks = torch.zeros(1, 4 * RATE)
    clicks[:, ::1000] = 1.0
    both = torch.cat([tone, clicks], 1)
    (found,) = units_of([magnitude(both)], RATE, Pretraining(units=2, bands=8), 0)
    clicked = torch.arange(520, 980)[(torch.arange(520, 980) * 64) % 1000 < 64]
    assert set(found[20:480].tolist()).isdisjoint(set(found[clicked].tolist()))


def test_masks_are_spans_and_cover_at_most_their_share():
    torch.manual_seed(0)
    masked = spans(Pretraining(span=5, masked=0.5, frames=60, batch=50))
    assert masked.shape == (50, 60) and 0.3 < masked.float().mean() <= 0.5
    for row in masked.int().tolist():
        runs = "".join(map(str, row)).split("0")
        assert all(len(run) >= 5 for run in runs if run)


def test_what_a_masked_frame_holds_is_not_seen():
    model, head = net(), torch.nn.Linear(32, 4)
    x = torch.rand(2, 1, 65, 10)
    masked = torch.zeros(2, 10, dtype=torch.bool)
    masked[0, 3:6] = True
    changed = x.clone()
    changed[0, :, :, 3:6] += 1
    model.eval()
    with torch.no_grad():
        before, after = guesses(model, head, x, masked), guesses(model, head, changed, masked)
        torch.testing.assert_close(after, before, atol=0, rtol=0)
        changed[1] += 1  # of which nothing is masked
        assert (guesses(model, head, changed, masked)[1] - before[1]).abs().max() > 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Notes follow each other in one order only: those around tell which is missing."""
    path = tmp_path_factory.mktemp("pretraining") / "first.safetensors"
    mixtures = [melody([500, 1000, 2000, 3500] * 3, seed) for seed in (0, 1)]
    return mixtures, pretrain(net(), mixtures, path, RECIPE, seed=0)


def test_units_of_masked_frames_are_guessed_better_than_by_the_commonest(trained):
    about = read_header(trained[1])["extra"]["pretraining"]
    assert about["commonest"] < 0.4 and about["guessed"] > about["commonest"] + 0.3
    assert (about["steps"], about["units"], about["seed"]) == (120, 4, 0)


def test_only_what_is_before_the_output_has_learnt(trained):
    state, fresh = models.load(trained[1]).state_dict(), net().state_dict()
    changed = {key for key, value in state.items() if not torch.equal(value, fresh[key])}
    learnt = ("input_", "fc1", "bn1", "lstm")
    assert all(key.startswith(learnt) for key in changed)
    assert {key.split(".")[0] for key in changed} >= {"fc1", "bn1", "lstm", "input_mean"}


def test_the_same_seed_gives_the_same_weights(trained, tmp_path):
    mixtures, _ = trained
    few = Pretraining(**{**vars(RECIPE), "steps": 3})
    states = [
        models.load(
            pretrain(net(), mixtures, tmp_path / f"{k}.safetensors", few, seed)
        ).state_dict()["fc1.weight"]
        for k, seed in enumerate((0, 0, 1))
    ]
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])
