"""Real-time factors by thread count; Open-Unmix live; a transformer against the LSTM.

    python tests/bench/bench_realtime.py [--seconds 6] [--threads 1 2] [--repeats 2]
        [--only PART ...] [--frames 255 1024 4096]

The real-time factor is the time that separation takes, over the length of the audio. Random
weights at the papers' sizes: the time does not depend on them. On one thread, processor time
is taken, so that a busy machine disturbs little; on several, wall time, which it disturbs much: the
table says how busy the machine was.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from sepkit import models
from sepkit.models.open_unmix_streaming import OpenUnmixStream
from sepkit.separation import ModelSeparator

CONTEXTS = ("open-unmix", "open-unmix-transformer", "open-unmix-transformer, plain attention")


def timed(run, repeats, clock):
    """The shortest time of a few, after a warm-up."""
    times = []
    for _ in range(repeats + 1):
        began = clock()
        run()
        times.append(clock() - began)
    return min(times[1:])


def table(options):
    """Every network that the registry builds, one target or as many as it has at once."""
    busy = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(
        f"\nreal-time factor, {options.seconds:g} s, the papers' sizes, {busy}"
        f"\n  {'':<24}{'parameters':>12}{'targets':>9}",
        end="",
    )
    print(
        "".join(f"{f'{threads} thread' + 's' * (threads > 1):>12}" for threads in options.threads)
    )
    for name in options.models or models.MODELS:
        torch.manual_seed(0)
        network = models.build(name)
        separator = ModelSeparator(network, device="cpu")
        audio = 0.1 * torch.randn(network.channels, int(options.seconds * network.sample_rate))
        print(
            f"  {name:<24}{sum(p.numel() for p in network.parameters()):>12,}"
            f"{len(network.targets):>9}",
            end="",
            flush=True,
        )
        for threads in options.threads:
            torch.set_num_threads(threads)
            clock = time.process_time if threads == 1 else time.perf_counter
            seconds = timed(lambda: separator.separate(audio), options.repeats, clock)
            print(f"{seconds / options.seconds:>12.3f}", end="", flush=True)
        print()


def live(options):
    """The unidirectional network in blocks of one hop, on one thread: cost per block, latency."""
    torch.set_num_threads(1)
    print(
        "\nlive, unidirectional, blocks of one hop, 1 thread\n  hidden  real-time "
        "factor   slowest block of 23.2 ms   latency"
    )
    for hidden in (128, 512):
        torch.manual_seed(0)
        stream = OpenUnmixStream(models.build("open-unmix", hidden=hidden, unidirectional=True))
        audio, costs = 0.1 * torch.randn(2, int(options.seconds * 44100)), []
        for block in audio.split(stream.hop, -1):
            began = time.process_time()
            stream.push(block)
            costs.append(time.process_time() - began)
        costs = costs[10:]
        factor = statistics.mean(costs) * 44100 / stream.hop
        print(
            f"  {hidden:>6}{factor:>18.3f}{1e3 * max(costs):>24.1f} ms{stream.latency_ms:>12.1f} ms"
        )


def context(options):
    """A training step of one network by sequence length: time, and the memory that it adds."""
    print(
        f"\ntraining step by sequence length, batch {options.batch}, "
        "paper's size, 1 thread: seconds, and GB added"
    )
    print(f"  {'':<42}" + "".join(f"{f'{frames} frames':>18}" for frames in options.frames))
    for name in CONTEXTS:
        print(f"  {name:<42}", end="")
        for frames in options.frames:
            arguments = ["--measure", name, "--frames", str(frames), "--batch", str(options.batch)]
            done = subprocess.run(
                [sys.executable, __file__, *arguments], capture_output=True, text=True
            )
            result = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
            print(
                f"{result['cpu']:>10.2f}{result['added']:>8.2f}" if result else f"{'failed':>18}",
                end="",
                flush=True,
            )
        print()


def resident(what):
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what)
    )
    return int(line.split()[1]) * 1024 / 1e9


def measure(name, frames, batch):
    """In a process of its own: two steps on random magnitudes, with an optimiser's state."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    name, _, plain = name.partition(", ")
    network = models.build(name)
    optimiser = torch.optim.Adam(network.parameters())

    def step(mixture):
        optimiser.zero_grad()
        with sdpa_kernel(SDPBackend.MATH) if plain else nullcontext():
            (network.magnitude(mixture) - 0.5 * mixture).square().mean().backward()
        optimiser.step()

    step(torch.rand(1, 2, 2049, 8))
    mixture = torch.rand(batch, 2, 2049, frames)
    before, began = resident("VmRSS"), time.process_time()
    step(mixture)
    return {"cpu": time.process_time() - began, "added": resident("VmHWM") - before}


PARTS = {"table": table, "live": live, "context": context}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--models", nargs="+", choices=models.MODELS)
    parser.add_argument("--frames", type=int, nargs="+", default=[255, 1024, 4096])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--measure", choices=CONTEXTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        return print(json.dumps(measure(options.measure, options.frames[0], options.batch)))
    for part in options.only:
        PARTS[part](options)


if __name__ == "__main__":
    main()
