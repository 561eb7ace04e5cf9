"""The mean of the weights of several trainings."""

import pytest
import torch

from sepkit import models
from sepkit.errors import SepkitError

SETTINGS = dict(hidden=16, n_fft=512, hop=256, sample_rate=8000, channels=1, bandwidth=4000)


def network(seed, **settings):
    torch.manual_seed(seed)
    net = models.build("open-unmix", **{**SETTINGS, **settings})
    with torch.no_grad():  # running statistics too
        for value in net.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.randn_like(value).abs() + 0.5)
    return net.eval()


def test_every_weight_and_statistic_is_the_mean_and_the_networks_stay_as_they_are():
    nets = [network(seed) for seed in range(3)]
    before = [{k: v.clone() for k, v in net.state_dict().items()} for net in nets]
    mean = models.average(nets)
    for key, value in mean.state_dict().items():
        if value.is_floating_point():
            expected = sum(state[key].double() for state in before) / 3
            torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=1e-7)
    for net, state in zip(nets, before):
        assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())


def test_the_mean_of_a_network_and_itself_is_that_network():
    net = network(0)
    x = torch.randn(1, 1, 4000)
    assert torch.equal(models.average([net, net])(x), net(x))


def test_a_mean_is_saved_and_read_like_any_network(tmp_path):
    mean = models.average([network(0), network(1)])
    read = models.load(models.save(tmp_path / "vocals.safetensors", mean))
    x = torch.randn(1, 1, 4000)
    assert torch.equal(read(x), mean(x))


@pytest.mark.parametrize("other", [dict(hidden=8), dict(n_fft=1024), dict(target="drums")])
def test_trainings_of_different_networks_are_refused(other):
    with pytest.raises(SepkitError, match="open-unmix of .* have no weights in common"):
        models.average([network(0), network(0, **other)])


def test_none_is_refused():
    with pytest.raises(SepkitError, match="no networks"):
        models.average([])
