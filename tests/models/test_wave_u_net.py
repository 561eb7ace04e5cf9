"""Wave-U-Net against the paper's numbers, and against a second implementation in float64."""

import pytest
import torch
from torch.nn import functional

from sepkit.errors import SepkitError
from sepkit.models import build
from sepkit.models.losses import LOSSES
from sepkit.models.wave_u_net import SIZES, Double

SMALL = dict(levels=3, filters=3, kernel=5, merge_kernel=3, sample_rate=8000)


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(**settings):
    torch.manual_seed(0)
    net = build("wave-u-net", **{**SMALL, **settings}).eval()
    for parameter in net.parameters():  # biases and learned weights too, so that zeros hide nothing
        torch.nn.init.normal_(parameter, std=0.3)
    return net


# The paper's numbers


def by_hand(levels, filters, kernel, merge, channels, outputs):
    """Weights and biases of every convolution, as section 3.1 lists them."""
    widths = [filters * (level + 1) for level in range(levels)]
    total, below = 0, channels
    for width in [*widths, filters * (levels + 1)]:
        total, below = total + below * width * kernel + width, width
    for width in reversed(widths):
        total, below = total + (below + width) * width * merge + width, width
    return total + (below + channels) * outputs * channels + outputs * channels


def test_sizes_of_the_paper():
    net = build("wave-u-net")
    assert sum(p.numel() for p in net.parameters()) == by_hand(12, 24, 15, 5, 2, 3) == 10_263_498
    assert (
        net.fitting(16384) == (16389, 147443) == net.fitting(147443, within=True)
    )  # table 1 and section 3.2.3
    m4 = build("wave-u-net", targets=["vocals", "accompaniment"])
    assert sum(p.numel() for p in m4.parameters()) == by_hand(12, 24, 15, 5, 2, 1)
    m1 = build(
        "wave-u-net",
        targets=["vocals", "accompaniment"],
        channels=1,
        context=False,
        output="direct",
    )
    assert m1.fitting(16385) == (16385, 16385)
    student = build("wave-u-net", **{**SIZES["student"], "output": "difference"})
    assert sum(p.numel() for p in student.parameters()) == by_hand(9, 8, 15, 5, 2, 3)


@pytest.mark.parametrize("levels, kernel, merge", [(1, 3, 3), (3, 5, 3), (2, 15, 5), (4, 1, 1)])
def test_fitting_is_what_the_layers_do(levels, kernel, merge):
    """The numbers, against counting through the levels one by one."""
    net = small(levels=levels, kernel=kernel, merge_kernel=merge)

    def count(given):
        n = given
        for _ in range(levels):
            n -= kernel - 1
            n = (n + 1) // 2 if n % 2 else None
            if n is None:
                return None
        n -= kernel - 1
        for _ in range(levels):
            n = 2 * n - 1 - (merge - 1)
        return n if n > 0 else None

    possible = {given: size for given in range(1, 1500) if (size := count(given))}
    for samples in (1, 2, 7, 100, 333, 500):
        size, given = net.fitting(samples)
        assert possible[given] == size and size == min(
            s for s in possible.values() if s >= max(samples, merge)
        )
        assert net._u_net(noise(1, 2, given)).shape[-1] == size
    for samples in (700, 701, 713, 1000):
        size, given = net.fitting(samples, within=True)
        assert given == max(g for g in possible if g <= samples) and possible[given] == size


# A second implementation


def reference(net, x):
    """Section 3.1 in plain functions, float64; `x` already has its context."""
    s, w = net.settings, {key: value.double() for key, value in net.state_dict().items()}
    padding = (0, 0) if s["context"] else (s["kernel"] // 2, s["merge_kernel"] // 2)

    def crop(a, n):
        left = (a.shape[-1] - n) // 2
        return a[..., left : a.shape[-1] - left]

    def leaky(a):
        return torch.where(a > 0, a, 0.2 * a)

    h, skips = x.double(), []
    for level in range(s["levels"]):
        h = leaky(
            functional.conv1d(
                h, w[f"down.{level}.weight"], w[f"down.{level}.bias"], padding=padding[0]
            )
        )
        skips.append(h)
        h = h[:, :, torch.arange(0, h.shape[-1], 2)]
    h = leaky(functional.conv1d(h, w["middle.weight"], w["middle.bias"], padding=padding[0]))
    for level in range(s["levels"]):
        if s["upsampling"] == "linear":
            h = functional.interpolate(
                h, size=2 * h.shape[-1] - 1, mode="linear", align_corners=True
            )
        elif s["upsampling"] == "learned":
            share = 1 / (1 + torch.exp(-w[f"doubling.{level}.weight"]))
            wide = torch.zeros(*h.shape[:2], 2 * h.shape[-1] - 1, dtype=torch.float64)
            wide[..., ::2] = h
            wide[..., 1::2] = share * h[..., :-1] + (1 - share) * h[..., 1:]
            h = wide
        else:  # zeros between the samples, then an ordinary convolution with the taps turned round
            wide = torch.zeros(*h.shape[:2], 2 * h.shape[-1] - 1, dtype=torch.float64)
            wide[..., ::2] = h
            taps = w[f"doubling.{level}.convolution.weight"].transpose(0, 1).flip(-1)
            h = functional.conv1d(
                wide, taps, w[f"doubling.{level}.convolution.bias"], padding=s["merge_kernel"] // 2
            )
        h = torch.cat([crop(skips.pop(), h.shape[-1]), h], 1)
        h = leaky(
            functional.conv1d(h, w[f"up.{level}.weight"], w[f"up.{level}.bias"], padding=padding[1])
        )
    heard = crop(x.double(), h.shape[-1])
    out = functional.conv1d(torch.cat([heard, h], 1), w["last.weight"], w["last.bias"])
    out = torch.tanh(out) if s["activation"] == "tanh" else out
    estimates = list(out.split(s["channels"], 1))
    if s["output"] == "difference":
        estimates.append(heard - sum(estimates))
    return torch.stack(estimates, 1)


@pytest.mark.parametrize("upsampling", ["linear", "learned", "transposed"])
@pytest.mark.parametrize("context", [True, False])
@pytest.mark.parametrize("output, activation", [("difference", "tanh"), ("direct", "linear")])
def test_outputs_are_those_of_a_second_implementation(upsampling, context, output, activation):
    net = small(upsampling=upsampling, context=context, output=output, activation=activation)
    net, mixture = net.double(), noise(2, 2, 333).double()
    size, given = net.fitting(333)
    before = (given - size) // 2
    extended = torch.zeros(2, 2, given, dtype=torch.float64)
    extended[..., before : before + 333] = mixture
    with torch.no_grad():
        expected = reference(net, extended)[..., :333]
        torch.testing.assert_close(net.estimate(mixture), expected, atol=1e-12, rtol=1e-10)
        named = net(mixture)
        torch.testing.assert_close(named["vocals"], expected[:, 3], atol=1e-12, rtol=1e-10)


# What the paper promises


def test_differences_sum_to_the_mixture():
    mixture = noise(2, 2, 500)
    with torch.no_grad():
        torch.testing.assert_close(sum(small()(mixture).values()), mixture, atol=1e-6, rtol=1e-6)
        assert (sum(small(output="direct")(mixture).values()) - mixture).abs().max() > 0.01


def test_tanh_bounds_every_estimate_but_the_difference():
    loud = 100 * noise(1, 2, 500)
    with torch.no_grad():
        assert max(y.abs().max() for y in small(output="direct")(loud).values()) <= 1
        assert (
            max(y.abs().max() for y in small(output="direct", activation="linear")(loud).values())
            > 1
        )


@pytest.mark.parametrize("context", [True, False])
def test_with_context_a_chunk_gives_what_the_whole_gives(context):
    """Away from the ends, and from a place that the levels share.

    Zeros at every level do the same only further in.
    """
    net, mixture = small(context=context, activation="linear"), noise(1, 2, 4000)
    start, stop = 100 * net.step, 250 * net.step
    with torch.no_grad():
        whole, chunk = (
            net.estimate(mixture)[..., start:stop],
            net.estimate(mixture[..., start:stop]),
        )
    reach = 200
    torch.testing.assert_close(
        chunk[..., reach:-reach], whole[..., reach:-reach], atol=1e-5, rtol=1e-4
    )
    assert (chunk - whole)[..., :5].abs().max() > 1e-3


def test_the_loss_leaves_out_what_lacks_context():
    net = small()
    mixture, targets = noise(2, 2, 700), noise(2, 4, 2, 700, seed=1)
    size, given = net.fitting(700, within=True)
    before = (given - size) // 2
    heard = slice(before, before + size)
    estimates = reference(net, mixture[..., :given])
    expected = LOSSES["mse"](estimates, targets[..., heard].double(), mixture[..., heard].double())
    assert net.loss(mixture, targets).item() == pytest.approx(expected.item(), rel=1e-4)
    targets[..., :before] += 5  # nobody looks there
    targets[..., before + size :] += 5
    assert net.loss(mixture, targets).item() == pytest.approx(expected.item(), rel=1e-4)


# Upsampling


def test_the_learned_mean_starts_in_the_middle():
    x = noise(1, 4, 50)
    torch.testing.assert_close(Double(4, "learned", 5)(x), Double(4, "linear", 5)(x))


def test_transposed_convolutions_write_a_tone_that_linear_interpolation_does_not():
    """A constant stays one.

    Of five equal taps with stride 2, three meet every even sample and two every odd one.
    """
    x = torch.ones(1, 1, 64)
    transposed = Double(1, "transposed", 5)
    torch.nn.init.ones_(transposed.convolution.weight)
    torch.nn.init.zeros_(transposed.convolution.bias)
    with torch.no_grad():
        assert torch.equal(Double(1, "linear", 5)(x), torch.ones(1, 1, 127))
        inner = transposed(x)[0, 0, 4:-4]
    assert torch.equal(inner[::2], torch.full_like(inner[::2], 3)) and torch.equal(
        inner[1::2], torch.full_like(inner[1::2], 2)
    )


def test_linear_interpolation_weakens_the_mirror_image_by_what_its_taps_say():
    """A tone at frequency f comes out with cos^2(pi f / 2), its mirror image with sin^2, f in
    cycles a sample of the input.
    """
    n, cycles = 1024, 64
    tone = torch.cos(2 * torch.pi * cycles * torch.arange(n, dtype=torch.float64) / n)
    doubled = Double(1, "linear", 5)(torch.cat([tone, tone[:1]])[None, None])[0, 0, : 2 * n]
    spectrum = torch.fft.rfft(doubled[: 2 * n]).abs() / n
    f = torch.tensor(cycles / n, dtype=torch.float64)
    assert spectrum[cycles].item() == pytest.approx(
        torch.cos(torch.pi * f / 2).square().item(), rel=1e-9
    )
    assert spectrum[n - cycles].item() == pytest.approx(
        torch.sin(torch.pi * f / 2).square().item(), rel=1e-9
    )


# Bad input


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: small(target="vocals"), "vocals is the only one; use 'direct'"),
        (lambda: small(kernel=4), "kernel=4, merge_kernel=3: odd numbers"),
        (lambda: small(levels=0), "levels=0: a whole number from 1 to"),
        (
            lambda: small(upsampling="cubic"),
            "unknown upsampling 'cubic': choose from linear, learned, transposed",
        ),
        (lambda: small(output="sum"), "unknown output 'sum'"),
        (lambda: small(activation="relu"), "unknown activation 'relu'"),
        (
            lambda: small().loss(noise(1, 2, 60), noise(1, 4, 2, 60)),
            "60 samples are too short: with all its context, wave-u-net takes",
        ),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(SepkitError, match=message):
        call()
