"""The stream gives what the whole pass gives, no later than its window allows."""

import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.models import build, load, save
from sepkit.models.open_unmix_streaming import OpenUnmixStream

SMALL = dict(
    hidden=16, layers=2, n_fft=256, hop=64, sample_rate=8000, bandwidth=3000, unidirectional=True
)


def network(**settings):
    """Random weights, with statistics of batch normalisation that are not 0 and 1."""
    torch.manual_seed(0)
    model = build("open-unmix", **{**SMALL, **settings})
    for name, value in model.named_buffers():
        if "running" in name:
            value.copy_(torch.rand_like(value) + 0.5)
    return model.eval()


def streamed(model, audio, blocks):
    stream = OpenUnmixStream(model)
    return torch.cat(
        [*(stream.push(block) for block in audio.split(blocks, -1)), stream.finish()], -1
    )


@pytest.mark.parametrize("blocks", [64, 2000, 37, [1, 2, 700, 3000, 1297]])
@pytest.mark.parametrize("hop", [64, 32, 128, 100])
def test_equals_one_pass(hop, blocks):
    model, audio = network(hop=hop), torch.randn(2, 5000)
    with torch.no_grad():
        whole = model(audio[None])[0]
    assert whole.abs().max() > 0.1
    assert (streamed(model, audio, blocks) - whole).abs().max() <= 1e-5


@pytest.mark.parametrize("samples", [1, 127, 128, 129, 255, 256, 257, 319, 320, 321, 1023])
@pytest.mark.parametrize("hop", [64, 128])
def test_any_length(samples, hop):
    model, audio = network(hop=hop), torch.randn(2, samples)
    with torch.no_grad():
        whole = model(audio[None])[0]
    out = streamed(model, audio, 64)
    assert out.shape == whole.shape and (out - whole).abs().max() <= 1e-5


def test_mono_at_the_speech_layout():
    model, audio = (
        network(n_fft=1024, hop=512, sample_rate=16000, channels=1, hidden=32),
        torch.randn(1, 20000),
    )
    with torch.no_grad():
        whole = model(audio[None])[0]
    assert (streamed(model, audio, 512) - whole).abs().max() <= 1e-5


def test_the_output_lies_behind_by_the_delay_and_knows_nothing_of_what_comes_later():
    model = network()
    stream, sent = OpenUnmixStream(model), 0
    assert stream.delay == 192 and stream.latency_ms == pytest.approx(1000 * 256 / 8000)
    for block in range(1, 30):
        sent += stream.push(torch.randn(2, 64)).shape[-1]
        assert sent == max(0, 64 * block - stream.delay)
    audio, changed = torch.randn(2, 4000), 2000
    other = torch.cat([audio[:, :changed], torch.randn(2, 2000)], -1)
    same = (streamed(model, audio, 64) == streamed(model, other, 64)).all(0)
    first = int((~same).nonzero()[0])
    assert changed - 256 < first < changed  # a sample depends on less than one window after it


def test_at_44100_hz_the_latency_is_93_ms():
    stream = OpenUnmixStream(build("open-unmix", hidden=8, unidirectional=True))
    assert stream.latency_ms == pytest.approx(92.88, abs=0.01) and stream.delay == 3072


def test_a_finished_stream_starts_anew():
    model, audio = network(), torch.randn(2, 1500)
    stream = OpenUnmixStream(model)
    runs = [torch.cat([stream.push(audio), stream.finish()], -1) for _ in range(2)]
    assert torch.equal(*runs)
    assert stream.finish().shape == (2, 0)


def test_a_checkpoint_keeps_the_direction(tmp_path):
    model, audio = network(), torch.randn(2, 1500)
    loaded = load(save(tmp_path / "vocals.safetensors", model))
    assert loaded.settings["unidirectional"] and not loaded.lstm.bidirectional
    assert torch.equal(streamed(loaded, audio, 64), streamed(model, audio, 64))


def test_mistakes_are_named():
    with pytest.raises(SepkitError, match="unidirectional=True"):
        OpenUnmixStream(network(unidirectional=False))
    with pytest.raises(SepkitError, match=r"blocks of shape \(2, samples\), not \(1, 64\)"):
        OpenUnmixStream(network()).push(torch.zeros(1, 64))
