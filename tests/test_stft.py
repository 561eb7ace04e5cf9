import numpy as np
import pytest
import scipy.signal
import torch

from sepkit.errors import SepkitError
from sepkit.stft import STFT, WINDOWS, make_window

PAIRS = [
    (512, 128),
    (512, 256),
    (512, 200),
    (512, 300),
    (512, 384),
    (512, 512),
    (511, 130),
    (96, 96),
    (7, 3),
    (2, 1),
]


def noise(*shape, dtype=torch.float32, seed=0):
    audio = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (audio / audio.abs().amax()).to(dtype)


def lengths(n_fft, hop):
    """Everything that can go wrong lies near a multiple of the hop or of the window."""
    return sorted(
        {
            1,
            2,
            3,
            hop,
            hop + 1,
            n_fft // 2,
            n_fft // 2 + 1,
            n_fft - 1,
            n_fft,
            6 * hop - 1,
            6 * hop,
            6 * hop + hop // 2,
        }
    )


@pytest.mark.parametrize("window", WINDOWS)
def test_every_pair_is_exact_or_refused(window):
    accepted = 0
    for n_fft, hop in PAIRS:
        try:
            stft = STFT(n_fft, hop, window)
        except SepkitError:
            continue
        accepted += 1
        for length in lengths(n_fft, hop):
            for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-13)):
                audio = noise(2, length, dtype=dtype)
                back = stft.inverse(stft(audio), length)
                assert back.dtype == dtype and back.shape == audio.shape
                assert (back - audio).abs().max() <= tolerance, (n_fft, hop, length, dtype)
    assert accepted >= 7


def test_a_pair_is_accepted_only_if_scipy_can_invert_it():
    for window in WINDOWS:
        for n_fft, hop in PAIRS:
            nola = scipy.signal.check_NOLA(
                make_window(window, n_fft).numpy(), n_fft, n_fft - hop, tol=1e-9
            )
            if not nola:
                with pytest.raises(SepkitError, match="cannot be inverted"):
                    STFT(n_fft, hop, window)
            elif hop <= 3 * n_fft // 5:
                STFT(n_fft, hop, window)


@pytest.mark.parametrize(
    "settings, message",
    [
        (
            dict(n_fft=64, hop=64),
            r"'hann' of 64 samples with hop 64 cannot be inverted.*use a hop of 32 or less",
        ),
        (dict(n_fft=64, hop=65, window="ones"), "cannot be inverted"),
        (dict(n_fft=64, hop=63, window="sqrt_hann"), "only by its tails"),
        (dict(n_fft=64, hop=16, window="kaiser"), "unknown window 'kaiser': choose from hann"),
        (dict(n_fft=1, hop=1), "n_fft=1: expected a whole number of at least 2"),
        (dict(n_fft=64, hop=0), "hop=0"),
        (dict(n_fft=64, hop=7.5), "hop=7.5"),
    ],
)
def test_settings_that_cannot_work(settings, message):
    with pytest.raises(SepkitError, match=message) as caught:
        STFT(**settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_are_scipys_periodic_ones(name):
    known = scipy.signal.get_window(
        {"ones": "boxcar", "sqrt_hann": "hann"}.get(name, name), 48, fftbins=True
    )
    expected = np.sqrt(known) if name == "sqrt_hann" else known
    np.testing.assert_allclose(make_window(name, 48).numpy(), expected, atol=1e-14)


def test_agrees_with_its_definition_and_with_torch():
    audio = noise(2, 5000, dtype=torch.float64)
    padded = np.pad(audio.numpy(), ((0, 0), (256, 256)), mode="reflect")
    window = scipy.signal.get_window("hann", 512)
    frames = np.stack(
        [padded[:, k * 128 : k * 128 + 512] * window for k in range(1 + 5000 // 128)], axis=-1
    )
    np.testing.assert_allclose(
        STFT(512, 128)(audio).numpy(), np.fft.rfft(frames, axis=1), atol=1e-12
    )
    for center in (True, False):
        theirs = torch.stft(
            audio, 512, 128, window=torch.from_numpy(window), center=center, return_complex=True
        )
        torch.testing.assert_close(STFT(512, 128, center=center)(audio), theirs, atol=1e-12, rtol=0)


def test_short_audio_is_continued_as_numpy_reflects_it():
    audio = noise(1, 5, dtype=torch.float64)
    padded = torch.from_numpy(np.pad(audio.numpy(), ((0, 0), (32, 32)), mode="reflect"))
    theirs = torch.stft(
        padded,
        64,
        16,
        window=torch.hann_window(64, dtype=torch.float64),
        center=False,
        return_complex=True,
    )
    torch.testing.assert_close(STFT(64, 16)(audio), theirs, atol=1e-12, rtol=0)


def test_a_sine_shows_its_bin_and_amplitude():
    stft = STFT(1024, 256)
    t = torch.arange(8192) / 8192
    # 800 Hz is bin 100.
    magnitude = stft(0.5 * torch.sin(2 * torch.pi * 800 * t)[None]).abs()[0, :, 8]
    assert int(magnitude.argmax()) == 100
    # Amplitude x sum of Hann / 2.
    assert magnitude[100].item() == pytest.approx(0.5 * 1024 / 4, rel=1e-4)


def test_usual_frame_counts():
    for length in (1, 1023, 1024, 44100, 264600):
        assert STFT().frames(length) == 1 + length // 1024
    assert STFT(center=False).frames(264600) == 255  # six seconds, as Open-Unmix trains
    assert STFT(center=False).frames(1) == 1


@pytest.mark.parametrize(
    "window, n_fft, hop",
    [("hann", 256, 64), ("hann", 256, 128), ("hamming", 256, 64), ("ones", 256, 256)],
)
def test_without_centring_the_recoverable_samples_are_exact(window, n_fft, hop):
    stft = STFT(n_fft, hop, window, center=False)
    for length in (1, 100, 256, 257, 1000, 1024):
        audio = noise(2, length)
        back = stft.inverse(stft(audio), length)
        start, stop = stft.recoverable(length)
        assert ((back - audio)[:, start:stop].abs() <= 1e-6).all()
        assert stop - start >= min(length, n_fft) - 0.5 * n_fft
        assert back.abs().max() <= 1.5  # the ends fade out, they do not blow up
        if window == "ones":
            assert start == 0 and stop == (
                length if length < n_fft else (stft.frames(length) - 1) * hop + n_fft
            )
    centred = STFT(n_fft, hop, window)
    assert centred.recoverable(77) == (0, 77)


def test_without_centring_a_silent_tail_is_left_where_no_frame_reaches():
    stft = STFT(256, 64, center=False)
    assert stft.inverse(stft(torch.ones(1, 300)), 300)[0, 256:].abs().max() == 0


def test_inverse_is_the_least_squares_one():
    """Griffin and Lim: of all signals, the inverse is nearest to a changed spectrogram."""
    stft = STFT(32, 8, "sqrt_hann", center=False)
    changed = stft(noise(1, 200, dtype=torch.float64)) * torch.rand(
        17, 22, generator=torch.Generator().manual_seed(1)
    )
    start, stop = stft.recoverable(200)
    best = stft.inverse(changed, 200)
    # The half spectrum stands for both halves.
    weights = torch.full((17, 1), 2.0).index_fill(0, torch.tensor([0, 16]), 1.0)

    def distance(audio):
        return float((weights * (stft(audio) - changed).abs() ** 2).sum())

    for seed in range(5):
        other = best.clone()
        other[:, start:stop] += 1e-3 * noise(1, stop - start, dtype=torch.float64, seed=seed)
        assert distance(other) > distance(best)


def test_linear_batched_and_differentiable():
    stft = STFT(64, 16)
    audio = noise(3, 2, 300, dtype=torch.float64)
    together = stft(audio)
    torch.testing.assert_close(together[1, 0], stft(audio[1, :1])[0], atol=1e-12, rtol=0)
    torch.testing.assert_close(
        stft(audio[0] + 2 * audio[1]), together[0] + 2 * together[1], atol=1e-12, rtol=0
    )
    small = audio[0, :, :40].clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: stft.inverse(stft(x).abs() * torch.sgn(stft(x)), 40), small
    )


def test_nothing_goes_into_checkpoints_and_half_precision_is_widened():
    assert not STFT(64, 16).state_dict()
    assert STFT(64, 16)(noise(1, 100).half()).dtype == torch.complex64
    double = STFT(64, 16).double()  # a converted module still uses the exact window
    audio = noise(1, 100, dtype=torch.float64)
    torch.testing.assert_close(double(audio), STFT(64, 16)(audio), atol=0, rtol=0)


def test_bad_input_is_told():
    stft = STFT(64, 16)
    with pytest.raises(SepkitError, match="the audio is empty"):
        stft(torch.zeros(2, 0))
    with pytest.raises(SepkitError, match="expected floating-point audio, got torch.int16"):
        stft(torch.zeros(2, 9, dtype=torch.int16))
    with pytest.raises(SepkitError, match="expected complex .* for n_fft 64"):
        stft.inverse(torch.zeros(2, 30, 4, dtype=torch.complex64), 50)
    with pytest.raises(SepkitError, match="4 frames with hop 16 cannot make 500 samples"):
        stft.inverse(stft(torch.zeros(1, 50)), 500)
