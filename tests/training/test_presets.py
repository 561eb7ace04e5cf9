import inspect
import math

import pytest
import torch

from sepkit import models
from sepkit.errors import SepkitError
from sepkit.models.registry import model_class
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


#: What the papers and their code say, row by row, over the recipe's defaults for what is not an
#: augmentation: those are listed whole, so that none is there by mistake.
PLAIN = dict(gains=None, gain_db=None, swap=0.0, polarity=0.0, silence=0.0, cut_seconds=None)
PAPERS = {
    # Stöter et al. 2019 and openunmix/train.py
    "open-unmix": dict(
        PLAIN,
        loss="mse",
        lr=1e-3,
        weight_decay=1e-5,
        batch=16,
        chunk_seconds=6.0,
        ema=None,
        schedule="plateau",
        lr_factor=0.3,
        lr_patience=80,
        lr_cooldown=10,
        epochs=1000,
        patience=140,
        gains=(0.25, 1.25),
        swap=0.5,
        mix_prob=1.0,
        samples_per_track=64,
    ),
    # Luo and Yu 2022, sections IV and V: 8 GPUs with 2 examples each
    "bsrnn": dict(
        PLAIN,
        loss="l1",
        lr=1e-3,
        weight_decay=0.0,
        batch=16,
        chunk_seconds=6.0,
        cut_seconds=3.0,
        schedule="epochs",
        decay=0.98,
        decay_every=2,
        warm_up=0,
        clip=5.0,
        ema=None,
        epochs=100,
        patience=10,
        activity=True,
        gain_db=(-10, 10),
        gain_prob=1.0,
        silence=0.1,
        normalise=True,
        mix_prob=1.0,
    ),
    # Kim et al. 2021; pitch and tempo are changed on disk beforehand
    "tfc-tdf": dict(
        PLAIN,
        loss="mse",
        optimiser="rmsprop",
        lr=2e-4,
        weight_decay=0.0,
        batch=8,
        ema=None,
        schedule="constant",
        mix_prob=1.0,
    ),
    # Kong et al. 2021 and bytedance/music_source_separation
    **dict.fromkeys(
        ("resunet-ismir2021", "resunet-subbandtime", "resunet-mobilenet"),
        dict(
            PLAIN,
            loss="l1",
            lr=1e-3,
            weight_decay=0.0,
            amsgrad=True,
            batch=16,
            chunk_seconds=3.0,
            schedule="steps",
            decay=0.9,
            decay_every=15_000,
            warm_up=1000,
            clip=None,
            ema=None,
            max_steps=500_000,
            mix_prob=1.0,
            mix_of="accompaniment",
            mix_audio=2,
        ),
    ),
    # Hennequin et al. 2020, configs/musdb_config.json
    "spleeter": dict(
        PLAIN,
        loss="magnitude-l1",
        lr=1e-4,
        weight_decay=0.0,
        batch=4,
        ema=None,
        mix_prob=0.0,
        schedule="constant",
        max_steps=1_000_000,
    ),
}
USUAL = dict(optimiser="adam", mix_of="stems", mix_audio=1, semitones=0.0, speech_prob=0.0)


@pytest.mark.parametrize("name", PAPERS)
def test_a_papers_size_has_the_papers_recipe(name):
    recipe, settings = recipe_for(name, "paper")
    own = inspect.signature(model_class(name)).parameters["loss"].default
    row = {**USUAL, **PAPERS[name]}
    found = {part: getattr(recipe, part) for part in row}
    assert {**found, "loss": recipe.loss or own} == row and settings == {}


#: What the authors of the others do and the training loop does not.
REFUSED = {
    "scnet": "all four targets at once, remixing within a batch",
    "hybrid-demucs": "changes of pitch and tempo",
    "conv-tasnet": "remixing within a batch",
    "wave-u-net": "all targets at once",
    "htdemucs": "800 songs that nobody else has",
    "bs-roformer": "a number of steps, which is not published",
    "mel-roformer": "a number of steps, which is not published",
    "deep-conv-sep": "AdaDelta",
    "moises-light": "of which the kit has read no source",
    "open-unmix-transformer": "the report has none",
    "open-unmix-waveform": "the report has none",
}


@pytest.mark.parametrize("name", models.MODELS)
def test_every_network_has_its_papers_recipe_or_says_what_is_missing(name):
    if "paper" in models.card(name).recipes:
        assert name in PAPERS
        return
    with pytest.raises(SepkitError, match=f"^{name} has no --size paper.*{REFUSED[name]}") as error:
        recipe_for(name, "paper")
    assert "choose --size student" in str(error.value) and "\n" not in str(error.value)


def rates(recipe, points):
    """The learning rate after these (steps, epochs)."""
    return [recipe.lr * lr_scale(recipe, step, epoch) for step, epoch in points]


def test_learning_rates_of_the_papers():
    """BSRNN: x 0.98 every 2 epochs; ResUNet: 1000 steps of warm-up, x 0.9 every 15,000."""
    bsrnn, resunet = (recipe_for(name, "paper")[0] for name in ("bsrnn", "resunet-ismir2021"))
    assert rates(bsrnn, [(0, 0), (10_000, 1), (20_000, 2), (990_000, 99)]) == pytest.approx(
        [1e-3, 1e-3, 0.98e-3, 0.98**49 * 1e-3]
    )
    points = [(0, 0), (500, 0), (1000, 0), (14_999, 1), (15_000, 1), (45_000, 4)]
    assert rates(resunet, points) == pytest.approx([0, 5e-4, 1e-3, 1e-3, 9e-4, 0.9**3 * 1e-3])


def test_lengths_of_the_papers():
    """10,000 batches an epoch with MUSDB18's 86 songs; chunks of 256 frames; steps, not epochs."""
    for name in ("bsrnn", "resunet-ismir2021"):
        recipe = recipe_for(name, "paper")[0]
        assert 86 * recipe.samples_per_track / recipe.batch == pytest.approx(10_000, rel=1e-3)
    assert recipe.epochs * 10_000 > recipe.max_steps and recipe.patience >= recipe.epochs
    assert int(recipe_for("tfc-tdf", "paper")[0].chunk_seconds * 44100) == 255 * 1024


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
                name in ("optimiser", "mix_of", "schedule", "precision", "log")
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
