"""STFT, inverse and Wiener filter against their peers, on stereo noise at 44.1 kHz.

    python tests/bench/bench_stft.py [--seconds 30] [--repeats 5] [--threads 2]

The contenders take turns, so that a busy machine slows all alike; the table shows
medians and ratios to sepkit. Peers that are not installed are left out.
"""

import argparse
import importlib.util
import statistics
import time

import torch

from sepkit.stft import STFT
from sepkit.wiener import wiener

RATE, N_FFT, HOP, TARGETS = 44100, 4096, 1024, 4


def installed(name):
    return importlib.util.find_spec(name) is not None


def compare(title, contenders, repeats):
    """Time the contenders in turn; the first is ours."""
    seconds = {name: [] for name in contenders}
    for turn in range(repeats + 1):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            if turn:  # the first turn warms up
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ours = next(iter(medians.values()))
    for name, median in medians.items():
        print(f"{title:<10}{name:<28}{median * 1e3:>10.1f} ms{median / ours:>8.2f} x")


def transforms(audio, repeats):
    stft, window = STFT(N_FFT, HOP), torch.hann_window(N_FFT)
    spectrum, length = stft(audio), audio.shape[-1]
    error = (stft.inverse(spectrum, length) - audio).abs().max() / audio.abs().max()
    print(f"round trip of sepkit: largest error {error:.1e} of the peak")
    forward = {
        "sepkit": lambda: stft(audio),
        "torch.stft": lambda: torch.stft(audio, N_FFT, HOP, window=window, return_complex=True),
    }
    inverse = {
        "sepkit": lambda: stft.inverse(spectrum, length),
        "torch.istft": lambda: torch.istft(spectrum, N_FFT, HOP, window=window, length=length),
    }
    if installed("librosa"):
        import librosa

        samples, bins = audio.numpy(), spectrum.numpy()
        forward["librosa"] = lambda: librosa.stft(samples, n_fft=N_FFT, hop_length=HOP)
        inverse["librosa"] = lambda: librosa.istft(bins, n_fft=N_FFT, hop_length=HOP, length=length)
    compare("stft", forward, repeats)
    compare("istft", inverse, repeats)


def filters(audio, repeats):
    mixture = STFT(N_FFT, HOP)(audio)
    magnitudes = mixture.abs() * torch.rand(
        TARGETS, *mixture.shape, generator=torch.Generator().manual_seed(0)
    )
    contenders = {"sepkit, double inside": lambda: wiener(magnitudes, mixture)}
    if installed("openunmix"):
        from openunmix import filtering

        x = torch.view_as_real(mixture.permute(2, 1, 0)).contiguous()
        v = magnitudes.permute(3, 2, 1, 0).contiguous()
        contenders["openunmix, single"] = lambda: [
            filtering.wiener(v[k : k + 300], x[k : k + 300].clone(), 1)
            for k in range(0, len(x), 300)
        ]
    if installed("norbert"):
        import norbert

        nx = mixture.permute(2, 1, 0).to(torch.complex128).numpy()
        nv = magnitudes.permute(3, 2, 1, 0).double().numpy()
        contenders["norbert, double"] = lambda: [
            norbert.wiener(
                nv[k : k + 300], nx[k : k + 300].copy(), 1, use_softmask=False, eps=1e-10
            )
            for k in range(0, len(nx), 300)
        ]
    compare("wiener", contenders, max(1, repeats // 2))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    audio = 0.1 * torch.randn(
        2, int(options.seconds * RATE), generator=torch.Generator().manual_seed(0)
    )
    print(
        f"{options.seconds:g} s stereo, window {N_FFT}, hop {HOP}, "
        f"{TARGETS} targets, {options.threads} threads"
    )
    transforms(audio, options.repeats)
    filters(audio, options.repeats)


if __name__ == "__main__":
    main()
