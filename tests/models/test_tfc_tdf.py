import pytest
import torch
from torch import nn

from sepkit.errors import SepkitError
from sepkit.models import build
from sepkit.models.tfc_tdf import Block


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def small():
    torch.manual_seed(0)
    return build("tfc-tdf", n_fft=512, hop=128, bins=128, growth=4, depth=2, convolutions=1).eval()


def test_parameters_are_those_of_the_paper():
    net = build("tfc-tdf")
    assert sum(p.numel() for p in net.parameters()) == 7_423_236
    assert (
        net.settings["n_fft"] == 6144
        and build("tfc-tdf", target="bass", bins=256).settings["n_fft"] == 16384
    )


@pytest.mark.parametrize("samples", [1, 100, 511, 512, 2000, 5121])
def test_any_length_goes_in_and_comes_out(small, samples):
    assert small(noise(2, 2, samples)).shape == (2, 2, samples)


def test_examples_of_a_batch_do_not_touch_each_other(small):
    both = noise(2, 2, 3000)
    torch.testing.assert_close(small(both)[1:], small(both[1:]), atol=1e-6, rtol=1e-4)


def test_a_network_that_passes_on_what_it_gets_returns_the_lowest_bins(small):
    """With the U-Net an identity, only the bins above those seen are lost."""
    small._u_net = lambda x: x
    mixture = noise(1, 2, 5000)
    spectrum = small.stft(mixture)
    spectrum[..., 128:, :] = 0
    torch.testing.assert_close(
        small(mixture), small.stft.inverse(spectrum, 5000), atol=1e-6, rtol=1e-4
    )


def test_silence_for_one_skip_silences_what_goes_up(small):
    """Skips multiply.

    Where the encoder's first stage gives nothing, what comes from below does not matter.
    """
    small.encoder[0].tfc.register_forward_hook(lambda *_: torch.zeros(1, 4, 24, 128))
    small.encoder[0].tdf.register_forward_hook(lambda *_: torch.zeros(1, 4, 24, 128))
    x = noise(1, 4, 24, 128)
    first = small._u_net(x)
    torch.nn.init.normal_(small.middle.tfc[0][0].weight)
    torch.testing.assert_close(small._u_net(x), first)


def test_a_block_adds_what_goes_across_the_frequencies():
    torch.manual_seed(0)
    block = Block(4, 64, 2, 8).eval()
    x = noise(1, 4, 5, 64)
    torch.testing.assert_close(block(x), block.tfc(x) + block.tdf(block.tfc(x)))
    torch.nn.init.zeros_(block.tdf[3].weight)
    torch.testing.assert_close(block(x), block.tfc(x))


class Sub(nn.Module):
    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class Published(nn.Module):
    """The authors' network, with their names, written from its description."""

    def __init__(
        self, bins=128, growth=4, depth=2, convolutions=2, bottleneck=8, n_fft=512, hop=128
    ):
        super().__init__()
        self.depth, self.bins, self.n_fft, self.hop = depth, bins, n_fft, hop

        def layer(conv):
            return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU())

        def block(stage):
            width, size = growth * (stage + 1), bins >> stage
            convs = [layer(nn.Conv2d(width, width, 3, padding=1)) for _ in range(convolutions)]
            tdf = []
            for sizes in ((size, size // bottleneck), (size // bottleneck, size)):
                tdf += [nn.Linear(*sizes, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            return Sub(tfc=Sub(H=nn.ModuleList(convs)), tdf=nn.Sequential(*tdf))

        def scale(kind, stage, up):
            widths = [growth * (stage + 1), growth * (stage + 2)]
            return layer(kind(*(reversed(widths) if up else widths), 2, 2))

        stages = range(depth)
        self.first_conv = layer(nn.Conv2d(4, growth, 1))
        self.encoding_blocks = nn.ModuleList(block(stage) for stage in stages)
        self.ds = nn.ModuleList(scale(nn.Conv2d, stage, False) for stage in stages)
        self.bottleneck_block = block(depth)
        self.us = nn.ModuleList(scale(nn.ConvTranspose2d, stage, True) for stage in stages[::-1])
        self.decoding_blocks = nn.ModuleList(block(stage) for stage in stages[::-1])
        self.final_conv = nn.Sequential(nn.Conv2d(growth, 4, 1))
        self.register_buffer("window", torch.hann_window(n_fft, dtype=torch.float64))
        self.register_buffer("freq_pad", torch.zeros(1, 4, n_fft // 2 + 1 - bins, 16))

    def forward(self, mixture):
        """(2, T) to (2, T); channels are left real, left imaginary, right real, right imaginary."""

        def run(block, x):
            for conv in block.tfc.H:
                x = conv(x)
            return x + block.tdf(x)

        stft = dict(n_fft=self.n_fft, hop_length=self.hop, window=self.window, center=True)
        spectrum = torch.view_as_real(torch.stft(mixture, return_complex=True, **stft))
        frames = spectrum.shape[2]
        x = spectrum.permute(0, 3, 1, 2).flatten(0, 1)[None, :, : self.bins]  # (1, 4, F, N)
        x = nn.functional.pad(x, (0, -frames % 2**self.depth))
        x = self.first_conv(x).transpose(-1, -2)
        skips = []
        for block, ds in zip(self.encoding_blocks, self.ds):
            skips.append(run(block, x))
            x = ds(skips[-1])
        x = run(self.bottleneck_block, x)
        for block, us in zip(self.decoding_blocks, self.us):
            x = run(block, us(x) * skips.pop())
        x = self.final_conv(x.transpose(-1, -2))[0, ..., :frames]  # (4, F, N)
        x = nn.functional.pad(x, (0, 0, 0, self.n_fft // 2 + 1 - self.bins))
        x = x.unflatten(0, (2, 2)).permute(0, 2, 3, 1).contiguous()
        return torch.istft(torch.view_as_complex(x), length=mixture.shape[-1], **stft)


@torch.no_grad()
def shake(net):
    for name, value in net.state_dict().items():
        if value.is_floating_point() and name not in ("window", "freq_pad"):
            value.add_(0.3 * torch.rand_like(value))
    return net.double().eval()


@pytest.mark.parametrize("samples, level", [(4000, 0), (4001, 0), (5121, -40), (999, -80)])
def test_published_weights_give_the_outputs_of_their_layout(samples, level):
    torch.manual_seed(1)
    theirs = shake(Published())
    net = build("tfc-tdf", n_fft=512, hop=128, bins=128, growth=4, depth=2, convolutions=2).eval()
    net.load_published(theirs.state_dict())
    mixture = 10 ** (level / 20) * noise(2, samples)
    with torch.no_grad():
        expected, ours = theirs(mixture.double()), net(mixture[None])[0]
    error = (ours - expected).square().sum()
    assert 10 * torch.log10(expected.square().sum() / error) > 105


def test_published_weights_that_do_not_fit_are_named(small):
    state = Published().state_dict()
    with pytest.raises(SepkitError, match="lacks decoder.0.tdf.0.weight, .* has unexpected extra"):
        small.load_published({"extra": torch.ones(1), "ds.0.0.weight": state["ds.0.0.weight"]})
    with pytest.raises(
        SepkitError, match="window of 1024 samples; build the model with n_fft=1024"
    ):
        small.load_published({**state, "window": torch.ones(1024)})
    with pytest.raises(SepkitError, match=r"first.0.weight has shape \(4, 2, 1, 1\)"):
        build(
            "tfc-tdf", n_fft=512, hop=128, bins=128, growth=4, depth=2, convolutions=2
        ).load_published({**state, "first_conv.0.weight": torch.ones(4, 2, 1, 1)})


def test_every_weight_learns(small):
    small.train()
    small.loss(noise(2, 2, 2048), noise(2, 2, 2048, seed=1)).backward()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0 for p in small.parameters() if p.ndim > 1
    )


def test_loss_is_the_mean_absolute_or_squared_error(small):
    mixture, target = noise(2, 2, 2048), noise(2, 2, 2048, seed=1)
    with torch.no_grad():
        error = small(mixture) - target
        assert float(small.loss(mixture, target)) == pytest.approx(float(error.abs().mean()))
        small.set_loss("mse")
        assert float(small.loss(mixture, target)) == pytest.approx(float(error.square().mean()))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda net: net(noise(1, 1, 900)), r"expected \(batch, 2, samples\)"),
        (lambda net: net(noise(1, 2, 0)), r"expected \(batch, 2, samples\)"),
        (lambda net: net.loss(noise(1, 2, 100), noise(1, 2, 100)), "shorter than one window"),
        (lambda net: net.set_loss("l2"), "choose from l1, mse"),
        (lambda net: build("tfc-tdf", n_fft=512), "at most 257"),
        (lambda net: build("tfc-tdf", bins=2000), "a multiple of 32"),
    ],
)
def test_mistakes_are_named(small, call, message):
    with pytest.raises(SepkitError, match=message):
        call(small)
