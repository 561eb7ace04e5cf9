"""DeepConvSep: its layers' sizes, tied kernels, masks that share, patches, the loss."""

import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.models import build, load, save
from sepkit.models.deep_conv_sep import ALPHA
from sepkit.models.registry import outline

SMALL = dict(filters=4, kernel=3, frames=6, step_frames=2, hidden=5, n_fft=64, hop=32)


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(**settings):
    torch.manual_seed(0)
    return build(
        "deep-conv-sep", **{**SMALL, "sample_rate": 8000, "channels": 1, **settings}
    ).eval()


@pytest.mark.parametrize(
    "targets, published", [(["drums", "bass", "other", "vocals"], 578_578), (["a", "b"], 372_178)]
)
def test_parameters_are_those_of_the_papers_layers(targets, published):
    """50 x 513 and 50 x 50 x 15 taps, 800 x 128 weights, 128 x 800 for each target; biases."""
    net = outline("deep-conv-sep", targets=targets)
    assert sum(p.numel() for p in net.parameters()) == published


def test_the_inverses_are_adjoints_of_the_convolutions():
    """<conv(x), y> = <x, inverse(y)>, but for the biases: the kernels are the same ones."""
    net = small().double()
    for layer in (net.bins_conv, net.frames_conv):
        torch.nn.init.zeros_(layer.bias)
    x, y = noise(1, 1, 6, 33).double(), noise(1, 4, 4, 1, seed=1).double()
    forward = net.frames_conv(net.bins_conv(x))
    inverse = net._inverse(y.flatten(1), y)
    torch.testing.assert_close((forward * y).sum(), (x * inverse).sum())


def test_a_patch_is_its_formula():
    net, x = small(targets=["a", "b"]).double(), noise(6, 33).abs().double()
    first, second = net.bins_conv, net.frames_conv
    maps = torch.einsum("wf,mf->wm", first.weight[:, 0, 0], x) + first.bias[:, None]
    kernel = second.weight[..., 0]  # (W, W, 3)
    y = torch.stack([torch.einsum("vwk,wk->v", kernel, maps[:, m : m + 3]) for m in range(4)], 1)
    y = (y + second.bias[:, None]).flatten()
    hidden = (net.down.weight @ y + net.down.bias).relu()
    sources = []
    for up in net.up:
        z = (up.weight @ hidden + up.bias).relu().view(4, 4)
        back = torch.zeros(4, 6).double()
        for m in range(4):
            back[:, m : m + 3] += torch.einsum("vwk,v->wk", kernel, z[:, m])
        sources.append(torch.einsum("wf,wm->mf", first.weight[:, 0, 0], back).relu())
    a, b = sources
    expected = torch.stack([a + 5e-9, b + 5e-9]) / (a + b + 1e-8) * x
    torch.testing.assert_close(net._masked(x[None])[0], expected)


@pytest.mark.parametrize("samples", [1, 63, 64, 1001, 1024])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_estimates_of_several_targets_add_up_to_the_mixture(samples, channels):
    net, mixture = small(channels=channels), noise(2, channels, samples)
    with torch.no_grad():
        torch.testing.assert_close(net.estimate(mixture).sum(1), mixture, atol=1e-6, rtol=1e-4)


def test_channels_are_separated_one_by_one():
    net, mixture = small(channels=2), noise(1, 2, 900)
    with torch.no_grad():
        both = net.estimate(mixture)
        mixture[:, 1] = 0
        torch.testing.assert_close(net.estimate(mixture)[:, :, 0], both[:, :, 0])


def test_where_patches_overlap_the_estimate_is_their_mean():
    net, magnitude = small(), noise(1, 1, 33, 11).abs()
    total, count = torch.zeros(4, 33, 12), torch.zeros(12)
    padded = torch.nn.functional.pad(magnitude, (0, 1))  # 6 + 3 x 2 frames
    with torch.no_grad():
        for start in range(0, 7, 2):
            patch = padded[0, 0, :, start : start + 6].T[None]  # (1, M, F)
            total[..., start : start + 6] += net._masked(patch)[0].transpose(1, 2)
            count[start : start + 6] += 1
        found = net.magnitudes(magnitude)[0, :, 0]
    torch.testing.assert_close(found, (total / count)[..., :11])


def test_one_target_has_its_own_magnitude_and_the_phase_of_the_mixture():
    net, mixture = small(target="vocals"), noise(1, 1, 1024)
    with torch.no_grad():
        spectrum = net.stft(mixture)
        magnitude = net.magnitudes(spectrum.abs())[:, 0]
        expected = net.stft.inverse(magnitude * spectrum / spectrum.abs(), 1024)
        torch.testing.assert_close(net(mixture), expected, atol=1e-6, rtol=1e-4)


def test_the_loss_is_the_squared_error_less_a_little_of_that_to_the_others():
    net, mixture = small(targets=["a", "b", "c"]), noise(2, 1, 1000)
    targets = noise(2, 3, 1, 1000, seed=1)
    with torch.no_grad():
        estimates, wanted = net.magnitudes(net.stft(mixture).abs()), net.stft(targets).abs()
        expected = 0
        for j in range(3):
            for k in range(3):
                error = float((estimates[:, j] - wanted[:, k]).square().mean()) / 3
                expected += error if j == k else -ALPHA * error
        assert float(net.loss(mixture, targets)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("target", [None, "vocals"])
def test_every_weight_learns(target):
    net = small(target=target).train()
    net.loss(noise(2, 1, 2000), noise(2, len(net.targets), 1, 2000, seed=1).squeeze(1)).backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or p.grad.abs().sum() == 0] == []


def test_a_checkpoint_brings_back_the_same_network(tmp_path):
    net = small(targets=["bass", "vocals"])
    again = load(save(tmp_path / "net.safetensors", net))
    with torch.no_grad():
        for target, estimate in again(noise(1, 1, 900)).items():
            torch.testing.assert_close(estimate, net(noise(1, 1, 900))[target], atol=0, rtol=0)


def test_patches_shorter_than_the_kernel_are_refused():
    with pytest.raises(SepkitError, match="kernel=9, step_frames=2: at most the 6 frames"):
        small(kernel=9)
