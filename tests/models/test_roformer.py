"""The RoFormers: sizes, bands, rotations, attention, masks, pieces, the loss, published names.

That their outputs are the public implementation's is tested in tests/parity.
"""

import math

import numpy as np
import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.models import build, load, save
from sepkit.models.losses import WINDOWS
from sepkit.models.registry import outline
from sepkit.models.roformer import BANDS, mel_ranges
from sepkit.models.roformer_layers import Attention, BandSplit, Masks, RMSNorm, rotated, rotations
from sepkit.separation import ModelSeparator

SMALL = dict(width=16, depth=2, heads=2, head_width=8, n_fft=128, hop=32, sample_rate=8000)
BOTH = {"bs-roformer": dict(bands=(5, 20, 40)), "mel-roformer": dict(bands=6)}
each = pytest.mark.parametrize("name", BOTH)


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(name, **settings):
    """Every norm drawn anew: at first they are 1."""
    torch.manual_seed(0)
    net = build(name, **{**SMALL, **BOTH[name], "segment": None, **settings}).eval()
    for key, value in net.named_parameters():
        if "gamma" in key:
            torch.nn.init.uniform_(value, 0.5, 1.5)
    return net


# Sizes


@pytest.mark.parametrize("depth, published", [(12, 93_402_252), (9, 82_769_292), (6, 72_136_332)])
def test_parameters_of_bs_roformer_are_the_papers(depth, published):
    """93.4, 82.8 and 72.2 million in table 2, for one stem."""
    net = outline("bs-roformer", target="vocals", depth=depth)
    assert sum(p.numel() for p in net.parameters()) == published


@pytest.mark.parametrize("depth, millions", [(6, 84.2), (12, 105.4)])
def test_parameters_of_mel_band_roformer_are_near_the_papers(depth, millions):
    """84.2 and 105 million."""
    net = outline("mel-roformer", target="vocals", depth=depth)
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize(
    "name, settings, published",
    [
        ("bs-roformer", dict(width=512), 159_758_092),
        ("bs-roformer", dict(width=384), 98_194_828),
        ("bs-roformer", dict(width=192, depth=6), 24_591_340),
        ("mel-roformer", dict(depth=6, mask_layers=2), 228_202_852),
        ("mel-roformer", dict(mask_layers=2), 251_869_636),
    ],
)
def test_parameters_are_those_of_public_checkpoints(name, settings, published):
    """Whose two tables of 32 rates each, the same in all layers, are no parameters here."""
    net = outline(name, target="vocals", head_width=64, gates=True, **settings)
    assert sum(p.numel() for p in net.parameters()) == published - 2 * 32


# Bands


def test_the_papers_bands_have_every_bin_once():
    assert len(BANDS) == 62 and sum(BANDS) == 1025


@pytest.mark.parametrize(
    "bands, n_fft, rate", [(60, 2048, 44100), (24, 1024, 16000), (40, 4096, 48000)]
)
def test_mel_bands_are_librosas_triangles(bands, n_fft, rate):
    import librosa

    triangles = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bands) > 1e-12
    triangles[0, 0] = triangles[-1, -1] = True
    ranges = mel_ranges(bands, n_fft, rate)
    for row, (low, high) in zip(triangles, ranges):
        assert np.flatnonzero(row).tolist() == list(range(low, high))
    if bands == 60:
        count = np.zeros(1025, int)
        for low, high in ranges:
            count[low:high] += 1
        assert count.sum() == 1979 and (count == 1).sum() == 71 and (count == 2).sum() == 954


def test_a_bands_numbers_are_bins_then_channels_then_parts():
    split = BandSplit([(0, 2), (2, 5)], 4, 3)
    x = noise(1, 6, 5, 4)
    flat = x[0, 2, 2:5].reshape(-1)
    normed = flat / flat.norm() * math.sqrt(12) * split.norms[1].gamma
    expected = split.linears[1].weight @ normed + split.linears[1].bias
    torch.testing.assert_close(split(x)[0, 1, 2], expected)


def test_where_bands_overlap_the_mask_is_their_mean():
    torch.manual_seed(0)
    apart, overlapping = [(0, 3), (3, 5)], [(0, 3), (2, 5)]
    token = noise(1, 2, 4, 6)
    for ranges in (apart, overlapping):
        masks = Masks(ranges, 5, 2, 6, [])
        found = masks(token)[0]  # (N, F, 2)
        total, count = torch.zeros(4, 5, 2), torch.zeros(5, 1)
        for k, (low, high) in enumerate(ranges):
            wide = token[0, k] @ masks.nets[k][0].weight.T + masks.nets[k][0].bias
            values, gates = wide.chunk(2, -1)
            total[:, low:high] += (values * gates.sigmoid()).view(4, -1, 2)
            count[low:high] += 1
        torch.testing.assert_close(found, total / count)


# Attention


def test_pairs_are_turned_by_their_positions():
    x, width = noise(3, 5, 8), 8
    turned = rotated(x, rotations(5, width, x))
    for p in range(5):
        for k in range(4):
            angle = p * 10000 ** (-2 * k / width)
            a, b = x[:, p, 2 * k], x[:, p, 2 * k + 1]
            first = a * math.cos(angle) - b * math.sin(angle)
            second = b * math.cos(angle) + a * math.sin(angle)
            torch.testing.assert_close(turned[:, p, 2 * k], first)
            torch.testing.assert_close(turned[:, p, 2 * k + 1], second)


def test_scores_depend_on_distances_alone():
    """The point of rotations: q at p and k at p + d meet alike for every p."""
    q, k = noise(1, 8).expand(12, 8), noise(1, 8, seed=1).expand(12, 8)
    turn = rotations(12, 8, q)
    scores = rotated(q, turn) @ rotated(k, turn).T
    for distance in range(-11, 12):
        along = torch.diagonal(scores, distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("gates", [False, True])
def test_attention_is_its_formula(gates):
    torch.manual_seed(0)
    attention, x = Attention(6, 2, 4, 0.0, gates).double(), noise(1, 5, 6).double()
    torch.nn.init.normal_(attention.norm.gamma)
    y = attention.norm(x)[0]
    qkv = y @ attention.qkv.weight.T
    turn = rotations(5, 4, y)
    heads = []
    for h in range(2):
        q, k, v = (qkv[:, part * 8 + 4 * h : part * 8 + 4 * h + 4] for part in range(3))
        q, k = (rotated(z.float(), turn).double() for z in (q, k))
        head = (q @ k.T / 2).softmax(-1) @ v
        if gates:
            gate = y @ attention.gates.weight[h] + attention.gates.bias[h]
            head = head * gate.sigmoid()[:, None]
        heads.append(head)
    expected = torch.cat(heads, -1) @ attention.out.weight.T
    torch.testing.assert_close(attention(x)[0], expected, atol=1e-6, rtol=1e-5)


def test_the_norm_is_the_root_mean_square():
    norm, x = RMSNorm(4), torch.tensor([[3.0, -1, 2, 0], [0, 0, 0, 0]])
    expected = x[0] / x[0].square().mean().sqrt()
    torch.testing.assert_close(norm(x)[0], expected)
    assert norm(x)[1].abs().max() == 0


# Whole networks


@each
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", [1, 31, 128, 1001])
def test_any_length_goes_in_and_comes_out(name, channels, samples):
    net = small(name, channels=channels, targets=["vocals", "other"])
    with torch.no_grad():
        estimates = net(noise(2, channels, samples))
    assert all(
        y.shape == (2, channels, samples) and torch.isfinite(y).all() for y in estimates.values()
    )


@each
def test_masks_of_one_return_the_mixture_and_the_lowest_bin_can_be_left_out(name):
    for zero_dc in (False, True):
        net, mixture = small(name, target="vocals", zero_dc=zero_dc), noise(1, 2, 1000) + 0.2
        net.masks = torch.nn.ModuleList([Ones(65)])
        with torch.no_grad():
            estimate = net(mixture)
        spectrum = net.stft(mixture)
        if zero_dc:
            spectrum[..., 0, :] = 0
        torch.testing.assert_close(estimate, net.stft.inverse(spectrum, 1000))
        assert torch.allclose(estimate, mixture, atol=1e-5) != zero_dc


class Ones(torch.nn.Module):
    def __init__(self, bins):
        super().__init__()
        self.bins = bins

    def forward(self, x):
        one = torch.tensor([1.0, 0.0, 1.0, 0.0])
        return one.expand(len(x), x.shape[2], self.bins, 4)


@each
def test_silence_is_silent_and_examples_of_a_batch_do_not_touch_each_other(name):
    net = small(name)
    with torch.no_grad():
        assert net.estimate(torch.zeros(1, 2, 500)).abs().max() == 0
        both = torch.cat([noise(1, 2, 900), 30 * noise(1, 2, 900, seed=1)])
        torch.testing.assert_close(
            net.estimate(both)[:1], net.estimate(both[:1]), atol=1e-6, rtol=1e-4
        )


def test_long_audio_is_the_mean_of_pieces_that_overlap_by_half():
    net, mixture = small("bs-roformer", segment=0.1), noise(1, 2, 2100)  # 800 samples each
    with torch.no_grad():
        estimate = net.in_evaluation(mixture)
        total, count = torch.zeros(1, 4, 2, 2100), torch.zeros(2100)
        for start in (0, 400, 800, 1200, 1300):
            total[..., start : start + 800] += net.estimate(mixture[..., start : start + 800])
            count[start : start + 800] += 1
    torch.testing.assert_close(estimate, total / count)


@each
def test_the_loss_is_the_mean_error_of_waveform_and_five_spectrograms(name):
    net, mixture = small(name, target="vocals"), noise(2, 2, 6000)
    target = noise(2, 2, 6000, seed=1)
    with torch.no_grad():
        error = (net(mixture) - target).double().view(4, -1)
        loss = float(net.loss(mixture, target))
    expected = float(error.abs().mean())
    for size in WINDOWS:
        n_fft = max(size, 128)
        padded = np.pad(error.numpy(), [(0, 0), (n_fft // 2, n_fft // 2)], mode="reflect")
        window = np.zeros(n_fft)
        start = (n_fft - size) // 2
        window[start : start + size] = np.hanning(size + 1)[:-1]
        frames = [padded[:, k : k + n_fft] * window for k in range(0, 6001, 147)]
        expected += np.abs(np.fft.rfft(np.stack(frames))).mean()
    assert loss == pytest.approx(expected, rel=1e-5)


@each
def test_every_weight_learns(name):
    net = small(name, gates=True, dropout=0.0).train()
    net.loss(noise(2, 2, 2000), noise(2, 4, 2, 2000, seed=1)).backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or p.grad.abs().sum() == 0] == []


@each
def test_a_checkpoint_brings_back_the_same_network(tmp_path, name):
    net = small(name, target="bass", gates=True, mask_layers=2)
    again = load(save(tmp_path / "net.safetensors", net))
    assert again.settings == net.settings
    with torch.no_grad():
        torch.testing.assert_close(again(noise(1, 2, 900)), net(noise(1, 2, 900)), atol=0, rtol=0)
        song = ModelSeparator(again, device="cpu").separate(noise(2, 900))["bass"]
        torch.testing.assert_close(song, net(noise(1, 2, 900))[0])


@pytest.mark.parametrize(
    "name, settings, message",
    [
        ("bs-roformer", dict(bands=(5, 20)), "they have 25 bins together; with n_fft=128, 65"),
        ("mel-roformer", dict(bands=200), "bands=200: with n_fft=128, some have no bin"),
        ("mel-roformer", dict(head_width=3), "head_width=3: an even number"),
        ("bs-roformer", dict(loss="l3"), "multi-resolution"),
    ],
)
def test_mistakes_are_named(name, settings, message):
    with pytest.raises(SepkitError, match=message):
        small(name, **settings)
