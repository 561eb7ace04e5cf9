"""Speech: the utterances of a source, read as others read them, in bounded memory."""

import numpy as np
import pytest
import soundfile
import torch
import torchaudio
from scipy.signal import resample_poly

from sepkit.datasets.speech import Speech, open_speech
from sepkit.errors import SepkitError

RATE = 16000


def wave(frames, seed=0, level=0.1):
    return level * np.random.default_rng(seed).standard_normal(frames).clip(-3, 3)


def tone(frames, rate, frequency=1000.0):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(frames) / rate)


def put(path, samples, rate=RATE, subtype="PCM_16"):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)


def band(root):
    """Two train speakers with two utterances each, one test speaker with one."""
    for k, name in enumerate(
        ("train/a/000", "train/a/001", "train/b/000", "train/b/001", "test/c/000")
    ):
        put(root / "speech" / f"{name}.wav", wave(1000 + 100 * k, k))
    return root


def librispeech(
    root,
    subsets=("dev-clean", "test-clean"),
    spoken=((84, 121123, 3), (174, 50561, 2)),
    name="LibriSpeech",
):
    """Subsets as they are unpacked: root/LibriSpeech/subset/speaker/chapter/*.flac, *.trans.txt."""
    for k, subset in enumerate(subsets):
        for speaker, chapter, count in spoken:
            speaker += 1000 * k
            folder = root / name / subset / str(speaker) / str(chapter)
            for n in range(count):
                put(folder / f"{speaker}-{chapter}-{n:04d}.flac", wave(800 + 50 * n, speaker + n))
            lines = [f"{speaker}-{chapter}-{n:04d} SOME WORDS\n" for n in range(count)]
            (folder / f"{speaker}-{chapter}.trans.txt").write_text("".join(lines))
    return root


def test_the_bands_layout_is_split_by_speaker(tmp_path):
    root = band(tmp_path)
    train, test = open_speech(root, "train", RATE), open_speech(root, "test", RATE)
    assert (len(train), train.speakers, len(test), test.speakers) == (4, ("a", "b"), 1, ("c",))
    assert [train.speaker(i) for i in range(4)] == ["a", "a", "b", "b"]
    assert [train.utterance(i).shape for i in range(4)] == [
        (1, 1000),
        (1, 1100),
        (1, 1200),
        (1, 1300),
    ]
    assert open_speech(root, None, RATE).speakers == ("a", "b", "c")
    assert open_speech(root / "speech", "test", RATE).speakers == ("c",)


def test_the_band_is_the_default_source(tmp_path, monkeypatch):
    from sepkit import band as package

    folder = band(tmp_path)
    asked = []
    monkeypatch.setattr(
        package, "ensure", lambda preset, root: asked.append((preset, root)) or folder
    )
    assert open_speech("band", "test").speakers == ("c",) and open_speech(
        "band", root="r", preset="smoke"
    ).speakers == ("a", "b")
    assert asked == [("student", None), ("smoke", "r")]
    monkeypatch.setattr(package, "ensure", lambda preset, root: tmp_path / "speech" / "train")
    with pytest.raises(SepkitError, match="this size of the band has no speakers"):
        open_speech("band", preset="checkpoints")


def test_librispeech_is_what_torchaudio_finds(tmp_path):
    librispeech(tmp_path)
    speech = open_speech(tmp_path, "train", RATE)
    reference = torchaudio.datasets.LIBRISPEECH(tmp_path, url="dev-clean", download=False)
    assert len(speech) == len(reference) == 5
    for index in range(5):
        path, rate, _, speaker, _, _ = reference.get_metadata(index)
        assert speech.speaker(index) == str(speaker)
        samples, file_rate = soundfile.read(tmp_path / "LibriSpeech" / path, dtype="float32")
        assert file_rate == rate == RATE
        torch.testing.assert_close(
            speech.utterance(index)[0], torch.from_numpy(samples), atol=2**-15, rtol=0
        )


def test_librispeech_is_what_torchaudio_reads(tmp_path):
    pytest.importorskip("torchcodec", reason="torchaudio decodes with torchcodec")
    librispeech(tmp_path)
    speech = open_speech(tmp_path, "train", RATE)
    for index, (samples, *_) in enumerate(
        torchaudio.datasets.LIBRISPEECH(tmp_path, url="dev-clean", download=False)
    ):
        torch.testing.assert_close(speech.utterance(index), samples, atol=2**-15, rtol=0)


def test_librispeech_is_found_from_each_of_its_folders(tmp_path):
    librispeech(tmp_path, ("dev-clean", "train-clean-100", "test-other"))
    everywhere = {
        open_speech(place, "train").speakers for place in (tmp_path, tmp_path / "LibriSpeech")
    }
    assert everywhere == {("1084", "1174", "174", "84")}
    assert open_speech(tmp_path / "LibriSpeech" / "dev-clean").speakers == ("174", "84")
    assert open_speech(tmp_path, "test").speakers == ("2084", "2174")
    assert len(open_speech(tmp_path, None)) == 15
    with pytest.raises(SepkitError, match="no speech for test found"):
        open_speech(tmp_path / "LibriSpeech" / "dev-clean", "test")


def test_librispeech_without_its_transcripts_is_named(tmp_path):
    librispeech(tmp_path)
    next(tmp_path.rglob("174-*.trans.txt")).unlink()
    with pytest.raises(
        SepkitError, match="dev-clean: not as LibriSpeech is unpacked .*; unpack it again"
    ):
        open_speech(tmp_path)


def test_utterances_are_resampled(tmp_path):
    put(tmp_path / "train" / "a" / "0.wav", tone(16000, RATE), subtype="FLOAT")
    got = open_speech(tmp_path, sample_rate=44100).utterance(0)
    assert got.shape == (1, 44100) and got.dtype == torch.float32
    middle = slice(4000, 40000)
    np.testing.assert_allclose(got[0].numpy()[middle], tone(44100, 44100)[middle], atol=1e-3)
    np.testing.assert_allclose(
        got[0].numpy()[middle], resample_poly(tone(16000, RATE), 441, 160)[middle], atol=1e-3
    )


def test_loud_float_files_are_not_clipped_and_stereo_is_averaged(tmp_path):
    loud = 10 * wave(2000)
    put(tmp_path / "train" / "a" / "0.wav", np.stack([loud, 0.5 * loud], 1), subtype="FLOAT")
    got = open_speech(tmp_path, sample_rate=RATE).utterance(0)
    np.testing.assert_allclose(got[0].numpy(), 0.75 * loud, atol=np.abs(loud).max() * 2**-15)


def test_memory_is_bounded_and_what_was_used_last_stays(tmp_path, monkeypatch):
    files = [("a", tmp_path / f"{k}.wav") for k in range(4)]
    for k, (_, path) in enumerate(files):
        put(path, wave(1000, k))
    speech = Speech(files, RATE, cache_bytes=5000)  # two utterances of 2000 bytes
    decoded, decode = [], speech._decode
    monkeypatch.setattr(speech, "_decode", lambda index: decoded.append(index) or decode(index))
    fresh = Speech(files, RATE)
    for index in (0, 1, 0, 2, 0, 1, 3):
        assert torch.equal(speech.utterance(index), fresh.utterance(index))
    assert decoded == [0, 1, 2, 1, 3]  # 2 pushed out 1, which was used less lately than 0
    assert sum(samples.nbytes for samples, _ in speech._cache.values()) == 4000
    small = Speech(files, RATE, cache_bytes=10)  # not even one fits
    assert torch.equal(small.utterance(2), fresh.utterance(2)) and torch.equal(
        small.utterance(2), fresh.utterance(2)
    )


def test_utterances_are_the_callers_to_change(tmp_path):
    band(tmp_path)
    speech = open_speech(tmp_path, sample_rate=RATE)
    before = speech.utterance(0).clone()
    speech.utterance(0).zero_()
    assert torch.equal(speech.utterance(0), before)


def test_nothing_is_decoded_when_it_is_opened(tmp_path):
    path = band(tmp_path) / "speech" / "train" / "a" / "000.wav"
    path.write_bytes(b"not audio")
    speech = open_speech(tmp_path, sample_rate=RATE)
    assert speech.utterance(1).shape == (1, 1100)
    with pytest.raises(SepkitError, match="000.wav"):
        speech.utterance(0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("missing",), "missing: no such folder; expected train/SPEAKER"),
        (("",), "no speech for train found; expected .*the default is 'band'"),
        (("", "valid"), "unknown split of the speech 'valid': choose from train, test"),
    ],
)
def test_mistakes_are_named(tmp_path, arguments, message):
    source, *rest = arguments
    with pytest.raises(SepkitError, match=message):
        open_speech(tmp_path / source, *rest)


def test_a_speaker_in_both_splits_is_refused(tmp_path):
    for split in ("train", "test"):
        put(tmp_path / split / "a" / "0.wav", wave(500))
    with pytest.raises(SepkitError, match="speaker a is in train and in test"):
        open_speech(tmp_path)
