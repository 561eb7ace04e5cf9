"""What ``make checkpoints-gpu`` does with its nine minutes: budgets, songs, networks, recipes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

#: Seconds of the parts, in this order; with ten for the start of Python they are nine minutes.
BUDGET = {"test songs": 30, "songs": 90, "training": 335, "scores": 60, "manifest": 15}
#: Seconds of a training's process before its first step and after its last: start, hashes of the
#: songs, last validation.
OVERHEAD = 18
#: Seconds per song that Open-Unmix looks at all mixtures for, before its first step.
OVERHEAD_PER_SONG = {"open-unmix": 0.05}
SEED = 0
#: The songs: another seed than the band's presets have, and test songs as in "checkpoints".
SONGS = {"train": 300, "test": 12, "seconds": 20, "seed": 100, "test_seed": 0}
#: What all networks share, as changes of the student's recipe.
RECIPE: dict[str, Any] = {
    "precision": "bf16-mixed",
    "batch": 16,
    "chunk_seconds": 3.8,
    "cut_seconds": 3.0,
    "samples_per_track": 32,
    "gains": [0.25, 1.25],
    "vocals_gains": [0.3, 1.9],
    "vocals_semitones": 4,
    # The band is in tune to the cent; without this, what is not would count as a voice.
    "semitones": 1,
    "doubling": 0.4,
    "breath": 0.4,
    "schedule": "cosine",
    "max_steps": None,
    "epochs": 100_000,
    "patience": 100_000,
    "cache": None,
}


@dataclass(frozen=True)
class Network:
    """A network to train: how large, and for how long."""

    model: str
    target: str
    #: Seconds of its training, from the start of its process.
    seconds: float
    #: Changes of the student's settings.
    settings: Mapping[str, Any]
    #: Changes of `RECIPE`.
    recipe: Mapping[str, Any]
    #: Trainings of the same lane follow one another; the lanes run side by side.
    lane: int = 0

    @property
    def name(self) -> str:
        """Its file below the output folder, without the suffix."""
        return f"{self.model}/{self.target}"

    def overhead(self, songs: int) -> float:
        """Seconds of `seconds` in which it makes no step."""
        return OVERHEAD + OVERHEAD_PER_SONG.get(self.model, 0) * songs

    def train_command(self, songs: str, seconds: float, device: str, workers: int) -> list[str]:
        """The kit's command that trains it, for at most so many seconds."""
        recipe = {**RECIPE, "workers": workers, **self.recipe, "max_seconds": round(seconds, 1)}
        words = ["train", "--model", self.model, "--target", self.target, "--data", songs]
        for option, values in (("--setting", self.settings), ("--recipe", recipe)):
            for name, value in values.items():
                text = value if isinstance(value, str) else json.dumps(value)
                words += [option, f"{name}={text}"]
        return [*words, "--seed", str(SEED), "--device", device, "--out", f"runs/{self.name}"]


_UMX = {"hidden": 192, "hop": 2048}
#: All networks. The seconds of each lane sum up to at most those of "training".
NETWORKS = (
    Network("open-unmix", "vocals", 140, {"hidden": 320, "hop": 2048}, {"lr": 3e-3}),
    Network("open-unmix", "drums", 64, _UMX, {"lr": 3e-3}),
    Network("open-unmix", "bass", 64, _UMX, {"lr": 3e-3}),
    Network("open-unmix", "other", 64, _UMX, {"lr": 3e-3}),
    Network(
        "bsrnn",
        "vocals",
        140,
        {"features": 64, "hidden": 64, "layers": 6, "mlp": 128, "split": "V7"},
        {"lr": 1e-3, "samples_per_track": 16},
        lane=1,
    ),
    Network(
        "resunet-subbandtime",
        "vocals",
        100,
        {"widths": [32, 48, 64, 96, 128, 128]},
        {"lr": 5e-4, "samples_per_track": 16},
        lane=1,
    ),
    Network(
        "wave-u-net",
        "vocals",
        90,
        {"levels": 10, "filters": 16},
        {"lr": 1e-3, "samples_per_track": 16},
        lane=1,
    ),
)
#: What ``--tiny`` trains with, by model: the smallest sizes.
TINY_SETTINGS: dict[str, dict[str, Any]] = {
    "open-unmix": {"hidden": 8, "layers": 1, "hop": 2048},
    "bsrnn": {"features": 4, "hidden": 4, "layers": 1, "mlp": 4, "split": "V1"},
    "resunet-subbandtime": {"widths": [4, 4, 4, 4, 4, 4]},
    "wave-u-net": {"levels": 6, "filters": 2},
}
TINY_RECIPE = {"max_steps": 2, "batch": 2, "samples_per_track": 2}
TINY_SONGS = {"train": 4, "test": 1, "seconds": 6, "seed": 100, "test_seed": 0}


def tiny(network: Network) -> Network:
    """The smallest network of its model, trained for a few steps."""
    recipe = {**network.recipe, **TINY_RECIPE}
    return replace(network, settings=TINY_SETTINGS[network.model], recipe=recipe)
