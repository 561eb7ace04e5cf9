"""What only a GPU can tell, in eight minutes on one: ``make check-gpu``.

Every network on the CPU and on the GPU, in float32, bfloat16 and compiled; training steps beside
the plain loops; whether the loader keeps the device busy, and what an epoch takes; NCCL; advice
when memory runs out; BSSEval on the device. One JSON file holds the figures, the goals and where
they come from. A part that fails, or for which no time is left, is named there and stops no other.

Nothing is downloaded. Beyond torch, scipy, typer, rich, filelock and safetensors, the parts that
need songs or training take wheels of soundfile, cffi, soxr, lightning-fabric and
lightning-utilities. ``--tiny --device cpu`` runs the same code within a minute.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from .. import files
from ..console import error_text, print_error, print_line
from ..device import resolve_device
from ..errors import SepkitError
from .check_gpu_parts import PARTS, Machine

#: Seconds: parts that have not begun by then are left out, and the last has a minute to end.
BUDGET = 420
SEED = 0
#: Part, figure in it, how it compares, bound: what is wanted of a GPU.
GOALS = (
    ("training steps", "bsrnn paper: sepkit / band by band", "at most", 0.7),
    ("loader", "busy", "at least", 0.9),
    ("epoch", "bf16-mixed: seconds for 5200 examples", "at most", 120.0),
    ("BSSEval", "largest difference (dB)", "at most", 1e-3),
)
NO_TIME = "not begun: no time was left"


def check(
    machine: Machine,
    out: Path,
    commit: str | None = None,
    clock: Callable[[], float] = time.monotonic,
    parts: Any = PARTS,
) -> dict[str, Any]:
    """Run all parts, and write what they found after each.

    Parameters
    ----------
    machine : Machine
        The device, and how much is to be done on it.
    out : Path
        The JSON file.
    commit : str, optional
        Of the code, where it is no checkout.
    clock : callable
        Seconds that never run backwards.
    parts : dict
        Name -> function of the machine.

    Returns
    -------
    dict
        What the file holds: provenance, parts, goals, and whether all parts are done.
    """
    begun = clock()
    machine.late = lambda: clock() - begun >= BUDGET
    facts = files.provenance("make check-gpu", device=str(machine.device), seed=SEED)
    report: dict[str, Any] = {
        "device": machine.name,
        "tiny": machine.tiny,
        "provenance": {**facts, **({"commit": commit} if commit else {})},
        "parts": {name: {"state": NO_TIME} for name in parts},
    }
    for name, part in parts.items():
        if machine.late():
            break
        torch.manual_seed(SEED)
        start = clock()
        try:
            found = {"state": "done", **part(machine)}
        except (SepkitError, OSError, RuntimeError, ImportError) as error:
            print_error(error)
            found = {"state": f"failed: {error_text(error)}"}
        report["parts"][name] = {**found, "seconds": round(clock() - start, 1)}
        print_line(f"{name}: {found['state']}, {clock() - start:.0f} s")
        report["complete"] = all(part["state"] == "done" for part in report["parts"].values())
        report["goals"] = list(judged(report["parts"]))
        files.write_json(out, report)  # whatever comes next
    return report


def judged(parts: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each of `GOALS` with what was found; `met` is None where nothing was."""
    for part, figure, how, bound in GOALS:
        value = parts.get(part, {}).get(figure)
        met = None if value is None else (value <= bound if how == "at most" else value >= bound)
        yield {
            "part": part,
            "figure": figure,
            "goal": f"{how} {bound:g}",
            "here": value,
            "met": met,
        }


def main() -> None:
    """What ``make check-gpu`` runs; the exit code is 1 unless all parts are done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/check-gpu.json"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a dry run with the smallest networks")
    parser.add_argument("--commit", help="of the code, where it is no checkout")
    arguments = parser.parse_args()
    try:
        device = resolve_device(arguments.device)
    except SepkitError as error:
        print_error(error)
        sys.exit(1)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="sepkit-", ignore_cleanup_errors=True) as work:
        report = check(Machine(device, arguments.tiny, Path(work)), arguments.out, arguments.commit)
    for goal in report["goals"]:
        met = {True: "met", False: "missed", None: "not measured"}[goal["met"]]
        told = "" if arguments.tiny else f": {met}"
        print_line(f"{goal['part']}, {goal['figure']}: {goal['here']} ({goal['goal']}){told}")
    print_line(f"{arguments.out}: {'complete' if report['complete'] else 'not complete'}")
    sys.exit(0 if report["complete"] else 1)


if __name__ == "__main__":
    main()
