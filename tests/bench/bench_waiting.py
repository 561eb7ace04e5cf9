"""How long OpenMP's threads spin before they sleep: separation and training, alone and beside work.

    python tests/bench/bench_waiting.py [--busy 0 1 2] [--seconds 3]

`sepkit` sets a short spin (see ``sepkit/__init__.py``). Every row is a process of its own, with two
threads, beside so many other processes that only compute. Seconds, the median of five turns; in
brackets relative to the kit's setting, of the same number of busy processes.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

SETTINGS = {
    "sleep at once": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"},
    "sepkit": {},
    "OpenMP's own": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "300000"},
}
WORK = ("open-unmix", "resunet-subbandtime", "bsrnn", "a training step")


def measure(seconds):
    """Print the seconds of each of `WORK`."""
    import torch

    from sepkit import models
    from sepkit.separation import ModelSeparator

    torch.set_num_threads(2)
    mixture = 0.1 * torch.randn(2, int(44100 * seconds))
    batch = 0.1 * torch.randn(4, 2, 3 * 44100)

    def once(name):
        if name != "a training step":
            separator = ModelSeparator(models.load(name)["vocals"], device="cpu")
            return lambda: separator.separate(mixture)
        net = models.load("open-unmix")["vocals"].train()
        return lambda: net.loss(batch, 0.5 * batch).backward()

    for name in WORK:
        work, turns = once(name), []
        for _ in range(6):
            began = time.perf_counter()
            work()
            turns.append(time.perf_counter() - began)
        print(statistics.median(turns[1:]))


def run(setting, seconds):
    """The seconds of each of `WORK`, measured in a new process."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, __file__, "--measure", "--seconds", str(seconds)]
    found = subprocess.run(
        command, env=clean | SETTINGS[setting], check=True, capture_output=True, text=True
    )
    return [float(line) for line in found.stdout.split()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        return measure(args.seconds)
    print(f"{'busy':>4s}  {'threads':14s}" + "".join(f"{name:>24s}" for name in WORK))
    for number in args.busy:
        endless = [sys.executable, "-c", "while True: pass"]
        others = [subprocess.Popen(endless) for _ in range(number)]
        try:
            found = {setting: run(setting, args.seconds) for setting in SETTINGS}
        finally:
            for other in others:
                other.kill()
        for setting, times in found.items():
            cells = (f"{t:.3f} ({t / ours:.2f})" for t, ours in zip(times, found["sepkit"]))
            print(f"{number:4d}  {setting:14s}" + "".join(f"{cell:>24s}" for cell in cells))


if __name__ == "__main__":
    main()
