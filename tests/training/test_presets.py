import math

import pytest
import torch

from sepkit import models
from sepkit.errors import SepkitError
from sepkit.training import Recipe
from sepkit.training.presets import recipe_for, students
from sepkit.training.recipe import PARTS
from sepkit.training.schedules import lr_scale


@pytest.mark.parametrize("name", students())
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
    grads = [
        p.grad for p in model.parameters() if p.requires_grad and p.grad is not None
    ]  # torchaudio builds layers that it does not use
    assert loss.isfinite() and all(grad.isfinite().all() for grad in grads)
    assert (
        len(grads) > 0.9 * sum(1 for _ in model.parameters())
        and sum(float(grad.abs().sum()) for grad in grads) > 0
    )


def sizes(recipe, points):
    """The learning rate after these (steps, epochs)."""
    return [recipe.lr * lr_scale(recipe, step, epoch) for step, epoch in points]


def test_paper_recipe_of_open_unmix_is_its_authors():
    """facts of Stöter et al. 2019; all other values are the defaults, tested with the loop."""
    recipe, settings = recipe_for("open-unmix", "paper")
    assert recipe == Recipe() and settings == {}


def test_paper_recipe_of_bsrnn_is_its_authors():
    """Luo and Yu 2022, sections IV and V."""
    recipe, _ = recipe_for("bsrnn", "paper")
    assert (recipe.chunk_seconds, recipe.cut_seconds, recipe.activity, recipe.mix_prob) == (
        6.0,
        3.0,
        True,
        1.0,
    )
    assert (recipe.gains, recipe.gain_db, recipe.gain_prob, recipe.silence, recipe.normalise) == (
        None,
        (-10, 10),
        1.0,
        0.1,
        True,
    )
    assert (recipe.batch, recipe.clip, recipe.epochs, recipe.patience, recipe.weight_decay) == (
        16,
        5.0,
        100,
        10,
        0.0,
    )
    assert 86 * recipe.samples_per_track / recipe.batch == pytest.approx(
        10_000, rel=1e-3
    )  # batches per epoch, with MUSDB18's songs
    assert sizes(recipe, [(0, 0), (10_000, 1), (20_000, 2), (990_000, 99)]) == pytest.approx(
        [1e-3, 1e-3, 0.98e-3, 0.98**49 * 1e-3]
    )


@pytest.mark.parametrize("name", ["resunet-ismir2021", "resunet-subbandtime"])
def test_paper_recipe_of_resunet_is_its_authors(name):
    """Kong et al. 2021 and their code: 1000 steps of warm-up, then 0.9 after every 15,000."""
    recipe, _ = recipe_for(name, "paper")
    assert (recipe.batch, recipe.chunk_seconds, recipe.max_steps, recipe.amsgrad, recipe.clip) == (
        16,
        3.0,
        500_000,
        True,
        None,
    )
    assert sizes(
        recipe, [(0, 0), (500, 0), (1000, 0), (14_999, 1), (15_000, 1), (45_000, 4)]
    ) == pytest.approx([0, 5e-4, 1e-3, 1e-3, 9e-4, 0.9**3 * 1e-3])
    assert (
        recipe.epochs * 86 * recipe.samples_per_track / recipe.batch > recipe.max_steps
    )  # the steps end it, not the epochs
    assert recipe.patience >= recipe.epochs


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


ODD = (
    0,
    -1,
    1.5,
    2.0,
    math.nan,
    math.inf,
    -math.inf,
    1e9,
    10**22,
    1e308,
    "x",
    "",
    "a" * 5000,
    True,
    None,
    [],
    [1],
    [1, 2],
    [2, 1],
    [0, math.inf],
    ["x", "y"],
    {},
    "\n",
)


@pytest.mark.parametrize("name", list(PARTS))
def test_any_value_of_a_part_is_fine_or_named_in_one_line(name):
    for value in ODD:
        try:
            recipe = Recipe().but(**{name: value})
        except SepkitError as error:
            assert "\n" not in str(error) and len(str(error)) < 300 + 5000 * (
                name in ("schedule", "precision", "log")
            )
        else:
            assert getattr(recipe, name) == (tuple(value) if name == "log" else value)


@pytest.mark.parametrize(
    "changes",
    [
        dict(lr_factor=-1),
        dict(lr_factor=1),
        dict(max_steps=1.5),
        dict(chunk_seconds=math.inf),
        dict(seed=2**32),
        dict(seed=-1),
        dict(lr=math.nan),
        dict(max_seconds=math.inf),
        dict(workers=10**22),
        dict(clip=0),
        dict(epochs=0.5),
        dict(activity="yes"),
    ],
)
def test_values_that_make_no_training_are_refused(changes):
    (name,) = changes
    with pytest.raises(SepkitError, match=f"^{name}=.* was expected$"):
        Recipe().but(**changes)


def test_whole_numbers_may_be_written_as_floats():
    recipe = Recipe(batch=4.0, max_steps=100.0)
    assert (recipe.batch, recipe.max_steps) == (4, 100) and isinstance(recipe.batch, int)
