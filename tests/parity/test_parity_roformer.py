"""Both RoFormers against the package bs-roformer 0.3.10, whose names public checkpoints have."""

import warnings

import pytest
import torch

from sepkit.models import build

bs_roformer = pytest.importorskip("bs_roformer", reason="bs-roformer is missing: make test-parity")

THEIRS = {"bs-roformer": bs_roformer.BSRoformer, "mel-roformer": bs_roformer.MelBandRoformer}
NAMES = tuple(THEIRS)


def noise(*shape, seed=0):
    return 0.3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pair(name, stems=1, channels=2, hop=512, depth=2):
    """Theirs and ours with the same weights, every norm drawn anew; depth is the masks'."""
    torch.manual_seed(0)
    common = dict(dim=32, depth=2, dim_head=16, heads=2, num_stems=stems, stft_hop_length=hop)
    common.update(time_transformer_depth=1, freq_transformer_depth=1, flash_attn=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a window that only counts bins
        theirs = THEIRS[name](
            **common,
            stereo=channels == 2,
            mask_estimator_depth=depth,
            attn_dropout=0.0,
            ff_dropout=0.0,
        ).eval()
    for key, value in theirs.named_parameters():
        if "gamma" in key:
            value.data.uniform_(0.5, 1.5)
    ours = build(
        name,
        targets=["drums", "bass", "other", "vocals"][:stems],
        width=32,
        depth=2,
        heads=2,
        head_width=16,
        gates=True,
        mask_layers=depth - (name == "bs-roformer"),
        hop=hop,
        channels=channels,
        segment=None,
        dropout=0.0,
    ).eval()
    ours.load_published(theirs.state_dict())
    return theirs, ours


def assert_equal(ours, theirs):
    """To 1e-5 of the largest sample; their output ends with the last whole hop."""
    ours = ours[..., : theirs.shape[-1]]
    scale = float(theirs.abs().max())
    assert torch.isfinite(ours).all() and float((ours - theirs).abs().max()) <= 1e-5 * scale


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gain", [0, 1e-5, 1e-3, 0.03, 1.0])
@pytest.mark.parametrize("samples", [4096, 20_001])
def test_outputs_are_theirs(name, gain, samples):
    theirs, ours = pair(name)
    mixture = gain * noise(2, 2, samples)
    with torch.no_grad():
        assert_equal(ours(mixture), theirs(mixture))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "settings", [dict(stems=4), dict(channels=1), dict(hop=441), dict(depth=1), dict(depth=3)]
)
def test_every_kind_of_network_is_theirs(name, settings):
    theirs, ours = pair(name, **settings)
    mixture = noise(1, ours.channels, 12_345)
    with torch.no_grad():
        expected = theirs(mixture).view(1, len(ours.targets), ours.channels, -1)
        assert_equal(ours.estimate(mixture), expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stems", [1, 2])
def test_the_loss_is_theirs(name, stems):
    theirs, ours = pair(name, stems)
    samples = 512 * 40  # of which theirs keeps all
    mixture = noise(2, 2, samples)
    target = noise(2, stems, 2, samples, seed=1).squeeze(1)
    with torch.no_grad():
        expected = float(theirs(mixture, target=target))
        assert float(ours.loss(mixture, target)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gain", [0, 1e-4, 1.0])
def test_the_way_of_a_song_is_the_mean_of_their_pieces(name, gain):
    theirs, ours = pair(name)
    ours.segment = 512 * 40 / 44100
    mixture = gain * noise(1, 2, 512 * 90)
    total, count = torch.zeros_like(mixture), torch.zeros(512 * 90)
    with torch.no_grad():
        for start in (0, 512 * 20, 512 * 40, 512 * 50):
            piece = slice(start, start + 512 * 40)
            total[..., piece] += theirs(mixture[..., piece])
            count[piece] += 1
        assert_equal(ours(mixture), total / count)
