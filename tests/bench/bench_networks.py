"""Networks against their authors' packages, or their layers: processor time of equal outputs.

    .venv-parity/bin/python tests/bench/bench_networks.py [--seconds 4] [--repeats 2] [--threads 1]

The same random weights in both, which take turns, so that a busy machine slows both alike; the
table shows the least of the repetitions. `make test-parity` makes .venv-parity; packages that are
not installed are left out. HTDemucs has its published size and takes its piece of 7.8 s; the
RoFormers have two blocks instead of six to twelve. The code of TFC-TDF and of ResUNet Subbandtime
is no package: they run beside the authors' layers as test_tfc_tdf.py and test_resunet.py in
tests/models have them, one PyTorch function after another.
"""

import argparse
import functools
import importlib.util
import sys
import time
import warnings
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for tests.models

from sepkit.models import build  # noqa: E402

PACKAGES = ("demucs", "bs_roformer", "moises_light")
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


def moises_light(seconds, repeats):
    import moises_light

    theirs = moises_light.MoisesLight(**moises_light.configs["paper_large"]).eval()
    ours = build("moises-light", targets=["vocals", "drums", "bass", "other"], segment=None).eval()
    ours.load_published(theirs.state_dict())
    audio = 0.1 * torch.randn(1, 2, int(seconds * 44100))
    compare("moises-light", theirs, ours.estimate, audio, repeats)


def tfc_tdf(repeats):
    from tests.models.test_tfc_tdf import Published

    theirs = Published(2048, 32, 5, 3, 8, 6144, hop=1024).eval()
    theirs.window = theirs.window.float()
    ours = build("tfc-tdf").eval()
    ours.load_published(theirs.state_dict())
    audio = 0.1 * torch.randn(2, 127 * 1024)
    compare("tfc-tdf", theirs, lambda x: ours(x[None])[0], audio, repeats)


def resunet(repeats):
    from tests.models.test_resunet import authors_separation, published_layout

    name, n_fft = "resunet-subbandtime", 512
    state = published_layout(name, n_fft=n_fft)
    ours = build(name).eval()
    ours.load_published(state)
    audio = 0.1 * torch.randn(1, 2, 4 * 44100)
    theirs = functools.partial(authors_separation, state, n_fft=n_fft, hop=ours.step, name=name)
    compare("subbandtime", theirs, ours, audio, repeats)


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
    if installed("moises_light"):
        moises_light(options.seconds, options.repeats)
    tfc_tdf(options.repeats)
    resunet(options.repeats)
    if missing := [name for name in PACKAGES if not installed(name)]:
        print(f"{', '.join(missing)}: not installed; run with .venv-parity/bin/python")


if __name__ == "__main__":
    main()
