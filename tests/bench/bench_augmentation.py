"""Time stretching against its peers: processor time, attacks, stereo image, level.

    python tests/bench/bench_augmentation.py [--seconds 10] [--repeats 3]

Ratios of processor time to sepkit, in turns, on stereo at 44.1 kHz. Attack: share of
the energy of clicks within 5 ms of where they belong. Coherence of two channels that
differ by half a millisecond; it was 1. Level of noise; it was 0 dB.
"""

import argparse
import math
import statistics
import time

import librosa
import numpy as np
import torch
import torchaudio
from scipy import signal

from sepkit.datasets.augmentation.stretching import time_stretch

RATE = 44100


def by_torchaudio(audio, speed):
    window, advance = torch.hann_window(2048), torch.linspace(0, math.pi * 512, 1025)[:, None]
    spectra = torch.stft(audio, 2048, 512, window=window, return_complex=True)
    return torch.istft(
        torchaudio.functional.phase_vocoder(spectra, speed, advance), 2048, 512, window=window
    )


CONTENDERS = {
    "sepkit": lambda audio, speed: time_stretch(audio, speed, RATE),
    "librosa": lambda audio, speed: torch.from_numpy(
        librosa.effects.time_stretch(audio.numpy(), rate=speed)
    ),
    "torchaudio": by_torchaudio,
}


def quality(stretch, speed, noise):
    times = np.arange(0.3, noise.shape[-1] / RATE - 0.4, 0.25)
    clicks = torch.zeros_like(noise)
    clicks[:, np.rint(times * RATE).astype(int)] = 0.8
    energy = stretch(clicks, speed).square().sum(0)
    near = sum(
        float(energy[place - 220 : place + 221].sum())
        for place in np.rint(times / speed * RATE).astype(int)
    )
    delayed = stretch(torch.stack([noise[0], torch.roll(noise[0], 20)]), speed).numpy()
    coherence = signal.coherence(*delayed, RATE, nperseg=1024)[1][:300].mean()
    return (
        near / float(energy.sum()),
        coherence,
        20 * math.log10(stretch(noise, speed).std() / noise.std()),
    )


def main(seconds, repeats):
    torch.set_num_threads(1)
    noise = 0.1 * torch.randn(2, round(seconds * RATE), generator=torch.Generator().manual_seed(0))
    spent = {name: [] for name in CONTENDERS}
    for turn in range(repeats + 1):
        for name, stretch in CONTENDERS.items():
            start = time.process_time()
            stretch(noise, 0.9)
            if turn:  # the first turn warms up
                spent[name].append(time.process_time() - start)
    ours = statistics.median(spent["sepkit"])
    print(
        f"{'':12}{'CPU s a minute':>16}{'ratio':>8}{'attack':>9}{'coherence':>11}"
        f"{'level':>10}   at speeds 0.9 and 1.1"
    )
    for name, stretch in CONTENDERS.items():
        median = statistics.median(spent[name])
        print(f"{name:12}{median * 60 / seconds:>16.2f}{median / ours:>8.2f}", end="")
        for speed in (0.9, 1.1):
            attack, coherence, level = quality(stretch, speed, noise)
            print(f"{attack:>9.3f}{coherence:>11.3f}{level:>+7.2f} dB", end="")
        print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    main(**vars(parser.parse_args()))
