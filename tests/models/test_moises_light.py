"""Moises-Light: sizes, bands that keep apart, masks, levels, lengths, the loss.

That its outputs are those of the package moises-light is tested in tests/parity.
"""

import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.models import build, load, save
from sepkit.models.losses import multi_resolution
from sepkit.models.moises_light import SIZES, SplitAndMerge
from sepkit.models.registry import outline

SMALL = dict(
    width=8,
    depth=2,
    bands=2,
    bins=48,
    convolutions=1,
    bottleneck=4,
    blocks=1,
    heads=2,
    head_width=4,
    n_fft=128,
    hop=32,
    sample_rate=8000,
    segment=None,
)


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(**settings):
    """Norms drawn anew: at first they change nothing."""
    torch.manual_seed(0)
    net = build("moises-light", **{**SMALL, **settings}).eval()
    for key, value in net.state_dict().items():
        if "running" in key or "gamma" in key:
            value.uniform_(0.5, 1.5)
    return net


@pytest.mark.parametrize(
    "settings, published",
    [
        (dict(), 5_451_216),
        (dict(target="vocals"), 5_451_136),
        (SIZES["small"], 2_558_768),
        (SIZES["full-band"], 5_477_844),
        (SIZES["small-full-band"], 2_805_796),
    ],
)
def test_parameters_are_those_of_the_package(settings, published):
    """Which counts, in each transformer, 16 rates of rotation that are no weights here."""
    net = outline("moises-light", **settings)
    rates = 2 * 16 * net.settings["blocks"]
    assert sum(p.numel() for p in net.parameters()) == published - rates


def test_the_papers_sizes_are_millions_as_printed():
    large, little = (outline("moises-light", **size) for size in ({}, SIZES["small"]))
    millions = [round(sum(p.numel() for p in net.parameters()) / 1e6, 1) for net in (large, little)]
    assert millions == [5.5, 2.6]


def test_masks_of_one_return_what_the_network_sees():
    """Nothing of the mixture is lost below the highest bin seen, and all above it."""
    net, mixture = small(target="vocals"), noise(1, 2, 1001)
    torch.nn.init.zeros_(net.last.weight)
    torch.nn.init.ones_(net.last.bias)
    padded = torch.nn.functional.pad(mixture, (0, 35 * 32 - 1001))  # 36 frames, a multiple of 4
    spectrum = net.stft(padded)
    spectrum[..., 48:, :] = 0
    with torch.no_grad():
        expected = net.stft.inverse(spectrum, 35 * 32)[..., :1001]
        torch.testing.assert_close(net(mixture), expected, atol=1e-6, rtol=1e-4)


def test_without_masks_the_network_writes_the_spectrogram_at_the_level_of_the_mixture():
    """An output of zero is the mean of all real and imaginary parts in every bin."""
    net, mixture = small(target="vocals", masks=False), noise(1, 2, 31 * 32)
    torch.nn.init.zeros_(net.last.weight)
    torch.nn.init.zeros_(net.last.bias)
    padded = torch.nn.functional.pad(mixture, (0, 4 * 32))  # 36 frames
    seen = torch.view_as_real(net.stft(padded)[..., :48, :])
    spectrum = torch.zeros(1, 2, 65, 36, dtype=torch.complex64)
    spectrum[..., :48, :] = seen.mean() * (1 + 1j)
    with torch.no_grad():
        expected = net.stft.inverse(spectrum, 35 * 32)[..., : 31 * 32]
        torch.testing.assert_close(net(mixture), expected, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("masks", [True, False])
def test_a_louder_mixture_gives_the_same_estimates_louder(masks):
    net, mixture = small(masks=masks), noise(1, 2, 3000)
    with torch.no_grad():
        plain, louder = net.estimate(mixture), net.estimate(30 * mixture)
    torch.testing.assert_close(louder, 30 * plain, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", [1, 31, 32, 128, 1001])
def test_any_length_goes_in_and_comes_out(channels, samples):
    net = small(channels=channels)
    with torch.no_grad():
        estimates = net(noise(2, channels, samples))
    for estimate in estimates.values():
        assert estimate.shape == (2, channels, samples) and torch.isfinite(estimate).all()


def test_silence_is_silent_and_examples_of_a_batch_do_not_touch_each_other():
    net = small()
    with torch.no_grad():
        assert net.estimate(torch.zeros(1, 2, 500)).abs().max() == 0
        both = torch.cat([noise(1, 2, 900), 30 * noise(1, 2, 900, seed=1)])
        torch.testing.assert_close(
            net.estimate(both)[:1], net.estimate(both[:1]), atol=1e-6, rtol=1e-4
        )


def test_a_block_keeps_the_bands_apart():
    torch.manual_seed(0)
    block, x = SplitAndMerge(8, 12, 4, 2, 3).eval(), noise(1, 8, 12, 5)
    changed = x.clone()
    changed[:, 2:4] += 1  # feature maps of the second band
    with torch.no_grad():
        differs = (block(changed) - block(x)).abs().amax((0, 2, 3)) > 0
    assert differs.tolist() == [False, False, True, True, False, False, False, False]


def test_a_block_is_its_formula():
    torch.manual_seed(0)
    block, x = SplitAndMerge(4, 8, 2, 1, 2).eval().double(), noise(1, 4, 8, 5).double()

    def convolved(part, x):
        groups = []
        for k in range(2):
            own = slice(2 * k, 2 * k + 2)
            layer = part[0]
            y = torch.nn.functional.conv2d(x[:, own], layer.weight[own], layer.bias[own], padding=1)
            groups.append(y)
        return (torch.cat(groups, 1) / (1 + part[1].eps) ** 0.5).relu()

    y = convolved(block.split1[0], x)
    squeeze, spread = block.tdf[0], block.tdf[3]
    z = torch.einsum("uf,bwfn->bwun", squeeze.weight, y) + squeeze.bias[:, None]
    z = (z / (1 + 1e-5) ** 0.5).relu()
    z = torch.einsum("fu,bwun->bwfn", spread.weight, z) + spread.bias[:, None]
    y = y + (z / (1 + 1e-5) ** 0.5).relu()
    expected = convolved(block.split2[0], y) + convolved(block.res, x)
    torch.testing.assert_close(block(x), expected)


def test_silence_for_one_skip_silences_what_goes_up():
    """Skips multiply: where the first stage gives nothing, what comes from below is not heard."""
    net, x = small(target="vocals"), noise(1, 8, 24, 8)
    net.encoder[0].register_forward_hook(lambda *_: torch.zeros(1, 8, 24, 8))
    with torch.no_grad():
        first = net._u_net(x)
        torch.nn.init.normal_(net.middle.res[0].weight)
        torch.testing.assert_close(net._u_net(x), first, atol=0, rtol=0)


@pytest.mark.parametrize("target", [None, "vocals"])
def test_every_weight_learns_by_the_loss_of_the_paper(target):
    net = small(target=target).train()
    mixture, target = noise(2, 2, 2000), noise(2, len(net.targets), 2, 2000, seed=1).squeeze(1)
    loss = net.loss(mixture, target)
    loss.backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or p.grad.abs().sum() == 0] == []
    with torch.no_grad():
        error = net.estimate(mixture) - target.view(2, -1, 2, 2000)
        assert float(loss) == pytest.approx(float(multi_resolution(error)), rel=1e-5)


def test_a_checkpoint_brings_back_the_same_network(tmp_path):
    net = small(target="bass", masks=False)
    again = load(save(tmp_path / "net.safetensors", net))
    assert again.settings == net.settings
    with torch.no_grad():
        torch.testing.assert_close(again(noise(1, 2, 900)), net(noise(1, 2, 900)), atol=0, rtol=0)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(width=9), "width=9: a multiple of bands=2 was expected"),
        (dict(bins=66), "bins=66 with n_fft=128: expected at most 65, a multiple of bands=2"),
        (dict(bins=6), "and at least 8 for a bottleneck of 4"),
        (dict(head_width=3), "head_width=3: an even number was expected"),
        (dict(loss="l3"), "unknown loss 'l3': choose from multi-resolution"),
    ],
)
def test_mistakes_are_named(settings, message):
    with pytest.raises(SepkitError, match=message):
        small(**settings)
