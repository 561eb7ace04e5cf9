"""Naming components after stems: the best choice, and only that."""

import itertools

import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.metrics.sdr import sdr, si_sdr
from sepkit.separation.blind import assign, project_back


def noises(count, channels=2, seed=0):
    return torch.randn(
        count, channels, 3000, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def named(signals):
    return {f"stem {k}": signal for k, signal in enumerate(signals)}


def test_order_sign_and_scale_are_found():
    truth = noises(4)
    scales = torch.tensor([-2.0, 0.1, 5.0, -0.3], dtype=torch.float64)
    order = [2, 0, 3, 1]
    estimates = assign((scales[:, None, None] * truth)[order], named(truth))
    assert list(estimates) == list(named(truth))
    for name, reference in named(truth).items():
        torch.testing.assert_close(estimates[name], reference)


def test_images_keep_their_sign_and_scale():
    truth = noises(2)
    estimates = assign(0.5 * truth.flip(0), named(truth), scale=False)
    torch.testing.assert_close(estimates["stem 0"], 0.5 * truth[0])


@pytest.mark.parametrize("scale", [True, False])
def test_no_other_choice_has_a_better_sum_of_sdr(scale):
    measure = si_sdr if scale else sdr
    truth = noises(3)
    components = torch.einsum(
        "jk,kct->jct",
        torch.rand(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4)),
        truth,
    )
    estimates = assign(components, named(truth), scale)

    def total(signals):
        return sum(float(measure(t, s)) for t, s in zip(truth, signals))

    best = max(total([components[j] for j in order]) for order in itertools.permutations(range(3)))
    assert total(estimates.values()) == pytest.approx(best, abs=1e-9)


def test_with_fewer_components_one_serves_several_stems():
    truth = noises(3)
    components = torch.stack([truth[0] + truth[1], truth[2]])
    estimates = assign(components, named(truth), scale=False)
    for name, expected in zip(named(truth), (0, 0, 1)):
        torch.testing.assert_close(estimates[name], components[expected])


def test_left_over_images_join_the_stem_they_belong_to():
    truth = noises(2)
    early, late = torch.arange(3000) < 1000, torch.arange(3000) >= 2000
    parts = [
        truth[0] * early,
        truth[1] * early,
        truth[0] * ~early,
        truth[1] * late,
        truth[1] * ~(early | late),
    ]
    estimates = assign(torch.stack(parts), named(truth), scale=False)
    for name, reference in named(truth).items():
        torch.testing.assert_close(estimates[name], reference)


def test_left_over_components_of_unknown_scale_are_left_out():
    truth = noises(2)
    estimates = assign(torch.stack([noises(1, seed=9)[0], 3 * truth[1], -truth[0]]), named(truth))
    for name, reference in named(truth).items():
        torch.testing.assert_close(estimates[name], reference)


def test_silence_is_assigned_without_nan():
    truth = noises(2)
    estimates = assign(torch.zeros_like(truth), named(truth))
    assert all(not x.any() for x in estimates.values())
    estimates = assign(
        truth, {"silent": torch.zeros_like(truth[0]), "sounding": truth[1]}, scale=False
    )
    torch.testing.assert_close(estimates["sounding"], truth[1])


def test_wrong_shapes_are_refused():
    with pytest.raises(
        SepkitError, match=r"'stem 0' has shape \(2, 3000\), a component \(1, 3000\)"
    ):
        assign(noises(2, channels=1), named(noises(2)))
    with pytest.raises(SepkitError, match="at least one of each"):
        assign(noises(2), {})


def test_images_are_contributions_and_sum_to_the_mixture():
    sources, A = (
        noises(1, channels=3)[0],
        torch.tensor([[1.0, 0.2, 0.1], [0.3, 0.9, 0.2], [0.1, 0.4, 1.0]], dtype=torch.float64),
    )
    # Any scale.
    unmixing = torch.diag(torch.tensor([-7.0, 0.01, 3.0], dtype=torch.float64)) @ torch.linalg.inv(
        A
    )
    images = project_back(unmixing, A @ sources)
    for j, image in enumerate(images):
        torch.testing.assert_close(image, A[:, j, None] * sources[j])
    torch.testing.assert_close(images.sum(0), A @ sources)
