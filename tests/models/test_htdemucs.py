"""HTDemucs: sizes, positions, attention, pieces and shifts, published weights.

That its outputs are the authors' is tested in tests/parity, where their package is installed.
"""

import math

import numpy as np
import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.models import build, demucs_layers, load, products, save
from sepkit.models.cross_transformer import (
    Attention,
    CrossTransformer,
    LSHMask,
    TokensNorm,
    positions_1d,
    positions_2d,
)
from sepkit.models.demucs import audio_of, spectrum_of
from sepkit.models.htdemucs import SIX, SIZES
from sepkit.models.products import conv_transpose, linear
from sepkit.separation import ModelSeparator
from sepkit.stems import STEMS_OF_DEMUCS

SMALL = dict(width=8, n_fft=256, depth=2, bottleneck=16, layers=3, heads=2, sample_rate=1000)


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(**settings):
    torch.manual_seed(0)
    return build("htdemucs", **{**SMALL, "segment": 0.6, **settings}).eval()


# Sizes


@pytest.mark.parametrize(
    "size, parameters, keys",
    [
        ({}, 41_984_456, 533),
        (SIZES["6-stems"], 27_414_996, 525),
        (dict(bottleneck=0), 27_410_376, 525),
        (dict(layers=7), 54_604_232, None),
    ],
)
def test_parameters_are_those_of_the_published_networks(size, parameters, keys):
    """Counted in the authors' package."""
    from sepkit.models.registry import outline

    net = outline("htdemucs", **size)
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert keys is None or len(net.state_dict()) == keys


# The spectrogram


@pytest.mark.parametrize("samples", [1, 63, 64, 257, 1001])
def test_the_spectrogram_is_as_long_as_the_stages_need_it_and_comes_back(samples):
    audio = noise(2, 2, samples).double()
    spectrum = spectrum_of(audio, 256)
    assert spectrum.shape == (2, 4, 128, math.ceil(samples / 64))
    again = audio_of(spectrum, 256, samples)
    # Half the sample rate is left out, and two frames at each end.
    inner = slice(192, max(193, samples - 192))
    rest = (again - audio)[..., inner]
    assert again.shape == audio.shape and rest.square().sum() <= 0.03 * audio.square().sum()


def test_a_frame_is_numpys_transform_around_its_place():
    audio = noise(1, 1, 1000).double()
    spectrum = spectrum_of(audio, 256)[0, :, :, 7]
    # Frame k is centred on sample 64 k + 32.
    window = np.hanning(257)[:-1]
    piece = audio[0, 0, 7 * 64 + 32 - 128 : 7 * 64 + 32 + 128].numpy()
    expected = np.fft.rfft(window * piece)[:-1] / 16
    np.testing.assert_allclose(spectrum, np.stack([expected.real, expected.imag]), atol=1e-9)


# The transformer


def test_positions_are_the_papers_sines():
    like = torch.zeros(1, 12, dtype=torch.float64)
    table = positions_1d(5, like)
    for at in range(5):
        for i in range(6):
            phase = at / 10000 ** (i / 5)
            assert table[at, i] == pytest.approx(math.cos(phase), abs=1e-6)
            assert table[at, 6 + i] == pytest.approx(math.sin(phase), abs=1e-6)
    table = positions_2d(3, 4, like).view(4, 3, 12)  # frames, bins
    for frame in range(4):
        for place in range(3):
            for i in range(3):
                rate = 10000 ** (-2 * i / 6)
                pairs = [(0, frame), (6, place)]
                for start, at in pairs:
                    found = table[frame, place, start + 2 * i : start + 2 * i + 2]
                    expected = math.sin(at * rate), math.cos(at * rate)
                    assert found.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("rows", [16, 17, 48, 67, 3 * 67])
def test_products_are_pytorchs_whichever_library_computes_them(rows, slow, monkeypatch):
    """67 is prime and above every batch that is tried; 17 is a batch itself."""
    monkeypatch.setattr(products, "SLOW_MKL", slow)
    torch.manual_seed(0)
    x, weight, bias = torch.randn(rows, 6), torch.randn(5, 6), torch.randn(5)
    expected = x.double() @ weight.double().T + bias.double()
    with torch.no_grad():
        for shape in ((rows, 6), (1, rows, 6)):
            y = linear(x.view(shape), weight, bias)
            assert y.shape == (*shape[:-1], 5)
            torch.testing.assert_close(y.view(rows, 5).double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kernel, stride", [(8, 4), (4, 2), (6, 4)])
@pytest.mark.parametrize("bias", [False, True])
def test_a_transposed_convolution_adds_each_input_times_the_kernel(kernel, stride, bias):
    torch.manual_seed(0)
    layer = torch.nn.ConvTranspose2d(3, 5, (kernel, 1), (stride, 1), bias=bias)
    x = torch.randn(2, 3, 7, 4)
    expected = torch.zeros(2, 5, 6 * stride + kernel, 4, dtype=torch.float64)
    for f in range(7):
        each = torch.einsum("bvn,vwk->bwkn", x[:, :, f].double(), layer.weight[..., 0].double())
        expected[:, :, f * stride : f * stride + kernel] += each.detach()
    if bias:
        expected += layer.bias.detach().double()[:, None, None]
    with torch.no_grad():
        found = conv_transpose(x, layer)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(conv_transpose(x, layer), found, atol=1e-5, rtol=1e-5)


def test_a_branch_is_the_same_however_many_frequencies_go_through_it_at_once(monkeypatch):
    torch.manual_seed(0)
    branch = demucs_layers.Residual(8, 4, 1.0).double()
    x = torch.randn(2, 8, 7, 5, dtype=torch.float64)
    each = torch.stack([branch(x[:, :, f]) for f in range(7)], 2)
    for numbers in (1, 2 * 8 * 3 * 5, 2**20):
        monkeypatch.setattr(demucs_layers, "IN_CACHE", numbers)
        torch.testing.assert_close(branch(x), each)


def test_attention_is_its_formula():
    torch.manual_seed(0)
    attention = Attention(6, 2, 0.0, 0.0).double()
    x, other = noise(1, 4, 6).double(), noise(1, 5, 6, seed=1).double()
    torch.nn.init.normal_(attention.in_proj_bias)
    w, b = attention.in_proj_weight, attention.in_proj_bias
    q, k, v = (
        y[0] @ w[rows].T + b[rows]
        for y, rows in ((x, slice(0, 6)), (other, slice(6, 12)), (other, slice(12, 18)))
    )
    heads = []
    for h in (slice(0, 3), slice(3, 6)):
        weights = (q[:, h] @ k[:, h].T / math.sqrt(3)).softmax(-1)
        heads.append(weights @ v[:, h])
    expected = attention.out_proj(torch.cat(heads, -1))
    torch.testing.assert_close(attention(x, other)[0], expected)


def test_the_norm_behind_a_layer_is_over_all_tokens():
    torch.manual_seed(0)
    norm, x = TokensNorm(3), noise(2, 5, 3) + 0.4
    torch.nn.init.normal_(norm.weight)
    expected = torch.nn.functional.group_norm(x.transpose(1, 2), 1, norm.weight, norm.bias)
    torch.testing.assert_close(norm(x), expected.transpose(1, 2))


def test_both_branches_look_at_what_the_other_was_before_the_layer():
    """With one self and one cross layer: the spectrum's change must not reach the waveform's."""
    torch.manual_seed(0)
    net = CrossTransformer(8, 2, 2, 0.0).eval()
    z, x = noise(1, 8, 3, 4), noise(1, 8, 7)
    with torch.no_grad():
        _, before = net(z, x)
        for parameter in net.layers[1].parameters():  # only the spectrum's cross layer
            parameter.normal_()
        changed, after = net(z, x)
    torch.testing.assert_close(after, before, atol=0, rtol=0)
    assert changed.shape == z.shape and after.shape == x.shape


# Sparse attention


def test_the_sparse_mask_keeps_the_pairs_whose_hashes_agree_most():
    torch.manual_seed(0)
    q, k = torch.randn(1, 2, 40, 16), torch.randn(1, 2, 60, 16)
    k[:, :, :40] = 0.9 * q + 0.1 * k[:, :, :40]  # key i is near query i
    mask = LSHMask(0.9)(q, k)
    share = mask.float().mean((2, 3))
    assert mask.shape == (1, 2, 40, 60) and ((0.1 <= share) & (share < 0.2)).all()
    assert torch.diagonal(mask, dim1=2, dim2=3).all()
    cosine = torch.nn.functional.normalize(q, dim=-1) @ torch.nn.functional.normalize(
        k, dim=-1
    ).transpose(-1, -2)
    assert cosine[mask].mean() > cosine[~mask].mean() + 0.3


def test_without_sparsity_nothing_is_left_out_and_with_it_the_estimates_are_near():
    dense, sparse = small(), small(sparsity=0.5)
    sparse.load_state_dict(dense.state_dict())
    for net in (dense, sparse):
        for name, value in net.named_parameters():
            if "gamma" in name:
                torch.nn.init.constant_(value, 0.3)
    mixture = noise(1, 2, 600)
    with torch.no_grad():
        plain, masked = dense.estimate(mixture), sparse.estimate(mixture)
        torch.testing.assert_close(dense.estimate(mixture), plain, atol=0, rtol=0)
    difference = float((plain - masked).square().sum() / plain.square().sum())
    assert 0 < difference < 0.1


# The way of a song


class Pass(torch.nn.Module):
    """Gives each target the mixture, and remembers how long it was."""

    def __init__(self, targets):
        super().__init__()
        self.targets, self.seen = targets, []

    def forward(self, x):
        self.seen.append(x.clone())
        return torch.stack([x] * self.targets, 1)


@pytest.mark.parametrize("settings", [{}, dict(shifts=2), dict(overlap=0.0), dict(overlap=0.6)])
@pytest.mark.parametrize("samples", [1, 250, 599, 600, 601, 2345])
def test_a_network_that_passes_on_what_it_gets_returns_the_mixture(settings, samples):
    net = small(**settings)
    net.net = Pass(4)
    mixture = noise(2, 2, samples) + 0.05
    for estimate in net(mixture).values():
        torch.testing.assert_close(estimate, mixture, atol=1e-6, rtol=1e-5)
    assert {x.shape[-1] for x in net.net.seen} == {600}


def test_pieces_repeat_a_quarter_and_the_last_is_filled_up_with_what_is_before_it():
    net = small()
    net.net = Pass(4)
    mixture = noise(1, 2, 1100)
    net(mixture)
    level = (mixture - mixture.mean()) / (mixture.mean(1).std(correction=0) + 1e-8)
    assert len(net.net.seen) == 3
    for piece, first in zip(net.net.seen[:2], (0, 450)):
        torch.testing.assert_close(piece, level[..., first : first + 600], atol=1e-5, rtol=1e-5)
    # 200 samples from 900 on are left: 400 more, half of them before, half silence behind.
    last = net.net.seen[2]
    torch.testing.assert_close(last[..., :400], level[..., 700:], atol=1e-5, rtol=1e-5)
    assert last[..., 400:].abs().max() == 0


def test_pieces_are_weighted_by_triangles():
    """A network that says which piece it is."""
    net = small(target="vocals")
    net.net = torch.nn.Identity()
    count = iter(range(9))
    net._whole = lambda x: torch.full((1, 1, 2, x.shape[-1]), float(next(count)))
    out = net._in_pieces(noise(1, 2, 1050))[0, 0, 0]  # pieces from 0, 450 and 900
    rise = torch.arange(1, 601.0)
    weight = torch.minimum(rise, 601 - rise)
    both = weight[450:600] * 0 + weight[:150] * 1
    torch.testing.assert_close(out[450:600], both / (weight[450:600] + weight[:150]))
    assert out[:450].max() == 0 and (out[600:900] == 1).all()


def test_without_a_segment_a_song_is_separated_at_its_own_length():
    net = small(segment=None)
    net.net = Pass(4)
    net(noise(1, 2, 1500))
    assert [x.shape[-1] for x in net.net.seen] == [1500]


@pytest.mark.parametrize("gain", [1e-4, 100.0])
def test_a_louder_mixture_gives_the_same_estimates_louder(gain):
    net, mixture = small(), noise(1, 2, 1000)
    with torch.no_grad():
        wanted, louder = net(mixture), net(gain * mixture)
    for target in wanted:
        scale = float(wanted[target].abs().max())
        torch.testing.assert_close(
            louder[target] / (gain * scale), wanted[target] / scale, atol=1e-4, rtol=1e-3
        )


def test_memory_of_pieces_does_not_grow_with_the_song():
    net = small()
    net.net = Pass(4)
    for samples in (5_000, 50_000):
        net.net.seen.clear()
        net(noise(1, 2, samples))
        assert all(x.shape == (1, 2, 600) for x in net.net.seen)


def test_a_mono_song_at_8_khz_and_a_clip_shorter_than_a_segment(tmp_path):
    from sepkit import audio, separation

    net = small(sample_rate=44100, segment=0.05)
    song = audio.write(tmp_path / "song.wav", noise(1, 300), 8000)
    written = separation.separate_file(song, ModelSeparator(net, device="cpu"), tmp_path)
    assert set(written) == set(STEMS_OF_DEMUCS)
    for path in written.values():
        stem, rate = audio.read(path)
        assert rate == 8000 and stem.shape == (1, 300) and stem.isfinite().all()


# Published weights


def published(net):
    """The state of a network under the authors' names (demucs/htdemucs.py)."""
    names = {"freq_encoder": "encoder", "freq_decoder": "decoder"}
    names.update(time_encoder="tencoder", time_decoder="tdecoder")
    state = {}
    for key, value in net.state_dict().items():
        first, rest = key.removeprefix("net.").split(".", 1)
        state[f"{names.get(first, first)}.{rest}"] = value
    return state


def test_weights_under_the_authors_names_are_taken_over():
    net, other, mixture = small(), small(), noise(1, 2, 900)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.2)
    state = published(net)
    assert {
        "tencoder.1.dconv.layers.1.6.scale",
        "decoder.0.dconv.layers.0.3.weight",
        "crosstransformer.layers_t.1.cross_attn.in_proj_weight",
        "freq_emb.embedding.weight",
        "channel_upsampler_t.bias",
    } <= set(state)
    other.load_published(state)
    with torch.no_grad():
        for target, expected in net(mixture).items():
            torch.testing.assert_close(other(mixture)[target], expected, atol=0, rtol=0)


@pytest.mark.parametrize("wanted", [["vocals"], ["piano", "drums"]])
def test_one_stem_of_published_weights_costs_one_stem(wanted):
    """Its last layers make that stem alone, which is what all of them make of it."""
    net, one, mixture = small(targets=SIX), small(targets=wanted), noise(1, 2, 900)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.2)
    one.load_published(published(net))
    assert len(one.net.time_decoder[-1].conv_tr.bias) == 2 * len(wanted)
    with torch.no_grad():
        estimates, expected = one(mixture), net(mixture)
    estimates = estimates if len(wanted) > 1 else {wanted[0]: estimates}
    for target in wanted:
        torch.testing.assert_close(estimates[target], expected[target], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda: (small(target="piano"), small()), "for drums, bass, other, vocals; there is no"),
        (lambda: (small(), small(layers=5)), "has unexpected net.crosstransformer.layers.3"),
        (lambda: (small(), small(width=16, bottleneck=16)), "has shape"),
        (lambda: (small(), build("scnet", widths=(4,), layers=2)), "is it another model's"),
    ],
)
def test_weights_of_another_network_are_refused(change, message):
    net, other = change()
    with pytest.raises(SepkitError, match=message):
        net.load_published(published(other))


def test_a_checkpoint_brings_back_the_same_network(tmp_path):
    net = small(target="bass", shifts=1, overlap=0.5)
    again = load(save(tmp_path / "net.safetensors", net))
    assert again.settings == net.settings and again.targets == ("bass",)
    with torch.no_grad():
        torch.testing.assert_close(again(noise(1, 2, 900)), net(noise(1, 2, 900)), atol=0, rtol=0)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(width=12), "width=12: a multiple of 8 was expected"),
        (dict(depth=3), "depth=3: with n_fft=256, too few frequencies are left after 2 stages"),
        (dict(n_fft=250), "depth=2: with n_fft=250"),
        (dict(heads=3), "the transformer has a width of 16; a multiple of heads"),
        (dict(overlap=1.0), "overlap=1: a number from 0 to 0.95"),
        (dict(shifts=-1), "shifts=-1: a whole number"),
    ],
)
def test_mistakes_are_named(settings, message):
    with pytest.raises(SepkitError, match=message):
        small(**settings)
