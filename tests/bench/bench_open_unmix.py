"""Open-Unmix: training and inference against the authors' package, losses, data.

    python tests/bench/bench_open_unmix.py [--threads 1] [--repeats 5] [--full]

Noise stands for music: the time does not depend on it. The contenders take
turns, so that a busy machine slows all alike; the tables show medians and
ratios to the first. ``--full`` adds the paper's size.
"""

import argparse
import importlib.util
import statistics
import tempfile
import time
from pathlib import Path

import torch

from sepkit import audio
from sepkit.datasets import open_tracks
from sepkit.datasets.chunks import Chunks
from sepkit.datasets.loader import decoded, loader
from sepkit.models import build
from sepkit.models.open_unmix import SIZES
from sepkit.training import STUDENT

RATE = 44100
STEMS = ("vocals", "drums", "bass", "other")


def turns(contenders, repeats):
    """Median seconds of each, measured in turn after a warm-up."""
    seconds = {name: [] for name in contenders}
    for turn in range(repeats + 1):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def table(title, medians, note=lambda name, seconds: ""):
    print(f"\n{title}")
    first = next(iter(medians.values()))
    for name, seconds in medians.items():
        print(
            f"  {name:<34}{seconds * 1e3:>10.1f} ms{seconds / first:>8.2f} x  {note(name, seconds)}"
        )


def step(model, batch, seconds):
    """One training step on noise, as a function."""
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    mixture, target = 0.1 * torch.randn(2, batch, 2, int(seconds * RATE))

    def run():
        optimiser.zero_grad()
        model.loss(mixture, target).backward()
        optimiser.step()

    return run


def sizes(repeats):
    """Steps of the student network, by batch and chunk."""
    shapes = {f"batch {b}, {s:g} s": (b, s) for b, s in ((8, 3.0), (4, 3.0), (16, 3.0), (8, 6.0))}
    steps = {
        name: step(build("open-unmix", **SIZES["student"], loss="nmse"), *shape)
        for name, shape in shapes.items()
    }

    def note(name, seconds):
        batch, length = shapes[name]
        return f"{1 / seconds:5.2f} steps/s, {batch * length / seconds:5.0f} s of audio a second"

    table("training step, student network (nmse)", turns(steps, repeats), note)


def losses(repeats):
    steps = {
        kind: step(build("open-unmix", **SIZES["student"], loss=kind), 4, 3.0)
        for kind in ("mse", "l1", "nmse", "dual")
    }
    table("training step by loss, batch 4, 3 s", turns(steps, repeats))


def peer(settings, name, repeats):
    """Network alone, forward and backward, and inference from audio to audio."""
    ours = build("open-unmix", **settings)
    contenders = {"sepkit": ours}
    if importlib.util.find_spec("openunmix"):
        from openunmix.model import OpenUnmix

        contenders["openunmix"] = OpenUnmix(
            nb_bins=ours.bins,
            hidden_size=ours.settings["hidden"],
            nb_layers=ours.settings["layers"],
            max_bin=ours.bins_seen,
        )
        contenders["openunmix"].load_state_dict(ours.state_dict())
    mixture = torch.rand(4, 2, ours.bins, 126)

    def backward(network):
        return lambda: network(mixture).square().mean().backward()

    runs = {
        key: backward(ours.magnitude if model is ours else model)
        for key, model in contenders.items()
    }
    table(f"forward and backward, {name}, batch 4, 126 frames", turns(runs, repeats))

    song = 0.1 * torch.randn(1, 2, 30 * RATE)
    ours.eval()

    def separate():
        with torch.no_grad():
            ours(song)

    table(
        f"one target of 30 s, {name}",
        turns({"sepkit": separate}, max(1, repeats // 2)),
        lambda _, seconds: f"{seconds / 30:.3f} of real time",
    )


def data(repeats):
    """What an epoch's examples cost, from files and from the cache, beside a training step."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for song in range(4):
            for stem in STEMS:
                noise = torch.randn(2, 20 * RATE).clamp(-3, 3) / 4
                audio.write(
                    root / "songs" / f"{song}" / f"{stem}.wav", noise, RATE, subtype="PCM_16"
                )
        tracks = open_tracks(root / "songs")
        kinds = {
            "files": tracks,
            "files at 22.05 kHz (resampled)": open_tracks(root / "songs", sample_rate=22050),
            "cache in memory": decoded(tracks),
            "cache in a folder": decoded(tracks, root / "cache"),
        }

        def batches(kind, workers):
            chunks = Chunks(kind, STUDENT.chunk_seconds, per_track=16)
            return lambda: [None for _ in loader(chunks, STUDENT.but(workers=workers))]

        runs = {
            "training step": step(
                build("open-unmix", **SIZES["student"], loss="nmse"),
                STUDENT.batch,
                STUDENT.chunk_seconds,
            )
        }
        runs.update({f"{name}, 0 workers": batches(kind, 0) for name, kind in kinds.items()})
        runs["files, 1 worker"] = batches(tracks, 1)
        medians = turns(runs, repeats)
        medians = {
            name: seconds / (1 if name == "training step" else 8)
            for name, seconds in medians.items()
        }
        table(f"a batch of {STUDENT.batch} examples of {STUDENT.chunk_seconds:g} s", medians)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(f"{options.threads} thread(s), 44.1 kHz stereo")
    sizes(options.repeats)
    losses(options.repeats)
    peer(SIZES["student"], "student", options.repeats)
    if options.full:
        peer({}, "paper", options.repeats)
    data(options.repeats)


if __name__ == "__main__":
    main()
