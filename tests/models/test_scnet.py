"""SCNet: sizes, bands, the middle, the loss, the authors' layout; what every network must do."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from sepkit.errors import SepkitError
from sepkit.models import build, load, save
from sepkit.models.losses import LOSSES
from sepkit.models.scnet import (
    SIZES,
    Down,
    DualPath,
    Refine,
    Up,
    band_sizes,
    from_modulation,
    padding,
    to_modulation,
)
from sepkit.models.waveform import in_segments
from sepkit.separation import ModelSeparator

SMALL = dict(
    n_fft=128, hop=32, widths=(4, 8), depths=(2, 1, 1), layers=2, sample_rate=1000, segment=None
)
STEMS = ("drums", "bass", "other", "vocals")


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(**settings):
    torch.manual_seed(0)
    return build("scnet", **{**SMALL, **settings}).eval()


# Sizes


def expected_parameters(widths, targets, inputs=4, kernels=(3, 4, 16), depths=(3, 2, 1), layers=6):
    """Counted by hand from the paper's description."""
    total, below = 0, inputs
    for stage, w in enumerate(widths):
        h, above = w // 4, inputs * targets if stage == 0 else below
        refine = 2 * w + (w * 3 + 1) * 2 * h + 4 * h + 2 * h + (h + 1) * w
        total += sum(below * w * k + w for k in kernels) + sum(depths) * refine + 9 * w * w + w
        total += 9 * (2 * w) ** 2 + 2 * w + sum(w * above * k + above for k in kernels)
        below = w
    lstm = [2 * 4 * d * (d + d + 2) for d in (below, 2 * below)]
    path = [2 * (2 * d + units + 2 * d * d + d) for d, units in zip((below, 2 * below), lstm)]
    return total + layers // 2 * sum(path)


@pytest.mark.parametrize("size, published", [({}, 10_578_768), (SIZES["large"], 42_181_232)])
def test_parameters_are_those_of_the_authors(size, published):
    net = build("scnet", **size)
    assert sum(p.numel() for p in net.parameters()) == published
    assert published == expected_parameters(net.settings["widths"], 4)
    assert net.targets == STEMS


def test_the_students_size_is_small():
    net = build("scnet", target="vocals", **SIZES["student"])
    assert (
        sum(p.numel() for p in net.parameters())
        == expected_parameters((8, 16, 32), 1, depths=(1, 1, 1), layers=2)
        < 300_000
    )


# Bands


@pytest.mark.parametrize("shares", [(0.175, 0.392, 0.433), (0.225, 0.372, 0.403), (0.5, 0.5)])
@pytest.mark.parametrize("bins", [2049, 616, 33])
def test_bands_have_every_bin_once_and_about_their_shares(bins, shares):
    sizes = band_sizes(bins, shares)
    assert sum(sizes) == bins and all(
        abs(size - bins * share) < 1 for size, share in zip(sizes, shares)
    )


def test_stages_of_the_paper_compress_to_these_bins():
    """2049 bins: 17.5 % whole, 39.2 % to a quarter, the rest to a sixteenth.

    And again, and again.
    """
    net = build("scnet", widths=(4, 4, 4))
    assert [down.sizes for down in net.encoder] == [[359, 803, 887], [108, 242, 266], [33, 73, 80]]
    assert [up.compressed for up in net.decoder] == [[33, 19, 5], [108, 61, 17], [359, 201, 56]]


@pytest.mark.parametrize("stride, kernel", [(1, 3), (1, 1), (4, 4), (4, 7), (16, 16), (3, 4)])
def test_padding_makes_the_kernel_fit_and_the_decoder_gets_the_bins_back(stride, kernel):
    for size in range(1, 40):
        low, high = padding(size, stride, kernel)
        steps = functional.conv1d(
            torch.zeros(1, 1, low + size + high), torch.zeros(1, 1, kernel), stride=stride
        ).shape[-1]
        assert low >= 0 and 0 <= high - low <= 1 and steps == math.ceil(size / stride)
        expanded = functional.conv_transpose1d(
            torch.zeros(1, 1, steps), torch.zeros(1, 1, kernel), stride=stride
        )
        assert expanded.shape[-1] == low + size + high


def shuffling(sizes, strides, kernels, width):
    """Stages whose compression keeps every bin, each in a feature map of its own, and whose
    decoder puts it back.
    """
    down, up = (
        Down(1, width, sizes, strides, kernels, depths=(0,) * len(sizes)),
        Up(width, 1, sizes, strides, kernels),
    )
    for compress, expand, stride, kernel in zip(down.compress, up.expand, strides, kernels):
        for layer in (compress, expand):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
        for tap in range(stride):
            at = tap + (kernel - stride) // 2
            compress.weight.data[tap, 0, at] = expand.weight.data[tap, 0, at] = 1
    return down, up


def test_bins_come_back_where_they_were(monkeypatch):
    """Compress and expand, nothing in between: the identity, for all bands and any sizes."""
    monkeypatch.setattr(torch.nn.functional, "gelu", lambda x: x)
    monkeypatch.setattr(torch.nn.functional, "glu", lambda x, dim: x.chunk(2, dim)[0])
    for sizes in ([7, 10, 19], [1, 1, 1], [5, 8, 16]):
        down, up = shuffling(sizes, (1, 4, 16), (3, 4, 16), 16)
        torch.nn.init.zeros_(up.fuse.bias)
        torch.nn.init.zeros_(up.fuse.weight)
        up.fuse.weight.data[range(16), range(16), 1, 1] = 1
        x = noise(2, 1, sum(sizes), 6)
        skip = down(x)[1]
        torch.testing.assert_close(up(torch.zeros_like(skip), skip), x, atol=0, rtol=0)


def test_bands_do_not_hear_each_other_before_they_are_mixed():
    torch.manual_seed(0)
    down = Down(2, 4, [5, 8, 20], (1, 4, 16), (3, 4, 16), (1, 1, 1))
    x = noise(1, 2, 33, 6)
    changed = x.clone()
    changed[:, :, 5:13] += 1
    (mixed, skip), (mixed_too, skip_too) = down(x), down(changed)
    same = (skip == skip_too).all(dim=(0, 1, 3))
    assert same.tolist() == [True] * 5 + [False] * 2 + [True] * 2
    torch.testing.assert_close(mixed, down.mix(skip))
    assert (mixed != mixed_too).any(dim=(0, 1, 3))[[4, 7]].all()


def test_the_fusion_is_the_authors_convolution_of_two_copies():
    torch.manual_seed(0)
    up = Up(4, 3, [5, 8], (1, 2), (3, 2))
    x, skip, given = noise(2, 4, 9, 6), noise(2, 4, 9, 6, seed=1), []
    up.expand[0].register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    assert up(x, skip).shape == (2, 3, 13, 6)
    both = up.fuse((x + skip).repeat(1, 2, 1, 1))
    torch.testing.assert_close(given[0], (both[:, :4] * both[:, 4:].sigmoid())[:, :, :5])


def test_refining_treats_each_bin_by_itself_and_adds():
    torch.manual_seed(0)
    refine, x = Refine(8, 2), noise(2, 8, 5, 9)
    one_by_one = torch.stack([bin + refine.layers[0](bin) for bin in x.unbind(2)], 2)
    one_by_one = torch.stack([bin + refine.layers[1](bin) for bin in one_by_one.unbind(2)], 2)
    torch.testing.assert_close(refine(x), one_by_one)
    for layer in refine.layers:
        torch.nn.init.zeros_(layer[-1].weight)
        torch.nn.init.zeros_(layer[-1].bias)
    torch.testing.assert_close(refine(x), x)


# The middle


@pytest.mark.parametrize("frames", [1, 2, 7, 12])
def test_the_transform_over_time_is_numpys_and_comes_back(frames):
    x = noise(2, 3, 4, frames).double()
    modulation = to_modulation(x)
    expected = np.fft.rfft(x.numpy(), axis=-1) / math.sqrt(frames)
    np.testing.assert_allclose(
        modulation, np.concatenate([expected.real, expected.imag], 1), atol=1e-12
    )
    torch.testing.assert_close(from_modulation(modulation, frames), x)


def test_the_two_paths_are_an_lstm_along_frequency_then_one_along_time():
    torch.manual_seed(0)
    path, x = DualPath(4), noise(1, 4, 3, 5)
    y = path.norms[0](x)
    rows = [
        path.linears[0](path.lstms[0](y[:, :, :, n].transpose(1, 2))[0]).transpose(1, 2)
        for n in range(5)
    ]
    middle = x + torch.stack(rows, 3)
    y = path.norms[1](middle)
    rows = [
        path.linears[1](path.lstms[1](y[:, :, f].transpose(1, 2))[0]).transpose(1, 2)
        for f in range(3)
    ]
    torch.testing.assert_close(path(x), middle + torch.stack(rows, 2))


# Whole networks


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", [1, 2, 127, 128, 1001, 1024])
def test_any_length_goes_in_and_comes_out(channels, samples):
    with torch.no_grad():
        estimates = small(channels=channels)(noise(2, channels, samples))
    assert tuple(estimates) == STEMS
    assert all(
        y.shape == (2, channels, samples) and torch.isfinite(y).all() for y in estimates.values()
    )


@pytest.mark.parametrize("window", ["ones", "hann"])
def test_a_network_that_passes_on_what_it_gets_returns_the_mixture(window):
    """With the U-Net an identity for each target.

    STFT, normalisation and channels all come back in order.
    """
    net, mixture = small(window=window), noise(2, 2, 1001) + torch.tensor([[0.3], [-0.1]])
    net._u_net = lambda x: torch.cat([x, 2 * x, x, x], 1)
    estimates = net(mixture)
    deviation = net._spectrum(mixture).real.std()
    torch.testing.assert_close(estimates["drums"], mixture, atol=1e-4 * float(deviation), rtol=1e-4)
    assert not torch.allclose(estimates["bass"], mixture, atol=1e-2)


def test_examples_of_a_batch_do_not_touch_each_other():
    net, both = small(), torch.cat([noise(1, 2, 1000), 30 * noise(1, 2, 1000, seed=1)])
    with torch.no_grad():
        for target, estimate in net(both).items():
            torch.testing.assert_close(estimate[:1], net(both[:1])[target], atol=1e-6, rtol=1e-4)


def test_louder_mixtures_give_louder_estimates_and_silence_gives_silence():
    net, mixture = small(), noise(1, 2, 1000)
    with torch.no_grad():
        torch.testing.assert_close(
            net(8 * mixture)["bass"], 8 * net(mixture)["bass"], atol=1e-3, rtol=1e-3
        )
        assert net(torch.zeros(1, 2, 1000))["bass"].abs().max() == 0


def test_long_audio_is_separated_in_segments_in_evaluation_only():
    pieces, whole, mixture = small(segment=0.6), small(), noise(1, 2, 1500)
    with torch.no_grad():
        torch.testing.assert_close(
            torch.stack(list(pieces(mixture).values()), 1),
            in_segments(whole.estimate, mixture, 600),
        )
        torch.testing.assert_close(pieces.train()(mixture), whole(mixture))


def test_half_precision_comes_close():
    net, mixture = small(), noise(1, 2, 1000)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        low = net(mixture)["vocals"]
    with torch.no_grad():
        high = net(mixture)["vocals"]
    assert (
        low.dtype == torch.float32
        and 0 < float((low - high).square().sum() / high.square().sum()) < 0.03
    )


# Loss


def test_the_loss_is_the_root_mean_square_of_the_spectrums_error():
    """Against windows cut by hand and numpy's transform, real and imaginary parts counted apart."""
    net, mixture, targets = (
        small(targets=["bass", "vocals"]).double(),
        noise(2, 2, 1000).double(),
        noise(2, 2, 2, 1000, seed=1).double(),
    )
    with torch.no_grad():
        error = (torch.stack(list(net(mixture).values()), 1) - targets).numpy()
        loss = float(net.loss(mixture, targets))
    error = np.pad(error, [(0, 0)] * 3 + [(64, 64)], mode="reflect")
    roots = []
    for one in error.reshape(4, 2, -1):
        spectrum = np.stack(
            [np.fft.rfft(one[:, start : start + 128]) for start in range(0, 1001, 32)]
        ) / math.sqrt(128)
        roots.append(math.sqrt((np.mean(spectrum.real**2) + np.mean(spectrum.imag**2)) / 2))
    assert loss == pytest.approx(np.mean(roots), rel=1e-5)


def test_other_losses_are_those_of_the_waveform():
    net, mixture, target = small(target="vocals"), noise(1, 2, 1000), noise(1, 2, 1000, seed=1)
    for kind in LOSSES:
        net.set_loss(kind)
        expected = LOSSES[kind](net(mixture).unsqueeze(1), target.unsqueeze(1), mixture)
        torch.testing.assert_close(net.loss(mixture, target), expected)


def test_every_weight_learns():
    net = small().train()
    net.loss(noise(2, 2, 2000), noise(2, 4, 2, 2000, seed=1)).backward()
    assert [
        n for n, p in net.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()
    ] == []
    assert [n for n, p in net.named_parameters() if p.grad.abs().sum() == 0] == []


def test_silence_has_a_finite_loss_and_gradient():
    net = small().train()
    loss = net.loss(torch.zeros(1, 2, 500), torch.zeros(1, 4, 2, 500))
    loss.backward()
    assert 0 <= loss < 1e-3 and all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_training_tells_two_tones_apart():
    time = torch.arange(1500) / 1000
    stems = torch.stack(
        [torch.sin(2 * torch.pi * f * time).expand(1, 2, -1) * 0.3 for f in (40, 210)], 1
    )
    net = small(targets=["bass", "other"]).train()
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        losses.append(net.loss(stems.sum(1), stems))
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.3 * losses[0]


# Checkpoints, published weights, separation


def test_a_checkpoint_brings_back_the_same_network(tmp_path):
    net = small(targets=["vocals", "other"], loss="l1", window="hann")
    again = load(save(tmp_path / "net.safetensors", net))
    assert again.settings == net.settings and again.targets == ("vocals", "other")
    with torch.no_grad():
        torch.testing.assert_close(again(noise(1, 2, 900)), net(noise(1, 2, 900)), atol=0, rtol=0)


def published(net):
    """The state of a network under the authors' names (their repository, scnet/SCNet.py and
    separation.py).
    """
    names = {
        "compress": "SDlayer.convs",
        "refine": "conv_modules",
        "mix": "globalconv",
        "fuse": "0.conv",
        "expand": "1.convtrs",
    }
    names.update(
        norms="norm_layers",
        lstms="lstm_layers",
        linears="linear_layers",
        middle="separation_net.dp_modules",
    )
    return {
        ".".join(names.get(part, part) for part in key.split(".")): value
        for key, value in net.state_dict().items()
    }


def test_weights_under_the_authors_names_are_taken_over():
    net, other, mixture = small(), small(), noise(1, 2, 900)
    torch.manual_seed(1)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.3)
    state = published(net)
    assert {
        "encoder.1.SDlayer.convs.2.weight",
        "decoder.0.1.convtrs.0.bias",
        "encoder.0.conv_modules.0.layers.1.6.weight",
        "separation_net.dp_modules.1.lstm_layers.0.weight_ih_l0_reverse",
    } <= set(state)
    other.load_published(state)
    with torch.no_grad():
        torch.testing.assert_close(other(mixture), net(mixture), atol=0, rtol=0)
    del state["decoder.0.0.conv.bias"]
    with pytest.raises(
        SepkitError, match="published weights: does not fit scnet: lacks decoder.0.fuse.bias"
    ):
        other.load_published(state)


def by_the_authors(u_net, mixture, size):
    """How the authors separate (scnet/SCNet.py, apply.py, inference.py), with shifts of 0.

    (C, T) to (J, C, T), with the STFT of `SMALL`.
    """
    mono = mixture.mean(0)
    normalised = (mixture - mono.mean()) / mono.std()
    ones = torch.ones(128, dtype=mixture.dtype)
    stft = dict(n_fft=128, hop_length=32, window=ones, center=True, normalized=True)
    hop, samples = size // 2, mixture.shape[-1]
    weight = torch.cat([torch.arange(1, size // 2 + 1), torch.arange(size - size // 2, 0, -1)])
    total, weights = torch.zeros(len(STEMS), *mixture.shape, dtype=mixture.dtype), 0 * mono
    for start in range(0, samples, hop):
        piece = normalised[:, start : start + size]
        length = piece.shape[-1]
        padding = 32 - length % 32
        if (1 + (length + padding) // 32) % 2:  # an odd number of frames
            padding += 32
        piece = functional.pad(piece, (0, padding))
        x = torch.view_as_real(torch.stft(piece, return_complex=True, **stft))  # (C, F, N, 2)
        x = x.permute(0, 3, 1, 2).flatten(0, 1)  # L re, L im, R re, R im
        y = u_net(((x - x.mean()) / (1e-5 + x.std()))[None])[0] * x.std() + x.mean()
        y = y.view(-1, 2, *y.shape[1:]).permute(0, 2, 3, 1).contiguous()  # (J C, F, N, 2)
        y = torch.istft(torch.view_as_complex(y), **stft)[:, :length]
        total[..., start : start + size] += weight[:length] * y.view(len(STEMS), -1, length)
        weights[start : start + size] += weight[:length]
    return total / weights * mono.std() + mono.mean()


@pytest.mark.parametrize("level", [0, -20, -40, -60, -80])
@pytest.mark.parametrize("samples", [64, 333, 1001, 1500])
def test_as_published_it_separates_as_its_authors_do(samples, level):
    net = small(segment=0.6, as_published=True)
    mixture = 10 ** (level / 20) * (noise(2, samples) + 0.01)
    with torch.no_grad():
        ours = torch.stack(list(net(mixture[None]).values()), 1)[0]
        theirs = by_the_authors(net.double()._u_net, mixture.double(), 600)
    error = (ours - theirs).square().sum()
    assert 10 * torch.log10(theirs.square().sum() / error) > 105


@pytest.mark.parametrize("samples", [1, 31, 32, 33, 600, 601])
def test_as_published_silence_stays_silence_at_any_length(samples):
    with torch.no_grad():
        for estimate in small(segment=0.6, as_published=True)(torch.zeros(1, 2, samples)).values():
            assert torch.equal(estimate, torch.zeros(1, 2, samples))


def test_a_song_is_separated():
    net, song = small(segment=0.6), noise(2, 2500)
    estimates = ModelSeparator(net, device="cpu").separate(song)
    assert set(estimates) == set(STEMS)
    with torch.no_grad():
        for target, expected in net(song[None]).items():
            torch.testing.assert_close(estimates[target], expected[0])
    one = ModelSeparator({"vocals": small(target="vocals")}, device="cpu").separate(song[:, :50])
    assert list(one) == ["vocals"] and one["vocals"].shape == (2, 50)


# Mistakes


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: small()(noise(1, 1, 900)), r"expected \(batch, 2, samples\)"),
        (lambda: small()(noise(1, 2, 0)), r"expected \(batch, 2, samples\)"),
        (
            lambda: small().loss(noise(1, 2, 900), noise(1, 2, 900)),
            r"a target of shape \(1, 4, 2, 900\)",
        ),
        (lambda: small().set_loss("rmse"), "spectral-rmse"),
        (lambda: small(loss="l3"), "spectral-rmse"),
        (lambda: small(layers=3), "an even number"),
        (lambda: small(layers=0), "layers=0: a whole number"),
        (lambda: small(widths=()), r"widths=\(\): a list, each a whole number"),
        (lambda: small(widths=(2, 8)), "4 feature maps or more"),
        (lambda: small(shares=(0.2, 0.3, 0.4)), "add up to 0.9"),
        (lambda: small(shares=(0.5, 0.5)), "expected one a band each"),
        (lambda: small(kernels=(3, 4, 8)), "leaves bins out"),
        (lambda: small(shares=(0.01, 0.01, 0.98)), "take fewer stages"),
        (lambda: small(strides=(1, 0, 16)), "strides=.*0.*: a list, each a whole number"),
        (lambda: small(window="triangle"), "window"),
        (lambda: small(target="vocals", targets=["bass"]), "give one of them"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(SepkitError, match=message):
        call()
