"""Open-Unmix with the Wiener filter against its authors' package, with equal random weights.

    python tests/bench/bench_open_unmix_separator.py [--seconds 30] [--minutes 10] [--threads 1]
        [--repeats 3] [--only PART ...]

Time and memory against the package; a long recording through `separation.stream`; where the
time goes, and how near the LSTM comes to a plain matrix product; lower precision and
torch.compile, with the SDR they cost on a song of the band where the shipped networks are.

Each contender runs in a process of its own, in turns, and its processor time is taken, so
that a busy machine disturbs little. "Added" is the peak of the memory less what the process
had when it was ready to separate: Python, PyTorch and the weights.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from sepkit import models, separation
from sepkit.datasets import open_tracks
from sepkit.errors import SepkitError
from sepkit.metrics.sdr import sdr
from sepkit.models.precision import PRECISIONS

RATE = 44100
STEMS = ("vocals", "drums", "bass", "other")


def noise(seconds):
    return 0.1 * torch.randn(2, int(seconds * RATE), generator=torch.Generator().manual_seed(0))


def networks():
    torch.manual_seed(0)
    return {target: models.build("open-unmix", target=target).eval() for target in STEMS}


def contender(name, seconds):
    """A function that separates, and what it needs set up."""
    if name == "openunmix":
        from openunmix.model import OpenUnmix, Separator

        theirs = {target: OpenUnmix(nb_bins=2049, max_bin=1487) for target in STEMS}
        for target, net in networks().items():
            theirs[target].load_state_dict(net.state_dict())
        separator, audio = Separator(theirs, niter=1), noise(seconds)[None]
        separator.freeze()
        return lambda: separator.to_dict(separator(audio))
    separator = separation.ModelSeparator(networks(), device="cpu")
    if name == "sepkit":
        audio = noise(seconds)
        return lambda: separator.separate(audio)

    def long():
        for _ in separation.stream(separator, Noise(seconds)):
            pass

    return long


class Noise:
    """A recording that is made as it is read, so that only what separation needs is in memory."""

    name, sample_rate, stems = "noise", RATE, ()

    def __init__(self, seconds):
        self.samples = int(seconds * RATE)

    def mixture(self, start=0, frames=None):
        return noise(min(frames, self.samples - start) / RATE)


def resident(what):
    """Memory of this process in GB: VmRSS now, VmHWM at most."""
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what)
    )
    return int(line.split()[1]) * 1024 / 1e9


def measure(name, seconds, threads):
    """In a process of its own: processor and wall seconds, memory in GB."""
    torch.set_num_threads(threads)
    run = contender(name, seconds)
    before = resident("VmRSS")
    used, began = time.process_time(), time.perf_counter()
    with torch.no_grad():
        run()
    return {
        "cpu": time.process_time() - used,
        "wall": time.perf_counter() - began,
        "peak": resident("VmHWM"),
        "before": before,
    }


def in_turns(names, seconds, threads, repeats):
    """The medians of each, measured in turn."""
    results = {name: [] for name in names}
    for _ in range(repeats):
        for name in names:
            command = [
                sys.executable,
                __file__,
                "--measure",
                name,
                "--seconds",
                str(seconds),
                "--threads",
                str(threads),
            ]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"{name}: {done.stderr.strip().splitlines()[-1]}")
            results[name].append(json.loads(done.stdout.splitlines()[-1]))
    return {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for name, runs in results.items()
    }


def against_the_package(options):
    names = ["sepkit"] + (["openunmix"] if importlib.util.find_spec("openunmix") else [])
    medians = in_turns(names, options.seconds, options.threads, options.repeats)
    print(
        f"\nfour targets, niter 1, {options.seconds:g} s of stereo, {options.threads}"
        f" thread(s), median of {options.repeats}"
    )
    print(f"  {'':<12}{'CPU s':>8}{'of real time':>14}{'wall s':>8}{'peak GB':>9}{'added GB':>10}")
    for name, run in medians.items():
        print(
            f"  {name:<12}{run['cpu']:>8.2f}{run['cpu'] / options.seconds:>14.3f}"
            f"{run['wall']:>8.2f}{run['peak']:>9.2f}{run['peak'] - run['before']:>10.2f}"
        )
    if len(medians) == 2:
        ours, theirs = medians.values()
        added = (ours["peak"] - ours["before"]) / (theirs["peak"] - theirs["before"])
        print(
            f"  sepkit / openunmix: time {ours['cpu'] / theirs['cpu']:.2f} (at most 0.7 is "
            f"wanted), memory added {added:.2f} (0.5), peak {ours['peak'] / theirs['peak']:.2f}"
        )


def long_recording(options):
    run = in_turns(["stream"], 60 * options.minutes, options.threads, 1)["stream"]
    print(
        f"\n{options.minutes:g} minutes through separation.stream: peak {run['peak']:.2f} GB "
        f"(under 2 is wanted), {run['cpu'] / 60 / options.minutes:.3f} of real time"
    )


def timed(run, repeats):
    """The shortest processor time of a few."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times)


@torch.no_grad()
def breakdown(options):
    """Each part by itself, on the tensors it gets in the whole."""
    nets, audio = networks(), noise(options.seconds)
    separator = separation.ModelSeparator(nets, device="cpu")
    net = nets["vocals"]
    spectrum = net.stft(audio).contiguous()
    heard = spectrum.abs()
    magnitudes = torch.stack([nets[target].magnitude(heard[None])[0] for target in STEMS])
    separated = separation.wiener(magnitudes, spectrum, 1)
    frames = heard.shape[-1]
    hidden = torch.randn(frames, 1, 512)
    parts = {
        "STFT": lambda: net.stft(audio).contiguous().abs(),
        "LSTM, 4 targets": lambda: [net.lstm(hidden) for _ in STEMS],
        "rest of the networks": lambda: [net.magnitude(heard[None]) for _ in STEMS],
        "Wiener filter": lambda: separation.wiener(magnitudes, spectrum, 1),
        "inverse STFT, 4 targets": lambda: [
            net.stft.inverse(y, audio.shape[-1]) for y in separated
        ],
        "whole": lambda: separator.separate(audio),
    }
    seconds = {name: timed(run, options.repeats) for name, run in parts.items()}
    seconds["rest of the networks"] -= seconds["LSTM, 4 targets"]
    print(f"\nwhere the time goes, {options.seconds:g} s")
    for name, value in seconds.items():
        print(f"  {name:<26}{value:>8.3f} s{value / seconds['whole']:>8.0%}")
    # Three layers, two directions, four gates of 256 units, each from 512 inputs and 256 units;
    # two operations per weight.
    work = len(STEMS) * frames * 3 * 2 * 4 * 256 * (512 + 256) * 2
    left, right = torch.randn(frames, 768), torch.randn(768, 1024)
    product = 2 * frames * 768 * 1024 / timed(lambda: left @ right, 10 * options.repeats)
    # What a recurrence cannot avoid: frame by frame, so a vector times the weights, no matrix.
    vector, square = torch.randn(1, 256), torch.randn(256, 1024)
    step = (
        2
        * 256
        * 1024
        * 2000
        / timed(lambda: [vector @ square for _ in range(2000)], options.repeats)
    )
    rate = work / seconds["LSTM, 4 targets"]
    print(
        f"  LSTM {rate / 1e9:.0f} GFLOP/s; a product of {frames} frames with all weights "
        f"{product / 1e9:.0f} ({rate / product:.0%}); of one frame {step / 1e9:.0f}"
    )


@torch.no_grad()
def precisions(options):
    """Random weights at the paper's size for time; the shipped networks and a song for quality."""
    audio, kinds = (
        noise(10),
        [(kind, False) for kind in PRECISIONS] + ([("float32", True)] if options.compile else []),
    )
    song, shipped = band_song(), None
    if song:
        shipped = models.load("open-unmix")
    print(
        "\nprecision, one target of 10 s; SDR of the shipped networks on "
        f"{song.name if song else 'no song: sepkit data band'}, mean of the stems"
    )
    runs, first = {}, {}
    for kind in kinds:
        separator = separation.ModelSeparator(
            networks()["vocals"], device="cpu", precision=kind[0], compile=kind[1]
        )
        runs[kind] = lambda separator=separator: separator.separate(audio)
        began = time.perf_counter()
        runs[kind]()
        first[kind] = time.perf_counter() - began
    rounds = [
        {kind: timed(run, 1) for kind, run in runs.items()} for _ in range(3 * options.repeats)
    ]  # in turns
    for kind, compiled in kinds:
        title, fastest = (
            kind + (", compiled" if compiled else ""),
            min(t[kind, compiled] for t in rounds),
        )
        told = f"  {title:<20}{fastest:>8.3f} s"
        if song:
            joined = separation.ModelSeparator(
                shipped, device="cpu", precision=kind, compile=compiled
            )
            estimates = joined.separate(song.mixture())
            values = [float(sdr(song.stem(t), estimates[t])) for t in estimates]
            told += f"   SDR {statistics.mean(values):.4f} dB"
        print(
            told + (f"   (first call {first[kind, compiled]:.0f} s)" if compiled else ""),
            flush=True,
        )


def band_song():
    try:
        return open_tracks("band", "test", sample_rate=RATE, channels=2, preset="smoke")[0]
    except SepkitError:
        return None


PARTS = {
    "package": against_the_package,
    "long": long_recording,
    "breakdown": breakdown,
    "precision": precisions,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--compile", action="store_true", help="Also torch.compile, which takes minutes."
    )
    parser.add_argument(
        "--measure", choices=("sepkit", "openunmix", "stream"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.measure:
        return print(json.dumps(measure(options.measure, options.seconds, options.threads)))
    torch.set_num_threads(options.threads)
    for part in options.only:
        PARTS[part](options)


if __name__ == "__main__":
    main()
