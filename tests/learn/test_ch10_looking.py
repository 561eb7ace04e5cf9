"""What a network's attention looks at: recorded as it computes, and evened."""

import pytest
import torch
from torch.nn import functional

from sepkit.errors import SepkitError
from sepkit.learn import plots
from sepkit.learn.ch10 import figures, looking
from sepkit.models import build


@pytest.fixture
def network():
    torch.manual_seed(0)
    settings = dict(bands=[9, 8, 16], width=8, depth=2, heads=2, head_width=4, dropout=0.0)
    settings |= dict(n_fft=64, hop=32, sample_rate=8000, channels=1, segment=None)
    return build("bs-roformer", target="vocals", **settings).eval()


@pytest.fixture
def sound():
    return torch.randn(1, 1, 640, generator=torch.Generator().manual_seed(1))


def test_recorded_weights_are_those_with_which_the_layer_computes(network, sound):
    with torch.no_grad():
        plain = network.estimate(sound)
        with looking.recorded(network) as found:
            assert torch.equal(network.estimate(sound), plain), "looking changes nothing"
    assert len(found) == 4 and found["blocks.0.time.attention"].shape == (3, 2, 21, 21)
    assert found["blocks.1.bands.attention"].shape == (21, 2, 3, 3)
    x, attention = torch.randn(2, 5, 8), network.blocks[0].time.attention
    with torch.no_grad(), looking.recorded(attention) as alone:
        y = attention(x)
        v = attention.qkv(attention.norm(x)).chunk(3, -1)[2].unflatten(-1, (2, 4)).transpose(1, 2)
        heads = alone[""] @ v
        if attention.gates is not None:
            gates = attention.gates(attention.norm(x)).transpose(1, 2).sigmoid()
            heads = heads * gates.unsqueeze(-1)
        assert torch.allclose(attention.out(heads.transpose(1, 2).flatten(2)), y, atol=1e-5)


def test_even_shares_are_attention_whose_queries_ask_for_nothing(network, sound):
    with torch.no_grad():
        before = network.estimate(sound)
        with looking.evened(network, "time"):
            even = network.estimate(sound)
        assert torch.equal(network.estimate(sound), before), "afterwards all is as it was"
        for block in network.blocks:
            attention = block.time.attention
            attention.qkv.weight[: attention.qkv.weight.shape[0] // 3] = 0  # queries
        assert torch.allclose(network.estimate(sound), even, atol=1e-5)
    assert not torch.allclose(even, before, atol=1e-5)


def test_near_is_the_share_within_reach():
    weights = functional.one_hot(torch.tensor([0, 0, 0, 0])).float().expand(2, 4, -1)
    weights = functional.pad(weights, (0, 3))
    assert looking.near(weights, 1) == pytest.approx(0.5)
    assert looking.near(torch.full((1, 4, 4), 0.25), 3) == pytest.approx(1.0)


def test_below_is_the_share_that_goes_back():
    """Of four even shares a row, 0, 1, 2 and 2 lie one or two places back."""
    assert looking.below(torch.full((1, 4, 4), 0.25), 2) == pytest.approx((0 + 1 + 2 + 2) / 16)
    assert looking.below(torch.eye(4)[None], 3) == 0
    assert looking.below(torch.eye(4).roll(1, 0)[None], 1) == pytest.approx(3 / 4)


def test_a_training_is_found_by_its_name(tmp_path):
    with pytest.raises(SepkitError, match="no training of 'net'"):
        looking.trained_in(tmp_path, "net")
    place = tmp_path / "live" / "net-0"
    place.mkdir(parents=True)
    (place / "vocals.safetensors").touch()
    assert looking.trained_in(tmp_path, "net") == place


def test_learnt_attention_is_drawn_in_even_shares_a_state_a_row():
    time, bands = torch.full((2, 4, 4), 0.25), torch.eye(3)
    fig, axes = plots.figure(2, 3)
    image = figures.learnt({"random": (time, bands), "trained": (time, bands)}, 0.5, [0] * 4, axes)
    assert image.get_array().max() == 3 and axes[0, 0].get_images()[0].get_array().min() == 1
    assert axes[1, 2].get_xlabel() == "is looked at (kHz)"
