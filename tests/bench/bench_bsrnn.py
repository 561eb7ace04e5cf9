"""Band-split RNN beside a version band by band, a matrix product, and its lower precisions.

    python tests/bench/bench_bsrnn.py [--threads 1] [--repeats 2] [--device cpu] [--seconds 6]
        [--checkpoint FILE MIXTURE TARGET]

The contenders take turns, and on a CPU their processor time is measured, so that a
busy machine disturbs little. The plain version is the tests' reference: one small
call a band. It holds the same weights and gives the same masks. With a trained
checkpoint and two audio files, the SDR in each precision is measured as well.
"""

import argparse
import time

import torch

from sepkit import audio
from sepkit.metrics.sdr import sdr
from sepkit.models import build, load
from sepkit.models.bsrnn import PRECISIONS, SIZES
from sepkit.models.bsrnn_readable import readable_bsrnn

RATE = 44100


def clock(device):
    if device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def turns(contenders, repeats, device):
    """The shortest time of each, measured in turn after a warm-up."""
    seconds = {name: [] for name in contenders}
    for turn in range(repeats + 1):
        for name, run in contenders.items():
            began = clock(device)
            run()
            if turn:
                seconds[name].append(clock(device) - began)
    return {name: min(values) for name, values in seconds.items()}


def table(title, seconds, note=lambda name, seconds: ""):
    print(f"\n{title}")
    first = next(iter(seconds.values()))
    for name, value in seconds.items():
        print(
            f"  {name:<34}{value * 1e3:>10.1f} ms{value / first:>8.2f} x  {note(name, value)}",
            flush=True,
        )


def operations(model, spectrum):
    """Multiplications and additions of the recurrent layers, which is nearly all."""
    bands, frames = len(model.encoder.widths), spectrum.shape[0] * spectrum.shape[-1]
    n, h = model.settings["features"], model.settings["hidden"]
    return 2 * model.settings["layers"] * bands * frames * (2 * 2 * 4 * h * (n + h) + 2 * 2 * h * n)


@torch.no_grad()
def inference(options):
    """V7 at the paper's size: both ends, the whole, and its share of a matrix product's speed."""
    model = build("bsrnn").to(options.device).eval()
    plain = readable_bsrnn(model).to(options.device)
    spectrum = model.stft(
        0.1 * torch.randn(1, 2, int(options.seconds * RATE), device=options.device)
    )
    features = torch.view_as_real(spectrum).permute(0, 3, 1, 2, 4)
    ours, theirs = model.encoder(features), plain.bandsplit(spectrum)
    difference = (
        (torch.view_as_complex(model.decoder(ours)).transpose(2, 3) - plain.maskest(theirs))
        .abs()
        .max()
    )
    print(f"masks from equal input to the band RNNs differ by {difference:.1e}")
    kinds = {
        "band split": lambda: model.encoder(features),
        "band split, band by band": lambda: plain.bandsplit(spectrum),
        "mask estimation": lambda: model.decoder(ours),
        "mask estimation, band by band": lambda: plain.maskest(theirs),
    }
    for end in ("band split", "mask estimation"):
        runs = {name: run for name, run in kinds.items() if name.startswith(end)}
        table(f"{end}, {options.seconds:g} s", turns(runs, 3 * options.repeats, options.device))
    left, right = (
        torch.randn(4096, 384, device=options.device),
        torch.randn(384, 1024, device=options.device),
    )
    work = {
        "sepkit": (lambda: model.mask(spectrum), operations(model, spectrum)),
        "band by band": (lambda: plain(spectrum), operations(model, spectrum)),
        "matrix product": (lambda: [left @ right for _ in range(8)], 8 * 2 * 4096 * 384 * 1024),
    }
    seconds = turns({name: run for name, (run, _) in work.items()}, options.repeats, options.device)
    table(
        f"the whole, {options.seconds:g} s",
        seconds,
        lambda name, value: f"{work[name][1] / value / 1e9:.0f} GFLOP/s",
    )
    rates = {name: work[name][1] / value for name, value in seconds.items()}
    print(
        f"  sepkit reaches {rates['sepkit'] / rates['matrix product']:.0%} "
        "of the matrix product's operations a second"
    )


@torch.no_grad()
def precisions(options):
    model = build("bsrnn").to(options.device).eval()
    mixture = 0.1 * torch.randn(1, 2, 3 * RATE, device=options.device)
    exact, close = model(mixture), {}

    def run(precision):
        model.set_precision(precision)
        close[precision] = model(mixture)

    kinds = [kind for kind in PRECISIONS if kind != "int8" or options.device == "cpu"]
    seconds = turns(
        {kind: lambda kind=kind: run(kind) for kind in kinds}, options.repeats, options.device
    )
    table(
        "precision, 3 s, random weights",
        seconds,
        lambda kind, _: f"{sdr(exact[0], close[kind][0]):.1f} dB to float32",
    )


def training(options):
    """A training step: forward and backward of the masks, and the student's with its optimiser."""
    for size, batch in (("student", 4), ("small", 1)):
        model = build("bsrnn", **SIZES[size]).to(options.device)
        plain = readable_bsrnn(model).to(options.device)
        mixture = 0.1 * torch.randn(batch, 2, 3 * RATE, device=options.device)
        spectrum = model.stft(mixture)

        def backward(network, spectrum=spectrum):
            return lambda: (network(spectrum) * spectrum).abs().mean().backward()

        table(
            f"forward and backward, {size}, {batch} x 3 s",
            turns(
                {"sepkit": backward(model.mask), "band by band": backward(plain)},
                options.repeats,
                options.device,
            ),
        )
        if size == "student":
            optimiser = torch.optim.Adam(model.parameters(), 1e-3)

            def step(model=model, optimiser=optimiser, mixture=mixture):
                optimiser.zero_grad()
                model.loss(mixture, mixture).backward()
                optimiser.step()

            size = sum(p.numel() for p in model.parameters()) / 1e6
            table(
                f"training step, student ({size:.2f} M parameters), 4 x 3 s",
                turns({"sepkit": step}, options.repeats, options.device),
            )


@torch.no_grad()
def scores(options):
    model = load(options.checkpoint[0]).to(options.device)
    mixture, target = (audio.read(path)[0] for path in options.checkpoint[1:])
    print("\nSDR of the checkpoint")
    for precision in [kind for kind in PRECISIONS if kind != "int8" or options.device == "cpu"]:
        model.set_precision(precision)
        print(
            f"  {precision:<34}"
            f"{sdr(target, model(mixture[None].to(options.device))[0].cpu()):>10.3f} dB"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--checkpoint", nargs=3, metavar=("FILE", "MIXTURE", "TARGET"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(
        f"{options.device}, {options.threads} thread(s), 44.1 kHz stereo; "
        f"{'wall' if options.device == 'cuda' else 'processor'} time"
    )
    inference(options)
    precisions(options)
    training(options)
    if options.checkpoint:
        scores(options)


if __name__ == "__main__":
    main()
