import pytest
import torch

from sepkit import models
from sepkit.errors import SepkitError
from sepkit.recipes import _STUDENT, recipe_for


@pytest.mark.parametrize("name", _STUDENT)
def test_every_student_network_takes_a_step_of_its_recipe(name):
    """Built for one target, with the recipe's loss, on one of its chunks: gradients are finite."""
    recipe, settings = recipe_for(name)
    torch.manual_seed(0)
    model = models.build(name, target="vocals", **settings)
    if recipe.loss:
        model.set_loss(recipe.loss)
    assert model.targets == ("vocals",) and model.sample_rate == 44100
    assert sum(p.numel() for p in model.parameters()) < 3e6
    mixture = 0.1 * torch.randn(2, 2, int(recipe.chunk_seconds * 44100))  # chunks as they come
    loss = model.loss(mixture, 0.5 * mixture)
    loss.backward()
    grads = [p.grad for p in model.parameters() if p.requires_grad and p.grad is not None]  # torchaudio builds layers that it does not use
    assert loss.isfinite() and all(grad.isfinite().all() for grad in grads)
    assert len(grads) > 0.9 * sum(1 for _ in model.parameters()) and sum(float(grad.abs().sum()) for grad in grads) > 0


def test_paper_recipes_are_the_authors():
    assert recipe_for("open-unmix", "paper")[0].lr == 1e-3 and recipe_for("open-unmix", "paper")[1] == {}
    assert recipe_for("resunet-ismir2021", "paper")[0].max_steps == 500_000
    assert recipe_for("bsrnn", "paper")[0].chunk_seconds == 3.0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("demucs",), "unknown model 'demucs': choose from open-unmix"),
        (("bsrnn", "huge"), "unknown size 'huge': choose from student, paper"),
        (("tfc-tdf",), "tfc-tdf has no student size; choose --size paper, or one of open-unmix"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(SepkitError, match=message):
        recipe_for(*arguments)
