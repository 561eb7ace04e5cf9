"""The race: five networks that the field uses, with equal examples and with equal seconds.

They have 0.2 to 0.4 million parameters each and one loss. BS-RoFormer has the bands of BSRNN, so
that these two differ in what looks along time and along bands: attention, or LSTMs. One learning
rate for all: of 1e-3, 2e-3 and 4e-3 the first had the best validation loss after 132 and 200 steps
(BSRNN; BS-RoFormer, without the last; one seed); the others have it in their own recipes, or none.
Chapter 10.
"""

from typing import Any

from ...models.bands import band_edges
from ...training import STUDENT
from ...training.presets import recipe_for
from .design import Arm, Design

RATE, WINDOW = 16000, 1024
#: The network that the others are compared with.
FIRST = "BSRNN"
EXAMPLES, SECONDS = "equal examples", "equal seconds"
#: Steps of `FIRST`, and of all with equal examples.
STEPS = 500
_EDGES = band_edges("V4", WINDOW, RATE)
_AT: dict[str, Any] = dict(sample_rate=RATE, channels=1)
_STFT: dict[str, Any] = dict(n_fft=WINDOW, hop=512, **_AT)
#: name -> (network, settings).
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "BSRNN": ("bsrnn", dict(features=32, hidden=32, layers=3, mlp=64, split="V4", **_STFT)),
    "BS-RoFormer": (
        "bs-roformer",
        dict(
            bands=[high - low for low, high in zip(_EDGES, _EDGES[1:])],
            width=32,
            depth=3,
            heads=2,
            head_width=16,
            mask_growth=2,
            dropout=0.0,
            segment=2.0,
            **_STFT,
        ),
    ),
    "SCNet": (
        "scnet",
        dict(widths=(8, 16, 32), depths=(1, 1, 1), layers=2, window="hann", segment=2.0, **_STFT),
    ),
    "TFC-TDF": ("tfc-tdf", dict(bins=512, growth=8, depth=3, convolutions=1, **_STFT)),
    # Four stages of a quarter each need a window twice as long.
    "HTDemucs": (
        "htdemucs",
        dict(
            n_fft=2 * WINDOW,
            width=8,
            bottleneck=32,
            layers=3,
            heads=4,
            dropout=0.0,
            segment=2.0,
            **_AT,
        ),
    ),
}
#: Seconds of a training step, the fastest of five in a fresh process (`cost.seconds_of_a_step`):
#: one thread of an AMD EPYC with AVX2, torch 2.11. On other machines the ratios are others.
COSTS = {"BSRNN": 0.088, "BS-RoFormer": 0.076, "SCNet": 0.094, "TFC-TDF": 0.128, "HTDemucs": 0.206}
_RECIPE = STUDENT.but(
    batch=4, chunk_seconds=2.0, samples_per_track=25, lr=1e-3, clip=5.0, max_steps=STEPS
)


def race(profile: str, steps: int | None = None) -> Design:
    """Five networks after equal examples, and after as long as the first one's training takes.

    Parameters
    ----------
    profile : {"smoke", "student", "paper"}
        In the last, all have the sizes of their papers and BSRNN's recipe, with equal examples
        only: what a step costs depends on the GPU.
    steps : int, optional
        Of the first network, instead of `STEPS`: for a miniature.
    """
    if profile == "paper":
        recipe, _ = recipe_for("bsrnn", "paper")
        arms = tuple(Arm(_named(name), NETWORKS[name][0]) for name in NETWORKS)
        return Design("bsrnn", {}, recipe.but(loss="nmse"), arms, preset="paper")
    recipe, preset = _RECIPE, "experiments"
    if profile == "smoke":
        recipe, preset, steps = _RECIPE.but(samples_per_track=8), "smoke", steps or 2
    steps = steps or STEPS
    arms = (
        *(_arm(name, EXAMPLES, steps) for name in NETWORKS),
        *(_arm(name, SECONDS, steps_in(name, steps)) for name in NETWORKS if name != FIRST),
    )
    return Design("bsrnn", NETWORKS[FIRST][1], recipe, arms, preset=preset)


def steps_in(name: str, steps: int) -> int:
    """Steps that a network makes while the first one makes `steps`, by `COSTS`."""
    return max(1, round(steps * COSTS[FIRST] / COSTS[name]))


def _named(name: str, equal: str = EXAMPLES) -> str:
    return name if name == FIRST else f"{name}, {equal}"


def _arm(name, equal, steps):
    network, settings = NETWORKS[name]
    return Arm(_named(name, equal), network, settings, dict(max_steps=steps))
