"""Scores of four stereo stems against museval, on filtered noise at 44.1 kHz.

    python tests/bench/bench_metrics.py [--seconds 10] [--repeats 3] [--threads 2]

The contenders take turns, so that a busy machine slows all alike; the table shows
medians and ratios to sepkit's framewise SDR. museval is left out where it or ffmpeg
is missing.
"""

import argparse
import importlib.util
import statistics
import time

import numpy as np
import torch

from sepkit.metrics import bss_eval, ffmpeg_available, framewise_sdr, si_sdr, usdr

RATE, STEMS = 44100, 4


def stems(seconds):
    generator = torch.Generator().manual_seed(0)
    references = 0.1 * torch.randn(STEMS, 2, int(seconds * RATE), generator=generator)
    estimates = references + 0.3 * references.roll(1, 0) + 0.02 * torch.randn(references.shape, generator=generator)
    return references, estimates


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    references, estimates = stems(options.seconds)
    contenders = {
        "framewise SDR, sepkit": lambda: framewise_sdr(references, estimates, RATE),
        "uSDR, sepkit": lambda: usdr(references, estimates),
        "SI-SDR, sepkit": lambda: si_sdr(references, estimates),
    }
    if ffmpeg_available() and importlib.util.find_spec("museval"):
        import museval

        arrays = [x.double().numpy().swapaxes(1, 2) for x in (references, estimates)]
        contenders["SDR ISR SIR SAR, sepkit"] = lambda: bss_eval(references, estimates, RATE)
        contenders["SDR ISR SIR SAR, museval"] = lambda: museval.evaluate(*arrays, win=RATE, hop=RATE)
    seconds, results = {name: [] for name in contenders}, {}
    for _ in range(options.repeats):
        for name, run in contenders.items():
            start = time.perf_counter()
            results[name] = run()
            seconds[name].append(time.perf_counter() - start)
    print(f"{STEMS} stereo stems of {options.seconds:g} s, {options.threads} threads")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ours = next(iter(medians.values()))
    for name, median in medians.items():
        print(f"{name:<28}{median * 1e3:>12.1f} ms{median / ours:>10.2f} x")
    if "SDR ISR SIR SAR, museval" in results:
        theirs = results["SDR ISR SIR SAR, museval"]
        difference = np.nanmax(np.abs(results["framewise SDR, sepkit"].numpy() - theirs[0]))
        print(f"largest difference of framewise SDR to museval: {difference:.1e} dB")


if __name__ == "__main__":
    main()
