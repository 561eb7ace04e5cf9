"""museval's numbers: stored in museval.json, and computed by museval itself under `slow`.

What museval is given is made by the tests, from the seeds that stand there. To store its numbers
anew, with ffmpeg and museval installed:

    STORE_MUSEVAL=1 pytest -m slow -n 0 tests/metrics
"""

import json
import os
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from sepkit.metrics import ffmpeg_available

STORED = Path(__file__).parent / "museval.json"
ROUNDING = 100.0  # dB; what is beyond in both is a rounding error of each


def _museval():
    if not ffmpeg_available():
        pytest.skip("museval needs ffmpeg and ffprobe on the PATH")
    return pytest.importorskip("museval", reason="museval is not installed")


@pytest.fixture
def museval_package():
    """museval itself."""
    return _museval()


@pytest.fixture
def live_museval():
    """As `museval`, by museval itself, with nothing stored."""

    def ratios(references, estimates, size, step, tolerance=None):
        signals = [np.asarray(x, np.float64) for x in (references, estimates)]
        return _evaluate(_museval(), *signals, size, step, taps=512)

    return ratios


@pytest.fixture(params=["stored", pytest.param("live", marks=pytest.mark.slow)])
def museval(request):
    """``museval(references, estimates, size, step)``: SDR, ISR, SIR and SAR as museval has them.

    Signals are (sources, channels, samples), the frames' size and step in samples. Fewer `taps`
    than 512 save time where only the SDR is asked for, which does not depend on them. `tolerance`
    is what stored and live numbers may differ by, in dB.
    """
    parameters = request.node.callspec.id.split("-")
    parameters.remove(request.param)
    test = f"{request.node.originalname}[{'-'.join(parameters)}]".removesuffix("[]")
    calls = []

    def ratios(references, estimates, size, step, taps=512, tolerance=1e-6):
        key = f"{request.module.__name__.rpartition('.')[-1]}::{test} {len(calls)}"
        calls.append(key)
        signals = [np.asarray(x, np.float64) for x in (references, estimates)]
        energies = [float(np.square(x).sum()) for x in signals]
        if request.param == "live":
            found = _evaluate(_museval(), *signals, size, step, taps)
            if os.environ.get("STORE_MUSEVAL"):
                _store(key, energies, found)
        entry = json.loads(STORED.read_text())["ratios"][key]
        assert energies == pytest.approx(entry["energies"], rel=1e-6), "these are other signals"
        stored = [np.array(entry[name]) for name in ("SDR", "ISR", "SIR", "SAR")]
        if request.param == "stored":
            return stored
        for live, kept in zip(found, stored):
            alike = ~((live > ROUNDING) & (kept > ROUNDING))
            np.testing.assert_allclose(live[alike], kept[alike], rtol=0, atol=tolerance)
        return found

    return ratios


def _evaluate(museval, references, estimates, size, step, taps):
    """SDR, ISR, SIR and SAR (sources, frames) by museval, whose signals are channels last."""
    arrays = museval.pad_or_truncate(references.swapaxes(1, 2), estimates.swapaxes(1, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # museval divides by zero energies
        return museval.metrics.bss_eval(*arrays, window=size, hop=step, filters_len=taps)[:4]


def _store(key, energies, ratios):
    content = json.loads(STORED.read_text()) if STORED.exists() else {"ratios": {}}
    content["made with"] = {name: version(name) for name in ("museval", "numpy", "scipy")}
    content["made by"] = "STORE_MUSEVAL=1 pytest -m slow -n 0 tests/metrics"
    content["ratios"][key] = {
        "energies": [float(f"{x:.9g}") for x in energies],
        **{n: np.round(x, 11).tolist() for n, x in zip(("SDR", "ISR", "SIR", "SAR"), ratios)},
    }
    lines = (f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(content["ratios"].items()))
    head = "".join(
        f" {json.dumps(k)}: {json.dumps(content[k])},\n" for k in ("made with", "made by")
    )
    STORED.write_text("{\n" + head + ' "ratios": {\n' + ",\n".join(lines) + "\n }\n}\n")
