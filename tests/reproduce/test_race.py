"""The race: what is equal in it, and what is not."""

import pytest

from sepkit.models import build
from sepkit.models.registry import outline
from sepkit.reproduce.experiments import race


@pytest.fixture(scope="module")
def arms():
    return {arm.name: arm for arm in race.race("student").arms}


def test_every_network_is_there_with_equal_examples_and_with_equal_seconds(arms):
    recipe = race.race("student").recipe
    for name in race.NETWORKS:
        fair = [arms[name]] if name == "BSRNN" else [
            arms[f"{name}, {equal}"] for equal in ("equal examples", "equal seconds")
        ]  # fmt: skip
        recipes = [recipe.but(**arm.recipe) for arm in fair]
        shared = {(r.batch, r.chunk_seconds, r.loss, r.lr) for r in recipes}
        assert shared == {(4, 2.0, "nmse", 1e-3)}
        assert recipes[0].max_steps == race.STEPS and len({arm.model for arm in fair}) == 1
    assert len(arms) == 2 * len(race.NETWORKS) - 1


def test_equal_seconds_are_equal_to_half_a_step(arms):
    whole = race.STEPS * race.COSTS["BSRNN"]
    for name, cost in race.COSTS.items():
        if name != "BSRNN":
            steps = arms[f"{name}, equal seconds"].recipe["max_steps"]
            assert abs(steps * cost - whole) <= cost / 2
    assert race.steps_in("HTDemucs", 1) == 1  # none goes without


def test_attention_and_lstms_see_the_same_bands():
    lstms, attention = (
        build(network, target="vocals", **settings)
        for network, settings in (race.NETWORKS["BSRNN"], race.NETWORKS["BS-RoFormer"])
    )
    widths = sorted(high - low for low, high in attention.split.ranges)
    assert widths == sorted(width for width, bands in lstms.encoder.groups for _ in bands)
    assert lstms.stft.n_fft == attention.stft.n_fft and lstms.stft.hop == attention.stft.hop


@pytest.mark.parametrize("name", race.NETWORKS)
def test_the_networks_are_about_as_large_and_take_the_one_loss(name):
    network, settings = race.NETWORKS[name]
    made = outline(network, target="vocals", **settings)
    made.set_loss("nmse")
    assert 200_000 <= sum(p.numel() for p in made.parameters()) <= 400_000
    assert (made.sample_rate, made.channels) == (16000, 1)
