"""Train the checkpoints that come with sepkit: ``make checkpoints``.

Renders the songs, trains the small networks of `SETS`, one for each target, stores
them in half precision, scores those of a model together on test songs whose voices,
kits and patterns were never trained on, and writes a manifest that says how.

Run it again to go on where it was stopped.
"""

import argparse
from pathlib import Path

import torch

from .. import evaluation, files, models, separation, training
from ..datasets import open_tracks
from ..errors import unknown
from ..metrics.scores import aggregate
from ..recipes import recipe_for

PRESET = "checkpoints"
#: Which networks, for which targets.
SETS = {"open-unmix": ("vocals", "drums", "bass", "other"), "bsrnn": ("vocals",), "resunet-subbandtime": ("vocals",)}
SEED = 0
SUMMARY = {"csdr": "median", "usdr": "mean", "si_sdr": "mean"}


def train_set(model, runs, out=None, device="auto", targets=None, **changes):
    """Train and store the networks of one model; score them once all are there.

    Parameters
    ----------
    model : str
        A key of `SETS`.
    runs : Path
        Training runs, one folder a target; they can be deleted afterwards.
    out : Path, optional
        Receives ``<target>.safetensors`` and ``manifest.json``; by default what sepkit ships.
    device : str
    targets : sequence of str, optional
        With fewer than all, several machines can share the work.
    **changes
        To the student's recipe, such as ``max_steps``.
    """
    if model not in SETS:
        raise unknown("set of checkpoints", model, SETS)
    recipe, settings = recipe_for(model)
    recipe = recipe.but(seed=SEED, **changes)
    out = Path(out or files.shipped("checkpoints", f"{model}-student"))
    songs = {split: open_tracks("band", split, preset=PRESET) for split in ("train", "valid", "test")}
    for target in targets or SETS[model]:
        torch.manual_seed(SEED)
        network = models.build(model, target=target, **settings)
        best = training.train(network, songs["train"], songs["valid"], runs / target, recipe, device, target)
        models.save(out / f"{target}.safetensors", models.load(best), extra=models.read_header(best)["extra"], half=True)
    if all((out / f"{target}.safetensors").is_file() for target in SETS[model]):
        write_manifest(model, out, settings, recipe, songs, device)


def write_manifest(model, out, settings, recipe, songs, device):
    """Score the stored networks on the test songs and write down all that made them."""
    separator = separation.get(out, device=device)
    made = {target: models.read_header(out / f"{target}.safetensors")["extra"] for target in SETS[model]}
    scores = evaluation.evaluate(separator, songs["test"], dataset="band", seed=SEED, profile="student")
    table = {target: {metric: _over_songs(scores, target, metric) for metric in SUMMARY} for target in SETS[model]}
    files.write_json(out / "manifest.json", {
        "size": "student",
        "model": model,
        "settings": settings,
        "recipe": recipe.__dict__,
        "data": {"name": "band", "preset": PRESET, "seed": SEED, **{split: len(tracks) for split, tracks in songs.items()}},
        "training": {t: {k: made[t][k] for k in ("epoch", "step", "seconds", "valid_loss")} for t in SETS[model]},
        "test scores (dB)": {"over songs": SUMMARY, **table},
        "files": {p.name: {"bytes": p.stat().st_size, "sha256": files.sha256(p)} for p in sorted(out.glob("*.safetensors"))},
        "provenance": files.provenance(command="make checkpoints", seed=SEED, device=device),
    })


def _over_songs(scores, target, metric):
    return round(aggregate([s for s in scores if (s.target, s.metric) == (target, metric)], SUMMARY[metric]), 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(SETS)}; all, if none is named")
    parser.add_argument("--runs", type=Path, default=Path("runs/checkpoints"))
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--targets", nargs="+", help="only these")
    arguments = parser.parse_args()
    changes = {} if arguments.steps is None else {"max_steps": arguments.steps}
    for model in arguments.models or SETS:
        train_set(model, arguments.runs / model, device=arguments.device, targets=arguments.targets, **changes)


if __name__ == "__main__":
    main()
