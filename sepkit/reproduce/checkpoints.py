"""Train the checkpoints that come with sepkit: ``make checkpoints``.

Renders the songs, trains one small Open-Unmix for each of the four targets,
stores them in half precision, scores them together on test songs whose voices,
kits and patterns were never trained on, and writes a manifest that says how.

Run it again to go on where it was stopped.
"""

import argparse
from pathlib import Path

import torch

from .. import evaluation, files, models, separation, training
from ..datasets import open_tracks
from ..metrics.scores import aggregate

PRESET = "checkpoints"
TARGETS = ("vocals", "drums", "bass", "other")
SEED = 0
SUMMARY = {"csdr": "median", "usdr": "mean", "si_sdr": "mean"}


def train_set(runs, out, steps, device="auto", targets=TARGETS):
    """Train and store networks; score them once all four are there.

    Parameters
    ----------
    runs : Path
        Training runs, one folder a target; they can be deleted afterwards.
    out : Path
        Receives ``<target>.safetensors`` and ``manifest.json``.
    steps : int
        Training steps for each target.
    device : str
    targets : sequence of str
        With fewer than four, several machines can share the work.
    """
    recipe = training.STUDENT.but(max_steps=steps, seed=SEED)
    songs = {split: open_tracks("band", split, preset=PRESET) for split in ("train", "valid", "test")}
    for target in targets:
        torch.manual_seed(SEED)
        model = models.build("open-unmix", target=target, **training.STUDENT_MODEL)
        best = training.train(model, songs["train"], songs["valid"], runs / target, recipe, device, target)
        models.save(out / f"{target}.safetensors", models.load(best), extra=models.read_header(best)["extra"], half=True)
    if all((out / f"{target}.safetensors").is_file() for target in TARGETS):
        write_manifest(out, recipe, songs, device)


def write_manifest(out, recipe, songs, device):
    """Score the stored networks on the test songs and write down all that made them."""
    separator = separation.get(out, device=device)
    made = {target: models.read_header(out / f"{target}.safetensors")["extra"] for target in TARGETS}
    scores = evaluation.evaluate(separator, songs["test"], dataset="band", seed=SEED, profile="student")
    table = {target: {metric: _over_songs(scores, target, metric) for metric in SUMMARY} for target in TARGETS}
    files.write_json(out / "manifest.json", {
        "size": "student",
        "model": "open-unmix",
        "settings": training.STUDENT_MODEL,
        "recipe": recipe.__dict__,
        "data": {"name": "band", "preset": PRESET, "seed": SEED, **{split: len(tracks) for split, tracks in songs.items()}},
        "training": {t: {k: made[t][k] for k in ("epoch", "step", "seconds", "valid_loss")} for t in TARGETS},
        "test scores (dB)": {"over songs": SUMMARY, **table},
        "files": {p.name: {"bytes": p.stat().st_size, "sha256": files.sha256(p)} for p in sorted(out.glob("*.safetensors"))},
        "provenance": files.provenance(command="make checkpoints", seed=SEED, device=device),
    })


def _over_songs(scores, target, metric):
    return round(aggregate([s for s in scores if (s.target, s.metric) == (target, metric)], SUMMARY[metric]), 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/checkpoints"))
    parser.add_argument("--out", type=Path, default=files.shipped("checkpoints", "open-unmix-student"))
    parser.add_argument("--steps", type=int, default=training.STUDENT.max_steps)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS)
    arguments = parser.parse_args()
    train_set(arguments.runs, arguments.out, arguments.steps, arguments.device, arguments.targets)


if __name__ == "__main__":
    main()
