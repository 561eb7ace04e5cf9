"""Separation of a file by chunk length: real-time factor, processor time, memory, distance.

    python tests/bench/bench_separation.py [--seconds 120] [--chunks 5 10 30 60 0] [--threads 2]

A chunk of 0 is the whole file at once. Every measurement runs in a process of its
own, so that its peak memory is its own; "import" shows what the packages take. The
networks have random weights unless checkpoints are shipped, which changes neither
time nor memory. "dB to whole" is the SDR of the chunked estimates against those of
the whole file, the worst of the targets: the price of chunks.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from sepkit import audio, models, separation
from sepkit.errors import SepkitError
from sepkit.metrics.sdr import sdr

RATE = 44100
STEMS = ("vocals", "drums", "bass", "other")


def separators():
    """name -> function that builds the separator."""
    return {
        "mixture": lambda: separation.get("mixture"),
        "open-unmix, student": student,
        "open-unmix, paper": lambda: joined(),
    }


def student():
    try:
        return separation.get("open-unmix", "cpu")
    except SepkitError:
        return joined(hidden=128)


def joined(**settings):
    torch.manual_seed(0)
    return separation.ModelSeparator(
        {target: models.build("open-unmix", target=target, **settings) for target in STEMS},
        device="cpu",
    )


def make_file(path, seconds):
    """Chords with a new tone every half second, and noise that comes and goes."""
    with audio.Writer(path, RATE, 2, subtype="PCM_16") as out:
        generator = torch.Generator().manual_seed(0)
        t = torch.arange(RATE // 2) / RATE
        for _ in range(int(2 * seconds)):
            pitch = 110 * 2 ** torch.randint(0, 25, (3, 1), generator=generator).div(12.0)
            chord = torch.sin(2 * torch.pi * pitch * t).sum(0) * torch.exp(-3 * t)
            burst = torch.randn(2, len(t), generator=generator) * torch.exp(-20 * t)
            out.write(0.1 * chord + 0.1 * burst)


def measure(name, path, out, chunk, threads):
    """One run: seconds, processor seconds and peak memory (GB), printed for the parent."""
    torch.set_num_threads(threads)
    separator = separators()[name]()
    began, used = time.perf_counter(), time.process_time()
    if path != "none":
        separation.separate_file(
            path, separator, out, chunk=chunk or None, overlap=min(3.0, chunk / 4)
        )
    print(time.perf_counter() - began, time.process_time() - used, peak_memory())


def peak_memory():
    """This process's peak resident memory, in GB."""
    if Path(
        "/proc/self/status"
    ).exists():  # getrusage also counts what the parent held when it forked
        line = next(
            line
            for line in Path("/proc/self/status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
        return int(line.split()[1]) * 1024 / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1e9 if sys.platform == "darwin" else 1e6
    )


def run(name, path, out, chunk, threads):
    command = [
        sys.executable,
        __file__,
        "--measure",
        name,
        str(path),
        str(out),
        str(chunk),
        "--threads",
        str(threads),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name}, chunk {chunk}: {done.stderr.strip().splitlines()[-1]}")
    return [float(value) for value in done.stdout.split()]


def distance(folder, whole):
    """The worst SDR of a folder's stems against another's."""
    pairs = [
        (audio.read(whole / path.name)[0], audio.read(path)[0])
        for path in sorted(folder.glob("*.wav"))
    ]
    return min(float(sdr(*pair)) for pair in pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--chunks", type=float, nargs="+", default=[5, 10, 30, 60, 0])
    parser.add_argument("--only", nargs="+", choices=separators(), default=list(separators()))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, path, out, chunk = options.measure
        return measure(name, path, out, float(chunk), options.threads)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        make_file(folder / "song.wav", options.seconds)
        print(
            f"{options.seconds:g} s stereo at {RATE} Hz, {options.threads} threads; import "
            f"{run('mixture', 'none', folder, 0, 1)[2]:.2f} GB"
        )
        print(
            f"{'separator':<22}{'chunk':>8}{'RTF':>9}{'CPU s/s':>9}"
            f"{'peak GB':>9}{'dB to whole':>13}"
        )
        for name in options.only:
            for chunk in sorted(
                options.chunks, key=lambda c: c != 0
            ):  # the whole first, for the comparison
                out = folder / name / f"{chunk:g}"
                seconds, used, peak = run(name, folder / "song.wav", out, chunk, options.threads)
                has_whole = (folder / name / "0").is_dir() and chunk
                decibels = (
                    f"{distance(out / 'song', folder / name / '0' / 'song'):13.1f}"
                    if has_whole
                    else " " * 12 + "-"
                )
                label = f"{chunk:g} s" if chunk else "whole"
                print(
                    f"{name:<22}{label:>8}{seconds / options.seconds:>9.3f}"
                    f"{used / options.seconds:>9.3f}{peak:>9.2f}{decibels}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
