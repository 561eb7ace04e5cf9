"""ResUNet: real-time factor of separation by network and threads, and steps of the student size.

    python tests/bench/bench_resunet.py [--threads 1 2] [--seconds 6] [--repeats 3] [--all]

Noise stands for music: the time does not depend on it. ``--all`` adds the paper's
full-band network, which takes half a minute a turn on one core. The real-time
factor is seconds of computing for a second of stereo at 44.1 kHz.
"""

import argparse
import statistics
import time

import torch

from sepkit.models import build
from sepkit.models.resunet import SIZES

RATE = 44100
NETWORKS = {
    "student": ("resunet-subbandtime", SIZES["student"]),
    "mobilenet": ("resunet-mobilenet", {}),
    "subbandtime": ("resunet-subbandtime", {}),
    "ismir2021": ("resunet-ismir2021", {}),
}


def median_seconds(run, repeats):
    """After one turn that does not count."""
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def real_time_factors(names, options):
    print(
        f"{'network':<14}{'parameters':>12}"
        + "".join(f"{f'{n} thread(s)':>14}" for n in options.threads)
    )
    mixture = 0.1 * torch.randn(1, 2, int(options.seconds * RATE))
    for name in names:
        kind, settings = NETWORKS[name]
        model = build(kind, **settings).eval()
        row = f"{name:<14}{sum(p.numel() for p in model.parameters()):>12,}"
        for threads in options.threads:
            torch.set_num_threads(threads)
            with torch.no_grad():
                seconds = median_seconds(lambda: model(mixture), options.repeats)
            row += f"{seconds / options.seconds:>14.3f}"
        print(row, flush=True)


def student_steps(options):
    torch.set_num_threads(options.threads[0])
    model = build("resunet-subbandtime", **SIZES["student"])
    optimiser = torch.optim.Adam(model.parameters(), 5e-4)
    print(f"\ntraining step of the student size, {options.threads[0]} thread(s)")
    for batch in (2, 4):
        mixture, target = 0.1 * torch.randn(2, batch, 2, 3 * RATE)

        def step():
            optimiser.zero_grad()
            model.loss(mixture, target).backward()
            optimiser.step()

        print(f"  batch {batch} of 3 s: {median_seconds(step, options.repeats):.2f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(0)
    real_time_factors([name for name in NETWORKS if options.all or name != "ismir2021"], options)
    student_steps(options)


if __name__ == "__main__":
    main()
