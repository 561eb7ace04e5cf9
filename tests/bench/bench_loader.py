"""Examples per second from the loader, and how many a training step of each network takes.

    python tests/bench/bench_loader.py [--lasting 1.5] [--steps 2] [--no-demand]
        [--models open-unmix bsrnn ...]

Stereo at 44.1 kHz, four stems, examples of 3 s as the students' recipes have them. A
network trains on one thread. The loader's rate includes remixing (gains and exchange of channels),
which a training does too; "ready" is the same without it. On a GPU, a training with the
loader is then compared with the same step on a batch that is there already.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch

from sepkit import audio, models
from sepkit.datasets import open_tracks, remix
from sepkit.datasets.chunks import Chunks
from sepkit.datasets.loader import decoded, loader, throughput
from sepkit.training import presets
from sepkit.training.recipe import Recipe

RATE, STEMS = 44100, ("vocals", "drums", "bass", "other")
MODELS = (
    "open-unmix",
    "bsrnn",
    "resunet-subbandtime",
    "scnet",
    "wave-u-net",
    "conv-tasnet",
    "hybrid-demucs",
)
WORKERS, BATCHES, SECONDS = (0, 1, 2), (1, 4, 16), 3.0


def songs(folder, count=8, seconds=20):
    """Noise as wav files."""
    for song in range(count):
        for stem in STEMS:
            noise = torch.randn(2, seconds * RATE).clamp(-3, 3) / 4
            audio.write(folder / f"{song}" / f"{stem}.wav", noise, RATE, subtype="PCM_16")
    return open_tracks(folder)


def supply(kinds, lasting):
    """Print and return {(kind, workers, batch): examples per second}."""
    mix = remix.pipeline(Recipe(), STEMS, "vocals", RATE)
    print(
        f"examples of {SECONDS:g} s a second\n{'':24s}{'workers':>8s}"
        + "".join(f"{f'batch {batch}':>12s}" for batch in BATCHES)
        + f"{'ready, 16':>12s}"
    )
    rates = {}
    for kind, tracks in kinds.items():
        for workers in WORKERS:
            rows = throughput(
                tracks,
                (workers,),
                BATCHES,
                SECONDS,
                lambda stems: mix(stems, range(len(stems)), 0),
                lasting,
            )
            ready = throughput(tracks, (workers,), BATCHES[-1:], SECONDS, None, lasting)[0][
                "examples_per_second"
            ]
            rates.update(
                {(kind, workers, row["batch"]): row["examples_per_second"] for row in rows}
            )
            print(
                f"{kind:24s}{workers:8d}"
                + "".join(f"{row['examples_per_second']:12.1f}" for row in rows)
                + f"{ready:12.1f}",
                flush=True,
            )
    return rates


def trainer(name, size, device):
    """A network, its recipe, and what a step does with mixture and target."""
    plan, settings = presets.recipe_for(name, size)
    torch.manual_seed(0)
    network = models.build(name, target="vocals", **settings).to(device).train()
    if plan.loss:
        network.set_loss(plan.loss)
    optimiser = torch.optim.Adam(network.parameters())

    def step(mixture, target):
        optimiser.zero_grad()
        network.loss(mixture, target).backward()
        optimiser.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return plan, step


def demand(names, steps, rates):
    """Examples per second that each network takes, and how many times as many the loader has."""
    print(
        f"\nstudents' networks on one thread\n{'':24s}{'batch':>6s}{'s a step':>10s}"
        f"{'examples/s':>12s}{'wav, 2 workers':>16s}{'cache, 0':>10s}{'cache, 2':>10s}"
    )
    for name in names:
        plan, step = trainer(name, "student", "cpu")
        mixture = 0.1 * torch.randn(plan.batch, 2, int(plan.chunk_seconds * RATE))
        times = []
        for _ in range(steps + 1):
            began = time.perf_counter()
            step(mixture, 0.5 * mixture)
            times.append(time.perf_counter() - began)
        seconds = statistics.median(times[1:])
        wanted = plan.batch / seconds * plan.chunk_seconds / SECONDS
        nearest = min(BATCHES, key=lambda batch: abs(batch - plan.batch))
        surplus = [
            f"{rates[kind, workers, nearest] / wanted:.1f} x"
            for kind, workers in (("wav files", 2), ("cache", 0), ("cache", 2))
        ]
        print(
            f"{name:24s}{plan.batch:6d}{seconds:10.2f}{wanted:12.1f}{surplus[0]:>16s}{surplus[1]:>10s}{surplus[2]:>10s}",
            flush=True,
        )


def training(
    tracks,
    device="cuda",
    size="paper",
    names=("bsrnn", "open-unmix"),
    steps=30,
    counts=(2, 4, min(12, os.cpu_count())),
):
    """Examples per second of training: with the loader, and with one batch kept on the device."""
    print(
        f"\n{size} size on {device}, examples per second\n{'':24s}{'workers':>8s}"
        f"{'cached batch':>14s}{'with loader':>14s}{'ratio':>8s}"
    )
    for name in names:
        plan, step = trainer(name, size, device)
        mix = remix.pipeline(plan, STEMS, "vocals", RATE)
        for workers in counts:
            batches = loader(
                Chunks(tracks, plan.chunk_seconds, 10_000),
                plan.but(workers=workers),
                pin=device == "cuda",
            )

            def fetched():
                stems, indices = next(batches)
                return mix(stems.to(device, non_blocking=True), indices, 0)

            ready = fetched()
            rates = [
                plan.batch / seconds_a_step(step, source, steps)
                for source in (lambda: ready, fetched)
            ]
            print(
                f"{name:24s}{workers:8d}{rates[0]:14.1f}{rates[1]:14.1f}{rates[1] / rates[0]:8.2f}",
                flush=True,
            )


def seconds_a_step(step, source, steps):
    """The mean over `steps`, after three that warm up."""
    for number in range(steps + 3):
        if number == 3:
            began = time.perf_counter()
        step(*source())
    return (time.perf_counter() - began) / steps


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--lasting", type=float, default=1.5, help="seconds for each figure of the loader"
    )
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--models", nargs="*", default=MODELS)
    parser.add_argument("--no-demand", action="store_true", help="leave the networks out")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        tracks = songs(Path(folder) / "songs")
        mapped = decoded(tracks, Path(folder) / "cache", notice=None)
        rates = supply({"wav files": tracks, "cache": mapped}, options.lasting)
        if not options.no_demand:
            demand(options.models, options.steps, rates)
        if torch.cuda.is_available():
            training(mapped)


if __name__ == "__main__":
    main()
