"""Mono networks of a lower rate, as a separator of stereo at 44.1 kHz."""

import pytest
import torch

from sepkit import audio
from sepkit.errors import SepkitError
from sepkit.models import build, save, shipped_sets
from sepkit.separation import ModelSeparator, MonoMaskSeparator, get, separate_at

NARROW = dict(
    hidden=8, layers=1, n_fft=512, hop=256, sample_rate=22050, channels=1, bandwidth=11000
)


def network(mask=None, **settings):
    """Random weights; or with a mask that is the same for all bins and frames."""
    torch.manual_seed(0)
    net = build("open-unmix", **{**NARROW, **settings}).eval()
    if mask is not None:
        torch.nn.init.zeros_(net.bn3.weight)
        torch.nn.init.constant_(net.output_mean, mask)
    return net


def noise(channels=2, samples=30_000, seed=1):
    return 0.1 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))


def tone(frequency, samples=44_100):
    return 0.1 * torch.sin(2 * torch.pi * frequency * torch.arange(samples) / 44_100)


@pytest.mark.parametrize(
    "mask, more, gain",
    [
        (0.25, {}, 0.0625),  # a ratio of energies, if nothing is said
        (0.25, {"exponent": 1}, 0.25),
        (0.25, {"exponent": 0.5}, 0.5),
        (1.0, {}, 1.0),
        (3.0, {}, 1.0),
        (3.0, {"exponent": 0.5}, 1.0),
    ],
)
@pytest.mark.parametrize("samples", [1, 700, 30_000])
def test_an_even_mask_scales_every_frequency_up_to_one(mask, more, gain, samples):
    mixture = noise(samples=samples)
    estimates = MonoMaskSeparator(network(mask), device="cpu", **more).separate(mixture)
    torch.testing.assert_close(estimates["vocals"], gain * mixture, rtol=0, atol=2e-6)
    torch.testing.assert_close(sum(estimates.values()), mixture, rtol=0, atol=1e-7)


@pytest.mark.parametrize("exponent", [1, 2])
def test_the_mask_is_that_of_the_network_at_its_own_rate(exponent):
    # What the network makes of the mono mean, resampled by ourselves, where it hears anything.
    net, mixture = network(), torch.stack([tone(440) + 0.02 * noise(1, 44_100)[0]] * 2)
    separator = MonoMaskSeparator(net, device="cpu", exponent=exponent)
    mixture *= 0.06 / mixture.square().mean().sqrt()  # the level at which it listens
    heard = audio.resample(mixture.mean(0, keepdim=True), 44_100, 22_050)
    with torch.no_grad():
        spectrum = net.stft(heard[None])  # (1, 1, F, N)
        mask = net.magnitude(spectrum.abs()) / spectrum.abs().clamp_min(1e-8)
        masked = spectrum * mask.clamp(max=1) ** exponent
        expected = net.stft.inverse(masked, heard.shape[-1])[0]  # (1, T / 2)
    found = audio.resample(separator.separate(mixture)["vocals"], 44_100, 22_050)[:1]
    inside = slice(2000, -2000)
    error = (found - expected)[..., inside].square().mean()
    assert error < 1e-3 * expected[..., inside].square().mean()


def test_channels_keep_their_places_and_levels_do_not_matter():
    separator = MonoMaskSeparator(network(), device="cpu")
    mono, places = noise(1), torch.tensor([[0.9], [0.3]])
    stereo = separator.separate(places * mono)["vocals"]
    torch.testing.assert_close(stereo, places / 0.6 * separator.separate(0.6 * mono)["vocals"])
    loud = separator.separate(5 * places * mono)["vocals"]
    torch.testing.assert_close(loud, 5 * stereo, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(
        separator.separate((places * mono).flip(0))["vocals"], stereo.flip(0)
    )


def test_silence_is_separated_into_silence():
    estimates = MonoMaskSeparator(network(), device="cpu").separate(torch.zeros(2, 5000))
    assert not any(estimate.any() for estimate in estimates.values())


def test_what_lies_above_the_networks_band_follows_the_band_below():
    net = network(0.5)
    bins = net.bins
    with torch.no_grad():  # half of everything, but nothing of the highest quarter
        net.output_mean[int(0.7 * bins) :] = 0.0
    mixture = torch.stack([tone(440) + tone(9_000) + tone(16_000)] * 2)
    spectrum = torch.fft.rfft(MonoMaskSeparator(net, device="cpu").separate(mixture)["vocals"])[0]
    low, high, above = (float(spectrum[f].abs()) for f in (440, 9_000, 16_000))
    assert low == pytest.approx(0.25 * 0.1 * 22_050, rel=0.02)
    assert max(high, above) < 0.01 * low


def test_it_is_what_a_checkpoint_of_such_a_network_becomes(tmp_path):
    file = save(tmp_path / "voice" / "vocals.safetensors", network())
    separator = get(file, device="cpu")
    assert type(separator) is MonoMaskSeparator and separator.sample_rate == 44_100
    assert separator.targets == ("vocals", "accompaniment")
    assert get(file.parent, device="cpu").targets == separator.targets
    speech = save(tmp_path / "speech.safetensors", network(sample_rate=16_000, target="speech"))
    stereo = save(tmp_path / "stereo.safetensors", network(channels=2))
    assert type(get(speech, device="cpu")) is type(get(stereo, device="cpu")) is ModelSeparator
    piano = MonoMaskSeparator(network(target="piano"), device="cpu")
    assert piano.targets == ("piano", "no_piano")
    with pytest.raises(SepkitError, match="is no mono network .* use ModelSeparator"):
        MonoMaskSeparator(network(channels=2), device="cpu")
    with pytest.raises(SepkitError, match="exponent=0: a number from 0.25 to 4 was"):
        MonoMaskSeparator(network(), device="cpu", exponent=0)
    with pytest.raises(SepkitError, match="niter=1: .* without a Wiener filter; leave it out"):
        get(file, device="cpu", niter=1)


def four(masks, **settings):
    """A network for each stem, with masks that are the same for all bins and frames."""
    return {
        target: network(mask, target=target, **settings)
        for target, mask in zip(("bass", "drums", "other", "vocals"), masks)
    }


@pytest.mark.parametrize("samples", [1, 700, 30_000])
@pytest.mark.parametrize(
    "masks, exponent, gains",
    [
        # bass, drums, other and vocals: the vocals have their own mask, the others share the rest
        ((0.5, 0.5, 0.5, 0.5), 2, (0.25, 0.25, 0.25, 0.25)),
        ((0.1, 0.2, 0.3, 0.4), 1, (0.1, 0.2, 0.3, 0.4)),
        ((0.1, 0.2, 0.3, 0.4), 2, (0.06, 0.24, 0.54, 0.16)),
        ((0.4, 0.1, 0.1, 0.9), 1, (0.4 / 6, 0.1 / 6, 0.1 / 6, 0.9)),
        ((7.0, 0.0, 1.0, 0.5), 2, (0.375, 0.0, 0.375, 0.25)),  # none counts more than the mixture
        ((0.3, 0.3, 0.3, 2.0), 2, (0.0, 0.0, 0.0, 1.0)),
        ((0.0, 0.0, 0.0, 0.0), 2, (1 / 3, 1 / 3, 1 / 3, 0.0)),  # nobody's: what is there is kept
    ],
)
def test_three_networks_share_what_the_vocals_leave(masks, exponent, gains, samples):
    mixture = noise(samples=samples)
    separator = MonoMaskSeparator(four(masks), device="cpu", exponent=exponent)
    assert separator.targets == ("vocals", "drums", "bass", "other")
    estimates = separator.separate(mixture)
    assert tuple(estimates) == separator.targets
    for target, gain in zip(("bass", "drums", "other", "vocals"), gains):
        torch.testing.assert_close(estimates[target], gain * mixture, rtol=0, atol=2e-6)
    torch.testing.assert_close(sum(estimates.values()), mixture, rtol=0, atol=1e-6)


def test_their_shares_are_those_of_what_they_estimate():
    nets = {}
    for seed, target in enumerate(("vocals", "drums", "bass", "other")):
        nets[target] = network(target=target)
        for weight in nets[target].parameters():
            generator = torch.Generator().manual_seed(seed)
            weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    mixture = torch.stack([tone(440) + 0.02 * noise(1, 44_100)[0]] * 2)
    mixture *= 0.06 / mixture.square().mean().sqrt()  # the level at which they listen
    heard = audio.resample(mixture.mean(0, keepdim=True), 44_100, 22_050)
    with torch.no_grad():
        spectrum = nets["vocals"].stft(heard[None])  # (1, 1, F, N)
        found = {name: net.magnitude(spectrum.abs()) for name, net in nets.items()}
        powers = {name: y.minimum(spectrum.abs()) ** 2 for name, y in found.items()}
        vocals = powers.pop("vocals") / spectrum.abs().clamp_min(1e-8) ** 2
        masks = {
            name: (1 - vocals) * power / sum(powers.values()) for name, power in powers.items()
        }
        expected = {
            name: nets[name].stft.inverse(spectrum * mask, heard.shape[-1])[0]
            for name, mask in {"vocals": vocals, **masks}.items()
        }
    inside = slice(2000, -2000)
    for bundle in (nets, dict(reversed(nets.items()))):  # in whatever order they are given
        for name, estimate in MonoMaskSeparator(bundle, device="cpu").separate(mixture).items():
            error = audio.resample(estimate, 44_100, 22_050)[:1] - expected[name]
            size = expected[name][..., inside].square().mean()
            assert error[..., inside].square().mean() < 2e-3 * size


def test_above_their_band_four_still_sum_to_the_mixture():
    nets = four((0.2, 0.2, 0.2, 0.2))
    bins = nets["drums"].bins
    with torch.no_grad():  # of the highest quarter nearly all is the drums'
        nets["drums"].output_mean[int(0.7 * bins) :] = 0.9
    mixture = torch.stack([tone(440) + tone(16_000)] * 2)
    estimates = MonoMaskSeparator(nets, device="cpu").separate(mixture)
    torch.testing.assert_close(sum(estimates.values()), mixture, rtol=0, atol=1e-6)
    spectrum = {name: torch.fft.rfft(estimate[0]).abs() for name, estimate in estimates.items()}
    full = 0.1 * 22_050
    assert float(spectrum["drums"][440]) == pytest.approx(0.32 * full, rel=0.02)
    share = 0.96 * 0.81 / (0.81 + 2 * 0.04)  # 0.04 are the vocals'
    assert float(spectrum["drums"][16_000]) == pytest.approx(share * full, rel=0.02)


def test_with_one_stem_missing_nothing_is_shared(tmp_path):
    nets = four((0.5, 0.5, 0.5, 0.5))
    for target, net in nets.items():
        save(tmp_path / "four" / f"{target}.safetensors", net)
    assert type(get(tmp_path / "four", device="cpu")) is MonoMaskSeparator
    (tmp_path / "four" / "bass.safetensors").unlink()
    three = get(tmp_path / "four", device="cpu")
    assert type(three) is ModelSeparator and three.sample_rate == 22_050
    other = network(0.5, target="bass", n_fft=1024, hop=512)
    with pytest.raises(SepkitError, match="nor one for each of four stems"):
        MonoMaskSeparator({**nets, "bass": other}, device="cpu")


@pytest.mark.parametrize("rate, channels", [(48_000, 2), (22_050, 1)])
def test_recordings_of_other_rates_and_mono_come_back_as_they_were(rate, channels):
    mixture = audio.resample(noise(channels, 8000), 16_000, rate)  # no rate takes any of it away
    separator = MonoMaskSeparator(network(0.5), device="cpu", exponent=1)
    estimates = separate_at(separator, mixture, rate, notice=None)
    inside = slice(2000, -2000)
    for estimate in estimates.values():
        assert estimate.shape == mixture.shape
        gain = (estimate * mixture)[..., inside].sum() / mixture[..., inside].square().sum()
        assert gain == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("residual", [None, "spread", "residual"])
@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_at_any_rate_the_estimates_sum_to_the_mixture(rate, residual):
    # Noise at 96 kHz has half of its energy where 44.1 kHz cannot hold it.
    mixture = noise(samples=20_000)
    separator = MonoMaskSeparator(network(0.5), device="cpu", residual=residual)
    estimates = separate_at(separator, mixture, rate, notice=None)
    torch.testing.assert_close(sum(estimates.values()), mixture, rtol=0, atol=1e-6)
    if residual is None and rate == 96_000:
        share = estimates["accompaniment"].square().mean() / mixture.square().mean()
        heard = 44.1 / 96
        assert share == pytest.approx(0.75**2 * heard + (1 - heard), abs=0.03)


def test_what_ships_has_names_of_its_own():
    assert {"open-unmix-student", "open-unmix-voices"} <= set(shipped_sets())
    four = get("open-unmix-four-stems", device="cpu")
    assert type(four) is MonoMaskSeparator and four.targets == ("vocals", "drums", "bass", "other")
    assert get("open-unmix-student", device="cpu").targets == ("vocals", "drums", "bass", "other")
    with pytest.raises(SepkitError, match="open-unmix-voices"):
        get("open-unmix-choir", device="cpu")
