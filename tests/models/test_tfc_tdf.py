import pytest
import torch

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


def test_every_weight_learns(small):
    small.train()
    small.loss(noise(2, 2, 2048), noise(2, 2, 2048, seed=1)).backward()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0 for p in small.parameters() if p.ndim > 1
    )


def test_loss_is_the_mean_absolute_error(small):
    mixture, target = noise(2, 2, 2048), noise(2, 2, 2048, seed=1)
    with torch.no_grad():
        assert float(small.loss(mixture, target)) == pytest.approx(
            float((small(mixture) - target).abs().mean())
        )


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda net: net(noise(1, 1, 900)), r"expected \(batch, 2, samples\)"),
        (lambda net: net(noise(1, 2, 0)), r"expected \(batch, 2, samples\)"),
        (lambda net: net.loss(noise(1, 2, 100), noise(1, 2, 100)), "shorter than one window"),
        (lambda net: net.set_loss("mse"), "l1"),
        (lambda net: build("tfc-tdf", n_fft=512), "at most 257"),
        (lambda net: build("tfc-tdf", bins=2000), "a multiple of 32"),
    ],
)
def test_mistakes_are_named(small, call, message):
    with pytest.raises(SepkitError, match=message):
        call(small)
