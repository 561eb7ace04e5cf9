"""Remixing a batch in one pass against example by example, and against a training step.

    python tests/bench/bench_remix.py [--batch 8] [--seconds 3] [--repeats 15] [--threads 1]
        [--no-step]

Stereo at 44.1 kHz, four stems. The contenders take turns, so that a busy machine slows all
alike; the tables show medians, and ratios to the first line: sepkit's plain remix in the first,
the remix without effects in the second. On the CPU, processor time is taken.
"""

import argparse
import statistics
import time

import torch

from sepkit import models
from sepkit.datasets import remix
from sepkit.datasets.remix import Draws
from sepkit.models.open_unmix import SIZES
from sepkit.training.recipe import STUDENT, Recipe

STEMS, RATE = ("vocals", "drums", "bass", "other"), 44100
#: What else can be done, each always or as often as in the defaults.
EFFECTS = {
    "playback rate of every stem": dict(semitones=4.0),
    "doubling": dict(doubling=1.0),
    "breath": dict(breath=1.0),
    "equaliser": dict(equaliser=1.0),
    "drive": dict(drive=1.0),
    "reverb": dict(reverb=1.0),
    "all of these": dict(
        semitones=4.0, doubling=1.0, breath=1.0, equaliser=1.0, drive=1.0, reverb=1.0
    ),
    "all, vocals 2 in 5, stems 1 in 5": dict(
        semitones=4.0, doubling=0.4, breath=0.4, equaliser=0.2, drive=0.2, reverb=0.2
    ),
}
BSRNN = dict(gains=None, gain_db=(-10, 10), gain_prob=0.5, polarity=0.5, silence=0.1)


class Noise:
    """Utterances that lie in memory."""

    sample_rate = RATE

    def __init__(self):
        self._all = 0.1 * torch.randn(4, 1, 3 * RATE)

    def __len__(self):
        return len(self._all)

    def utterance(self, index):
        return self._all[index]


def by_example(stems, indices, epoch):
    """Gain and exchange per stem and example, summed and stacked: as a data set without batches."""
    draws = Draws(42, epoch, indices)
    gains, swaps = (
        draws.uniform("gain", len(STEMS)).tolist(),
        draws.uniform("swap", len(STEMS)).tolist(),
    )
    pairs = []
    for example, its_gains, its_swaps in zip(stems, gains, swaps, strict=True):
        draws_of = zip(example, its_gains, its_swaps, strict=True)
        parts = [
            (part.flip(0) if swap < 0.5 else part) * (0.25 + gain) for part, gain, swap in draws_of
        ]
        pairs.append((sum(parts), parts[0]))
    return tuple(torch.stack(side) for side in zip(*pairs, strict=True))


def by_augmentation(pipeline):
    """The pipeline's own augmentations, each writing a batch of stems."""

    def run(stems, indices, epoch):
        draws = Draws(pipeline.seed, epoch, indices, pipeline.mix_prob)
        for item in pipeline.augmentation.objects:
            stems = item(stems, draws)
        return remix.mix_down(stems, pipeline.target_index)

    return run


def training_step(batch, seconds, device):
    """A step of the student-size Open-Unmix on a ready batch."""
    torch.manual_seed(0)
    network = models.build("open-unmix", **SIZES["student"]).to(device)
    network.set_loss(STUDENT.loss)
    optimiser = torch.optim.Adam(network.parameters())
    mixture = 0.1 * torch.randn(batch, 2, int(seconds * RATE), device=device)

    def run():
        optimiser.zero_grad()
        network.loss(mixture, 0.5 * mixture).backward()
        optimiser.step()

    return run


def compare(device, contenders, repeats):
    """Run them in turn; the first is sepkit's."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    seconds = {name: [] for name in contenders}
    for turn in range(repeats + 2):
        for name, run in contenders.items():
            began = clock()
            run(turn)
            if device == "cuda":
                torch.cuda.synchronize()
            if turn > 1:  # the first turns warm up
                seconds[name].append(clock() - began)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ours = next(iter(medians.values()))
    for name, median in medians.items():
        print(f"{device:<6}{name:<46}{1e3 * median:>9.2f} ms{median / ours:>8.2f} x", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-step", action="store_true", help="leave the training step out")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names, speech = range(options.batch), Noise()

    def pipeline(**recipe):
        return remix.pipeline(
            Recipe(chunk_seconds=2 * options.seconds, **recipe), STEMS, "vocals", RATE, speech
        )

    umx, bsrnn = pipeline(), pipeline(**BSRNN)
    cut = dict(cut_seconds=options.seconds, mix_prob=0.5)
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        long = 0.1 * torch.randn(
            options.batch, len(STEMS), 2, int(2 * options.seconds * RATE), device=device
        )
        stems = long[..., : int(options.seconds * RATE)].clone()
        contenders = {
            "gain, swap": lambda turn: umx(stems, names, turn),
            "  example by example": lambda turn: by_example(stems, names, turn),
            "  one augmentation after the other": lambda turn: by_augmentation(umx)(
                stems, names, turn
            ),
            "gain in dB, swap, polarity, silence": lambda turn: bsrnn(stems, names, turn),
            "  these one after the other": lambda turn: by_augmentation(bsrnn)(stems, names, turn),
        }
        for title, recipe in {
            "  + chunk in chunk": {**BSRNN, **cut},
            "  + normalisation": {**BSRNN, **cut, "normalise": True},
            "  + speech in 3 of 10": {**BSRNN, **cut, "normalise": True, "speech_prob": 0.3},
        }.items():
            run = pipeline(**recipe)
            contenders[title] = lambda turn, run=run: run(long, names, turn)
        contenders["the draws alone, six names"] = lambda turn: [
            Draws(1, turn, names).uniform(name, 5) for name in "abcdef"
        ]
        if not options.no_step:
            step = training_step(options.batch, options.seconds, device)
            contenders["a training step, student-size Open-Unmix"] = lambda turn: step()
        compare(device, contenders, options.repeats)
        contenders = {
            "gain, swap, chunk in chunk": lambda turn, run=pipeline(**cut): run(long, names, turn)
        }
        for title, recipe in EFFECTS.items():
            run = pipeline(**cut, **recipe)
            contenders[f"  + {title}"] = lambda turn, run=run: run(long, names, turn)
        compare(device, contenders, options.repeats)


if __name__ == "__main__":
    main()
