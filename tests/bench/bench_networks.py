"""HTDemucs and the RoFormers against their authors' packages: processor time of equal outputs.

    .venv-parity/bin/python tests/bench/bench_networks.py [--seconds 4] [--repeats 2] [--threads 1]

The same random weights in both, which take turns, so that a busy machine slows both alike; the
table shows the least of the repetitions. `make test-parity` makes .venv-parity; packages that are
not installed are left out. HTDemucs has its published size and takes its piece of 7.8 s; the
RoFormers have two blocks instead of six to twelve.
"""

import argparse
import importlib.util
import time
import warnings

import torch

from sepkit.models import build

ROFORMER = dict(width=192, depth=2, heads=8, head_width=64, gates=True, segment=None)


def installed(name):
    return importlib.util.find_spec(name) is not None


def processor_seconds(run):
    start = time.process_time()
    run()
    return time.process_time() - start


def compare(title, theirs, ours, audio, repeats):
    """Check that the outputs are equal, then time both in turn."""
    with torch.inference_mode():
        expected = theirs(audio)
        found = ours(audio).view(*expected.shape[:-1], -1)[..., : expected.shape[-1]]
        error = float((found - expected).abs().max() / expected.abs().max())
        times = [
            [processor_seconds(lambda: net(audio)) for net in (theirs, ours)]
            for _ in range(repeats)
        ]
    peer, own = (min(column) for column in zip(*times))
    print(
        f"{title:<14}{peer:>8.2f} s theirs{own:>8.2f} s ours{own / peer:>8.2f} x"
        f"   largest difference {error:.0e} of the peak"
    )


def htdemucs(repeats):
    from demucs.htdemucs import HTDemucs

    theirs = HTDemucs(
        ["drums", "bass", "other", "vocals"], bottom_channels=512, t_layers=5, dconv_mode=3
    ).eval()
    theirs.use_train_segment = False
    ours = build("htdemucs").eval()
    ours.load_published(theirs.state_dict())
    compare("htdemucs", theirs, ours.net, 0.1 * torch.randn(1, 2, 343_980), repeats)


def roformers(seconds, repeats):
    import bs_roformer

    common = dict(dim=192, depth=2, stereo=True, mask_estimator_depth=2, stft_hop_length=441)
    common.update(time_transformer_depth=1, freq_transformer_depth=1)
    audio = 0.1 * torch.randn(1, 2, int(seconds * 100) * 441)
    for name, kind, hidden in (
        ("bs-roformer", bs_roformer.BSRoformer, 1),
        ("mel-roformer", bs_roformer.MelBandRoformer, 2),
    ):
        theirs = kind(**common).eval()
        ours = build(name, target="vocals", **ROFORMER, mask_layers=hidden).eval()
        ours.load_published(theirs.state_dict())
        compare(name, theirs, ours, audio, repeats)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    if installed("demucs"):
        htdemucs(options.repeats)
    if installed("bs_roformer"):
        roformers(options.seconds, options.repeats)
    if not installed("demucs") or not installed("bs_roformer"):
        print("demucs or bs-roformer is not installed: run with .venv-parity/bin/python")


if __name__ == "__main__":
    main()
