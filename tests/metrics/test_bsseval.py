import builtins
import subprocess
import sys

import numpy as np
import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.metrics import bsseval
from sepkit.metrics.bsseval import bss_eval, ffmpeg_available
from sepkit.metrics.sdr import framewise_sdr

RATE = 1000


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def museval():
    if not ffmpeg_available():
        pytest.skip("museval needs ffmpeg and ffprobe on the PATH")
    return pytest.importorskip("museval", reason="museval is not installed")


def test_each_kind_of_error_lowers_its_own_ratio(museval):
    """A delayed copy costs only ISR, another source SIR, noise SAR; SDR pays for all."""
    references = noise(2, 1, 4 * RATE)
    delayed = references[0] + 0.3 * torch.roll(references[0], 5, -1)
    leaked = references[0] + 0.3 * references[1]
    noisy = references[0] + 0.3 * noise(1, 4 * RATE, seed=1)
    level = 20 * np.log10(1 / 0.3)
    for first, second, lowered in ((delayed, noisy, 1), (leaked, delayed, 2)):
        ratios = bss_eval(references, torch.stack([first, second.roll(1, -1)]), RATE)
        medians = [float(np.median(r[0])) for r in ratios]
        assert medians[0] == pytest.approx(level, abs=0.5)
        assert medians[lowered] == pytest.approx(level, abs=0.7)
        assert all(medians[k] > level + 2 for k in (1, 2, 3) if k != lowered)


def test_is_museval_with_channels_first_and_sdr_needs_no_filters(museval):
    references = noise(2, 1, 3500)
    estimates = references + 0.2 * references.flip(0) + 0.1 * noise(2, 1, 3500, seed=1)
    references[1, :, 1000:2000] = 0
    ours = bss_eval(references.float(), estimates.float().numpy()[..., :3400], RATE)
    padded = np.pad(estimates.float().numpy()[..., :3400], ((0, 0), (0, 0), (0, 100))).astype(np.float64)
    theirs = museval.evaluate(references.float().double().numpy()[:, 0, :, None], padded[:, 0, :, None], win=RATE, hop=RATE)
    for mine, its in zip(ours, theirs):
        assert mine.shape == (2, 3)
        np.testing.assert_allclose(mine, its, atol=1e-6)
    assert np.isnan(ours[0]).tolist() == [[False, True, False]] * 2
    np.testing.assert_allclose(framewise_sdr(references.float(), estimates.float()[..., :3400], RATE).numpy(), ours[0], atol=1e-9)


def test_a_source_silent_throughout_is_nan_with_a_warning():
    references = torch.stack([noise(2, 2500), torch.zeros(2, 2500)])
    with pytest.warns(UserWarning, match="reference 1 silent throughout"):
        ratios = bss_eval(references, noise(2, 2, 2500), RATE)
    assert all(r.shape == (2, 2) and np.isnan(r).all() for r in ratios)


def test_importing_the_metrics_imports_neither_museval_nor_pandas():
    code = "import sys, sepkit.metrics; print([m for m in ('museval', 'musdb', 'stempeg', 'pandas', 'librosa') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_without_ffmpeg_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert not ffmpeg_available()
    with pytest.raises(SepkitError, match="need ffmpeg.*apt install ffmpeg") as caught:
        bss_eval(noise(2, 1, 900), noise(2, 1, 900), RATE)
    assert "\n" not in str(caught.value)


def test_without_museval_one_line_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "museval":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(bsseval, "ffmpeg_available", lambda: True)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SepkitError, match=r"museval, which is not installed; run: pip install 'sepkit\[musdb\]'"):
        bss_eval(noise(2, 1, 900), noise(2, 1, 900), RATE)


def test_what_numpy_dropped_is_explained(monkeypatch):
    class Museval:
        @staticmethod
        def evaluate(*args, **kwargs):
            raise AttributeError("module 'numpy.linalg' has no attribute 'linalg'")

    monkeypatch.setattr(bsseval, "_museval", lambda: Museval)
    with pytest.raises(SepkitError, match=r"linearly dependent.*pip install 'numpy<2.4'"):
        bss_eval(noise(2, 1, 900), noise(2, 1, 900), RATE)


def test_bad_input_is_told():
    with pytest.raises(SepkitError, match=r"expected \(sources, channels, samples\)"):
        bss_eval(noise(2, 900), noise(2, 900), RATE)
    with pytest.raises(SepkitError, match="equal channels"):
        bss_eval(noise(2, 2, 900), noise(2, 1, 900), RATE)
