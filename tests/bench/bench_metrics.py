"""Scores of four stereo stems against museval, on filtered noise at 44.1 kHz.

    python tests/bench/bench_metrics.py [--seconds 30 60 120] [--repeats 3] [--threads 2]

CPU seconds and peak memory. Each contender runs in a process of its own, in turns, so
that a busy machine slows all alike; the table shows medians and how many times more
museval needs. It is left out where it or ffmpeg is missing.
"""

import argparse
import importlib.util
import json
import resource
import statistics
import subprocess
import sys

import numpy as np
import torch

RATE, STEMS = 44100, 4
NAMES = {
    "sdr": "SDR, sepkit",
    "four": "SDR ISR SIR SAR, sepkit",
    "museval": "SDR ISR SIR SAR, museval",
}


def stems(seconds):
    generator = torch.Generator().manual_seed(0)
    references = 0.1 * torch.randn(STEMS, 2, int(seconds * RATE), generator=generator)
    estimates = 0.02 * torch.randn(references.shape, generator=generator)
    for j in range(STEMS):
        estimates[j] += references[j] + 0.3 * references[j - 1]
    return references, estimates


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(name, seconds, threads):
    """Run in a process of its own: CPU seconds, MB and the median of each figure."""
    torch.set_num_threads(threads)
    references, estimates = stems(seconds)
    if name == "museval":
        import museval

        references, estimates = (
            x.numpy().astype(np.float64).swapaxes(1, 2) for x in (references, estimates)
        )
        run = lambda: museval.evaluate(references, estimates, win=RATE, hop=RATE)  # noqa: E731
    else:
        from sepkit.metrics import bss_eval, framewise_sdr

        run = {
            "sdr": lambda: [framewise_sdr(references, estimates, RATE)],
            "four": lambda: bss_eval(references, estimates, RATE),
        }[name]
    start = cpu()
    values = run()
    spent = cpu() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {
        "cpu": spent,
        "peak": peak,
        "values": [np.nanmedian(np.asarray(x), -1).tolist() for x in values],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[30.0, 60.0, 120.0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--measure", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.seconds[0], options.threads)))
        return
    from sepkit.metrics import ffmpeg_available

    peers = ["museval"] if ffmpeg_available() and importlib.util.find_spec("museval") else []
    for seconds in options.seconds:
        runs = {name: [] for name in ("sdr", "four", *peers)}
        for _ in range(options.repeats):
            for name, results in runs.items():
                command = [
                    sys.executable,
                    __file__,
                    "--measure",
                    name,
                    "--seconds",
                    str(seconds),
                    "--threads",
                    str(options.threads),
                ]
                results.append(
                    json.loads(
                        subprocess.run(command, check=True, capture_output=True, text=True).stdout
                    )
                )
        report(seconds, options, runs)


def report(seconds, options, runs):
    print(
        f"{STEMS} stereo stems of {seconds:g} s, {options.threads}"
        f" threads, median of {options.repeats}"
    )
    median = {
        name: {what: statistics.median(r[what] for r in results) for what in ("cpu", "peak")}
        for name, results in runs.items()
    }
    theirs = median.get("museval")
    for name, mine in median.items():
        compared = (
            f"{theirs['cpu'] / mine['cpu']:>8.1f} x less CPU, "
            f"{mine['peak'] / theirs['peak']:>4.0%} of the memory"
            if theirs
            else ""
        )
        print(f"{NAMES[name]:<26}{mine['cpu']:>8.2f} CPU s{mine['peak']:>8.0f} MB{compared}")
    if theirs:
        both = (np.array(runs[name][0]["values"]) for name in ("four", "museval"))
        print(f"largest difference of a track's median: {np.abs(np.subtract(*both)).max():.1e} dB")


if __name__ == "__main__":
    main()
