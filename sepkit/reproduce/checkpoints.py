"""Train the checkpoints that come with sepkit: ``make checkpoints``.

Renders the songs, trains the small networks of `SETS`, one for each target, stores
them in half precision, scores those of a model together on test songs whose voices,
kits and patterns were never trained on, and writes a manifest that says how.

Run it again to go on where it was stopped. With ``--seeds 3`` each network is also
trained from other seeds, which are scored and not kept: the spread tells which
differences between networks are chance.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from .. import evaluation, files, models, separation, training
from ..datasets import Track, open_tracks
from ..errors import unknown
from ..metrics.scores import aggregate
from ..training import Recipe
from ..training.presets import recipe_for

PRESET = "checkpoints"
#: The voice is the hardest of the four, and the one that chapters listen to: a wider network, and
#: more steps.
VOCALS: dict[str, dict[str, Any]] = {
    "settings": {"hidden": 256},
    "recipe": {"max_steps": 8000, "lr": 3e-3, "samples_per_track": 32},
}
#: Which networks, for which targets, and how they differ from the student's recipe and settings.
SETS: dict[str, dict[str, dict[str, dict[str, Any]]]] = {
    "open-unmix": {"vocals": VOCALS, "drums": {}, "bass": {}, "other": {}},
    "bsrnn": {"vocals": {}},
    "resunet-subbandtime": {"vocals": {}},
}
SEED = 0
#: Split -> its songs.
Songs = dict[str, Sequence[Track]]
SUMMARY = {"csdr": "median", "usdr": "mean", "si_sdr": "mean"}


def train_set(
    model: str,
    runs: Path,
    out: Path | None = None,
    device: str = "auto",
    targets: Sequence[str] | None = None,
    seeds: int = 1,
    **changes: Any,
) -> None:
    """Train and store the networks of one model; score them once all are there.

    Parameters
    ----------
    model : str
        A key of `SETS`.
    runs : Path
        Training runs, one folder per target; they can be deleted afterwards.
    out : Path, optional
        Receives ``<target>.safetensors`` and ``manifest.json``; by default what sepkit ships.
    device : str
    targets : sequence of str, optional
        With fewer than all, several machines can share the work.
    seeds : int
        Trainings of each target; only the first is stored, the manifest has the scores of all.
    **changes
        To the recipe, such as ``max_steps``.
    """
    if model not in SETS:
        raise unknown("set of checkpoints", model, SETS)
    out = Path(out or files.shipped("checkpoints", f"{model}-student"))
    songs = {
        split: open_tracks("band", split, preset=PRESET) for split in ("train", "valid", "test")
    }
    for target in targets or SETS[model]:
        best = [
            train_one(model, target, seed, runs, songs, device, changes)
            for seed in range(SEED, SEED + seeds)
        ]
        network, extra = models.load(best[0]), models.read_header(best[0])["extra"]
        assert not isinstance(network, dict)  # a training has one network
        models.save(out / f"{target}.safetensors", network, extra=extra, half=True)
        if seeds > 1:
            steps = recipe_and_settings(model, target)[0].but(**changes).max_steps
            write_spread(out, target, best, steps, songs["test"], device)
    if all((out / f"{target}.safetensors").is_file() for target in SETS[model]):
        write_manifest(model, out, songs, device)


def recipe_and_settings(model: str, target: str) -> tuple[Recipe, dict[str, Any]]:
    """The recipe and the network's settings for one target."""
    recipe, settings = recipe_for(model)
    own = SETS[model][target]
    return recipe.but(**own.get("recipe", {})), {**settings, **own.get("settings", {})}


def train_one(
    model: str, target: str, seed: int, runs: Path, songs: Songs, device: str, changes: dict
) -> Path:
    """One training; the path of its best checkpoint."""
    recipe, settings = recipe_and_settings(model, target)
    torch.manual_seed(seed)
    network = models.build(model, target=target, **settings)
    folder = runs / (target if seed == SEED else f"{target}-seed{seed}")
    return training.train(
        network,
        songs["train"],
        songs["valid"],
        folder,
        recipe.but(seed=seed, **changes),
        device,
        target,
    )


def write_spread(
    out: Path, target: str, trained: Sequence[Path], steps: int, test: Sequence[Track], device: str
) -> None:
    """Score the networks of all seeds, each alone, and keep the means over the test songs."""
    means = []
    for path in trained:
        scores = evaluation.evaluate(
            separation.get(path, device=device), test, metrics=("usdr",), dataset="band"
        )
        means.append(_over_songs(scores, target, "usdr"))
    found = {
        "steps": steps,
        "usdr, mean over songs, each network alone (dB)": means,
        "test songs": len(test),
    }
    path = out / "seeds.json"
    files.write_json(path, {**(files.read_json(path) if path.is_file() else {}), target: found})


def write_manifest(model: str, out: Path, songs: Songs, device: str) -> None:
    """Score the stored networks on the test songs and write down all that made them."""
    separator = separation.get(out, device=device)
    made = {
        target: models.read_header(out / f"{target}.safetensors")["extra"] for target in SETS[model]
    }
    scores = evaluation.evaluate(
        separator, songs["test"], dataset="band", seed=SEED, profile="student"
    )
    table = {
        target: {metric: _over_songs(scores, target, metric) for metric in SUMMARY}
        for target in SETS[model]
    }
    kept = ("settings", "recipe", "provenance", "epoch", "step", "seconds", "valid_loss")
    files.write_json(
        out / "manifest.json",
        {
            "size": "student",
            "model": model,
            "data": {
                "name": "band",
                "preset": PRESET,
                "seed": SEED,
                **{split: len(tracks) for split, tracks in songs.items()},
            },
            "training": {
                target: {key: made[target][key] for key in kept} for target in SETS[model]
            },
            "test scores (dB)": {"over songs": SUMMARY, **table},
            "seeds": files.read_json(out / "seeds.json") if (out / "seeds.json").is_file() else {},
            "files": {
                p.name: {"bytes": p.stat().st_size, "sha256": files.sha256(p)}
                for p in sorted(out.glob("*.safetensors"))
            },
            "provenance": files.provenance(command="make checkpoints", seed=SEED, device=device),
        },
    )


def _over_songs(scores, target, metric):
    own = [score for score in scores if (score.target, score.metric) == (target, metric)]
    return round(aggregate(own, SUMMARY[metric]), 2)


def main() -> None:
    """What ``make checkpoints`` runs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help=f"of {', '.join(SETS)}; all, if none is named"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/checkpoints"))
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--targets", nargs="+", help="only these")
    parser.add_argument(
        "--seeds",
        type=int,
        default=1,
        help="trainings of each target; the manifest tells their spread",
    )
    arguments = parser.parse_args()
    changes = {} if arguments.steps is None else {"max_steps": arguments.steps}
    for model in arguments.models or SETS:
        train_set(
            model,
            arguments.runs / model,
            device=arguments.device,
            targets=arguments.targets,
            seeds=arguments.seeds,
            **changes,
        )


if __name__ == "__main__":
    main()
