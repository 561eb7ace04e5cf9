"""Conv-TasNet.

The music version against a plain copy of its description, masks against torchaudio.
"""

import pytest
import torch
from torch import nn

from sepkit.errors import SepkitError
from sepkit.models import build
from sepkit.models.conv_tasnet import SIZES

SMALL = dict(filters=8, length=8, width=6, hidden=10, layers=3, stacks=2, sample_rate=8000)


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def shake(net):
    for parameter in net.parameters():  # norms and slopes too
        nn.init.normal_(parameter, std=0.5)
    return net.eval()


def small(**settings):
    torch.manual_seed(0)
    return shake(build("conv-tasnet", **{**SMALL, **settings}))


def test_parameter_count_is_that_of_the_music_version():
    """N 256, L 20, B 256, H 512, P 3, X 10, R 4.

    Counted from the description, no biases but those of the norms.
    """
    n, length, b, h, p, x, r, c, j = 256, 20, 256, 512, 3, 10, 4, 2, 4
    block = b * h + 1 + 2 * h + h * p + 1 + 2 * h + h * b
    expected = 2 * c * length * n + 2 * n + n * b + r * x * block + b * j * n
    assert sum(q.numel() for q in build("conv-tasnet").parameters()) == expected == 10_977_872
    assert sum(q.numel() for q in build("conv-tasnet", **SIZES["student"]).parameters()) == 350_496


def test_torchaudios_layout_gives_torchaudios_output():
    """One channel, random weights copied over.

    The whole network, lengths that fit its frames and lengths that do not.
    """
    from torchaudio.models import ConvTasNet

    net = small(channels=1, tcn="torchaudio", targets=["a", "b", "c"])
    theirs = ConvTasNet(
        3,
        enc_kernel_size=8,
        enc_num_feats=8,
        msk_num_feats=6,
        msk_num_hidden_feats=10,
        msk_num_layers=3,
        msk_num_stacks=2,
        msk_activate="relu",
    )
    theirs.load_state_dict(
        {key.replace("masks.", "mask_generator."): value for key, value in net.state_dict().items()}
    )
    for samples in (400, 401, 403):
        mixture = noise(2, 1, samples)
        with torch.no_grad():
            torch.testing.assert_close(
                net.estimate(mixture)[:, :, 0], theirs.eval()(mixture), atol=1e-6, rtol=1e-6
            )


def test_a_block_is_torchaudios_without_its_way_out():
    from torchaudio.models.conv_tasnet import ConvBlock

    block = small().masks.blocks[1].layers
    theirs = ConvBlock(6, 10, 3, padding=2, dilation=2)
    for module in theirs.modules():
        if isinstance(module, nn.Conv1d):
            nn.init.zeros_(module.bias)
    for ours, other in zip(block, [*theirs.conv_layers, theirs.res_out], strict=True):
        for name, value in ours.state_dict().items():
            other.state_dict()[name].copy_(value)
    x = noise(2, 6, 40)
    with torch.no_grad():
        torch.testing.assert_close(block(x), theirs(x)[0], atol=1e-6, rtol=1e-6)


class Norm(nn.Module):
    """The authors' norms: over the channels of each frame, or over channels and frames."""

    def __init__(self, channels, over):
        super().__init__()
        self.gamma, self.beta = (
            nn.Parameter(torch.ones(1, channels, 1)),
            nn.Parameter(torch.zeros(1, channels, 1)),
        )
        self.over = over

    def forward(self, x):
        variance, mean = torch.var_mean(x, self.over, correction=0, keepdim=True)
        return self.gamma * (x - mean) / (variance + 1e-8).sqrt() + self.beta


class Sub(nn.Module):
    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class Published(nn.Module):
    """The authors' layout, with their names, written from its description."""

    def __init__(self, sources=4, n=8, length=8, b=6, h=10, layers=3, stacks=2, channels=2):
        super().__init__()
        self.sources, self.length, self.channels, self.n = sources, length, channels, n

        def block(dilation):
            depthwise = Sub(
                net=nn.Sequential(
                    nn.Conv1d(h, h, 3, padding=dilation, dilation=dilation, groups=h, bias=False),
                    nn.PReLU(),
                    Norm(h, (1, 2)),
                    nn.Conv1d(h, b, 1, bias=False),
                )
            )
            return Sub(
                net=nn.Sequential(
                    nn.Conv1d(b, h, 1, bias=False), nn.PReLU(), Norm(h, (1, 2)), depthwise
                )
            )

        self.encoder = Sub(conv1d_U=nn.Conv1d(channels, n, length, length // 2, bias=False))
        stack = [
            nn.Sequential(*(block(2**layer) for layer in range(layers))) for _ in range(stacks)
        ]
        self.separator = Sub(
            network=nn.Sequential(
                Norm(n, 1),
                nn.Conv1d(n, b, 1, bias=False),
                nn.Sequential(*stack),
                nn.Conv1d(b, sources * n, 1, bias=False),
            )
        )
        self.decoder = Sub(basis_signals=nn.Linear(n, channels * length, bias=False))

    def forward(self, mixture):
        w = torch.relu(self.encoder.conv1d_U(mixture))  # (B, N, K)
        norm, bottleneck, stacks, output = self.separator.network
        x = bottleneck(norm(w))
        for stack in stacks:
            for block in stack:
                first, slope, normed, depthwise = block.net
                x = x + depthwise.net(normed(slope(first(x))))
        masks = torch.relu(output(x)).view(len(x), self.sources, self.n, -1)
        frames = self.decoder.basis_signals((w[:, None] * masks).transpose(2, 3))  # (B, J, K, C L)
        frames = frames.unflatten(-1, (self.channels, self.length))
        out, hop = (
            torch.zeros(len(x), self.sources, self.channels, mixture.shape[-1]),
            self.length // 2,
        )
        for k in range(frames.shape[2]):
            out[..., k * hop : k * hop + self.length] += frames[:, :, k]
        return out


def test_published_weights_give_the_outputs_of_their_layout():
    torch.manual_seed(1)
    theirs, net = shake(Published()), small()
    net.load_published(theirs.state_dict())
    mixture = noise(2, 2, 402)
    with torch.no_grad():
        expected = theirs(nn.functional.pad(mixture, (4, 4 + 2)))[..., 4 : 4 + 402]
        torch.testing.assert_close(net.estimate(mixture), expected, atol=1e-5, rtol=1e-5)


def by_the_authors(theirs, mixture, size):
    """How the authors separate (Demucs 2, `apply_model` without shifts): (C, T) to (J, C, T)."""
    mono = mixture.mean(0)
    normalised = (mixture - mono.mean()) / mono.std()
    weight = torch.cat([torch.arange(1, size // 2 + 1), torch.arange(size - size // 2, 0, -1)])
    total, weights = torch.zeros(4, *mixture.shape, dtype=mixture.dtype), 0 * mono
    for start in range(0, mixture.shape[-1], int(0.75 * size)):
        piece = normalised[:, start : start + size]
        if piece.shape[-1] < 8:  # no frame: theirs stops with an error
            piece = nn.functional.pad(piece, (0, 8 - piece.shape[-1]))
        out = theirs(piece[None])[0]
        out = out[..., : min(size, mixture.shape[-1] - start)]
        total[..., start : start + size] += weight[: out.shape[-1]] * out
        weights[start : start + size] += weight[: out.shape[-1]]
    return total / weights * mono.std() + mono.mean()


@pytest.mark.parametrize("level", [0, -20, -40, -60, -80])
@pytest.mark.parametrize("samples", [5, 333, 803, 1500])
def test_as_published_it_separates_as_its_authors_do(samples, level):
    """Frames from the first sample on, standardised songs, the last segments cut."""
    torch.manual_seed(1)
    theirs, net = shake(Published()), small(segment=0.1, as_published=True)
    net.load_published(theirs.state_dict())
    mixture = 10 ** (level / 20) * noise(2, samples)
    with torch.no_grad():
        ours = torch.stack(list(net(mixture[None]).values()), 1)[0]
        expected = by_the_authors(theirs.double(), mixture.double(), 800)
    error = (ours - expected).square().sum()
    assert 10 * torch.log10(expected.square().sum() / error) > 105


def test_as_published_silence_stays_silence():
    net = small(segment=0.1, as_published=True)
    with torch.no_grad():
        for estimate in net(torch.zeros(1, 2, 903)).values():
            assert torch.equal(estimate, torch.zeros(1, 2, 903))


def test_foreign_weights_are_named():
    state = Published().state_dict()
    with pytest.raises(
        SepkitError,
        match="the published weights: .* lacks masks.blocks.0.layers.1.weight, "
        "has unexpected extra",
    ):
        small().load_published(
            {**{k: v for k, v in state.items() if "2.0.0.net.1" not in k}, "extra": torch.ones(1)}
        )
    with pytest.raises(SepkitError, match=r"encoder.weight has shape \(9, 2, 8\)"):
        small().load_published({**state, "encoder.conv1d_U.weight": torch.ones(9, 2, 8)})
    with pytest.raises(SepkitError, match="masks.output.weight holds NaN"):
        small().load_published(
            {
                **state,
                "separator.network.3.weight": state["separator.network.3.weight"] * float("nan"),
            }
        )
    with pytest.raises(SepkitError, match="for tcn='music'"):
        small(tcn="torchaudio").load_published(state)


@pytest.mark.parametrize("tcn", ["music", "torchaudio"])
def test_a_louder_mixture_gives_louder_estimates(tcn):
    """Up to the 1e-8 that the norms add to variances, which faint frames feel."""
    net, mixture = small(tcn=tcn).double(), noise(1, 2, 500).double()
    with torch.no_grad():
        for gain, least_db in ((10, 80), (0.1, 50)):
            wanted = gain * net.estimate(mixture)
            error = net.estimate(gain * mixture) - wanted
            assert 10 * torch.log10(wanted.square().sum() / error.square().sum()) > least_db


def test_the_stereo_image_reaches_the_masks():
    """Swapped channels change the masks: each filter hears both.

    With channels as a batch they could not.
    """
    net, mixture = small(), noise(1, 2, 500)
    with torch.no_grad():
        swapped = net.estimate(mixture.flip(1)).flip(2)
        assert (swapped - net.estimate(mixture)).abs().max() > 0.01


def test_masks_are_never_negative_and_weigh_the_encoding():
    """With masks of one, a decoder that undoes the encoder gives the mixture back."""
    net, mixture = small(targets=["a"], filters=32, channels=1, length=8), noise(1, 1, 203)
    basis = torch.linalg.qr(torch.randn(8, 8))[0].unsqueeze(1)  # (8, 1, 8)
    with torch.no_grad():
        net.encoder.weight.zero_()
        net.decoder.weight.zero_()
        net.encoder.weight[:16] = torch.cat([basis, -basis])  # relu(x) - relu(-x) = x
        net.decoder.weight[:16] = torch.cat([basis, -basis]) / 2  # each sample lies in two frames
        assert (net.masks(torch.relu(net.encoder(mixture))) >= 0).all()
        net.masks.forward = lambda x: torch.ones_like(x).unsqueeze(1)
        torch.testing.assert_close(net(mixture), mixture, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(length=21), "length=21, kernel=3: an even length and an odd kernel"),
        (dict(kernel=4), "kernel=4"),
        (dict(layers=0), "layers=0: a whole number from 1 to"),
        (dict(tcn="speech"), "unknown tcn 'speech': choose from music, torchaudio"),
    ],
)
def test_mistakes_are_named(settings, message):
    with pytest.raises(SepkitError, match=message):
        small(**settings)
