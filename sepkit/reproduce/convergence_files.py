"""Writing the convergence files: ``make convergence``.

They are made of the logs of the trainings behind the stored experiments; the beginnings on the
smallest band, which CI verifies, are trained now.
"""

import argparse
import csv
import math
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from ..console import print_error
from ..errors import SepkitError
from ..files import provenance, shipped, write_json
from .convergence import LARGE, SMALL, STEPS, Curve, arms, beginning, names, songs_here
from .experiments import catalogue, stored
from .experiments.running import slug

FORMAT = "sepkit convergence 1"
#: Those whose beginnings on the smallest band CI verifies.
QUICK = ("mixing", "ablation")
_FACTS = ("commit", "command", "machine", "date", "torch", "device")


def write(name: str, runs: Path, seeds: int = 8, notice: Callable = print) -> Path:
    """Write the file of an experiment, from the logs of its trainings and from new beginnings.

    Parameters
    ----------
    name : str
    runs : Path
        Where ``sepkit experiment`` kept the trainings of what is stored.
    seeds : int
        Beginnings of the first arm on the smallest band.
    notice : callable

    Raises
    ------
    SepkitError
        If a log is not that of the stored Scores, or no arm can be begun again by itself.
    """
    design, scores = catalogue.design(name), stored()[name]
    if design is None or not arms(design):
        raise SepkitError(f"{name}: no arm begins with random weights and the band's songs alone")
    curves = {}
    for arm in arms(design):
        losses, steps = {}, []
        for score in scores:
            if score.separator == arm and str(score.provenance["seed"]) not in losses:
                log = _log_of(runs / name, arm, score)
                steps = [int(row["step"]) for row in log]
                losses[str(score.provenance["seed"])] = [row["valid_loss"] for row in log]
        curves[arm] = Curve(steps, losses)
        notice(f"{name}: {arm}, {len(losses)} seeds, {len(steps)} steps")
    facts = next(s.provenance for s in scores if s.separator in curves)
    presets = {LARGE: _preset(LARGE, curves, facts)}
    if name in QUICK:
        arm = next(iter(curves))
        made = [list(beginning(name, arm, seed, STEPS // 2, SMALL)) for seed in range(seeds)]
        losses = {str(seed): [loss for _, loss in rows] for seed, rows in enumerate(made)}
        curve = Curve([step for step, _ in made[0]], losses)
        about = provenance("make convergence", device="cpu")
        presets[SMALL] = _preset(SMALL, {arm: curve}, about)
    path = shipped("convergence") / f"{name}.json"
    write_json(path, {"format": FORMAT, "experiment": name, "presets": presets}, indent=None)
    return path


def _preset(preset, curves, about):
    rounded = {
        arm: asdict(
            Curve(c.steps, {s: [float(f"{x:.6g}") for x in own] for s, own in c.losses.items()})
        )
        for arm, c in curves.items()
    }
    made = {key: about[key] for key in _FACTS}
    return {**songs_here(preset), "provenance": made, "arms": rounded}


def _log_of(folder, arm, score):
    """The log of the training behind a Score."""
    best = score.provenance["valid_loss"]
    for path in sorted(folder.glob(f"{slug(arm)}-{score.provenance['seed']}*/log.csv")):
        with open(path, newline="") as file:
            log = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
        if any(math.isclose(row["valid_loss"], best, rel_tol=1e-9) for row in log):
            return log
    raise SepkitError(f"{folder}: no log of {arm!r} reaches the stored loss, {best}")


def main() -> None:
    """What ``make convergence`` runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="experiments; all if none is named"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/experiments"))
    arguments = parser.parse_args()
    try:
        for name in arguments.names or names():
            write(name, arguments.runs)
    except SepkitError as error:
        print_error(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
