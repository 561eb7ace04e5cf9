"""Speech: utterances of named speakers, to mix with music. Chapter 07 remixes with it."""

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from .. import audio, files
from ..errors import SepkitError, unknown
from ..runtime.threads import in_threads

SPLITS = ("train", "test")
SUBSETS = (
    "dev-clean",
    "dev-other",
    "test-clean",
    "test-other",
    "train-clean-100",
    "train-clean-360",
    "train-other-500",
)
LIBRISPEECH = "https://www.openslr.org/12"
#: Decoded speech that is held in memory, in bytes: 3.4 hours at 44.1 kHz.
CACHE_BYTES = 1 << 30
FULL_SCALE = 32767


class Speech:
    """Utterances, decoded when first asked for.

    Parameters
    ----------
    files : list of (str, Path)
        Speaker and file of every utterance.
    sample_rate : int
        In Hz; files of another rate are resampled.
    cache_bytes : int
        Kept in memory at most, as 16-bit integers at `sample_rate`; the least
        recently used goes first.

    Attributes
    ----------
    speakers : tuple of str
        Every speaker once, sorted.
    """

    def __init__(
        self,
        files: Iterable[tuple[str, Path]],
        sample_rate: int = 44100,
        cache_bytes: int = CACHE_BYTES,
    ):
        self.files, self.sample_rate, self.cache_bytes = list(files), int(sample_rate), cache_bytes
        self.speakers = tuple(sorted({speaker for speaker, _ in self.files}))
        self._cache: OrderedDict[int, tuple[np.ndarray, float]] = OrderedDict()
        self._bytes = 0

    def __len__(self):
        return len(self.files)

    def __repr__(self):
        return (
            f"Speech({len(self)} utterances of {len(self.speakers)} speakers, {self.sample_rate} "
            "Hz)"
        )

    def identity(self) -> str:
        """A hash of the utterances' files, their speakers, and the rate."""
        said = in_threads(files.identity, [path for _, path in self.files])
        return files.digest(self.sample_rate, *zip([speaker for speaker, _ in self.files], said))

    def speaker(self, index: int) -> str:
        """Who speaks the index-th utterance."""
        return self.files[index][0]

    def utterance(self, index: int) -> torch.Tensor:
        """One utterance, mono: float32, (1, T).

        It is rounded to 16 bit of full scale (of its peak, if that is larger),
        whether it comes from memory or from the file: what an example holds
        does not depend on what was read before.

        Raises
        ------
        SepkitError
            As `sepkit.audio.read`: for a missing or damaged file.
        """
        if index not in self._cache:
            self._cache[index] = self._decode(index)
            self._bytes += self._cache[index][0].nbytes
        self._cache.move_to_end(index)
        samples, step = self._cache[index]
        while self._bytes > self.cache_bytes:
            self._bytes -= self._cache.popitem(last=False)[1][0].nbytes
        return torch.from_numpy(np.multiply(samples, step, dtype=np.float32))[None]

    def _decode(self, index):
        wave, _ = audio.read(self.files[index][1], channels=1, sample_rate=self.sample_rate)
        step = max(1.0, float(wave.abs().max())) / FULL_SCALE
        return np.rint(wave[0].numpy() / step).astype(np.int16), step


def open_speech(
    source: str | Path,
    split: str | None = "train",
    sample_rate: int = 44100,
    root: str | Path | None = None,
    preset: str | None = None,
) -> Speech:
    """Open speech.

    Parameters
    ----------
    source : str or Path
        ``"band"``: the speakers that are rendered with the band. A folder of
        that layout, ``[speech/]<train|test>/<speaker>/*.wav``. Or a folder in
        LibriSpeech's layout: the one that holds ``LibriSpeech/``, that one, or
        one of its subsets, such as ``LibriSpeech/dev-clean``.
    split : {"train", "test"}, optional
        No speaker is in both. In LibriSpeech the subsets ``test-*`` are test
        and all others train; the thesis trains with all of dev-clean, 5.4
        hours of 40 speakers. None opens everything.
    sample_rate : int
        In Hz: that of the songs.
    root : str or Path, optional
        Where the band lies; see `sepkit.files.data_root`.
    preset : str, optional
        Which size of the band; rendered when it is missing.

    Returns
    -------
    Speech
        Sorted by speaker and file, never empty.

    Raises
    ------
    SepkitError
        If the folder or the utterances are missing, or the split is unknown.

    Notes
    -----
    Panayotov, Chen, Povey and Khudanpur, "LibriSpeech: an ASR corpus based on
    public domain audio books", ICASSP 2015. It is found by torchaudio and
    read by `sepkit.audio`; nothing is downloaded.
    """
    if split is not None and split not in SPLITS:
        raise unknown("split of the speech", split, SPLITS)
    if source == "band":
        from ..band import ensure

        folder = ensure(preset or "student", root)
        if not (folder / "speech").is_dir():
            raise SepkitError(
                f"{folder}: this size of the band has no speakers; open the speech of another, "
                "such as preset='student'"
            )
    else:
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise SepkitError(f"{source}: no such folder; {_expected()}")
    subsets = librispeech_subsets(folder)
    files = _librispeech(subsets, split) if subsets else _speakers(folder, split)
    if not files:
        raise SepkitError(
            f"{folder}: no speech{f' for {split}' if split else ''} found; {_expected()}"
        )
    return Speech(sorted(files), sample_rate)


def _expected():
    return (
        "expected train/SPEAKER/*.wav and test/SPEAKER/*.wav, or LibriSpeech as unpacked from "
        f"{LIBRISPEECH}; the default is 'band'"
    )


def _speakers(folder, split):
    """[(speaker, file)] of the band's layout."""
    folder = folder / "speech" if (folder / "speech").is_dir() else folder
    found = {
        name: [
            path for path in (folder / name).glob("*/*") if path.suffix.lower() in audio.SUFFIXES
        ]
        for name in SPLITS
    }
    train, test = ({path.parent.name for path in paths} for paths in found.values())
    for speaker in sorted(train & test):
        raise SepkitError(
            f"{folder}: speaker {speaker} is in train and in test; keep their speakers apart"
        )
    paths = [path for name in SPLITS if split in (name, None) for path in found[name]]
    return [(path.parent.name, path) for path in paths if not path.name.startswith(".")]


def librispeech_subsets(folder: Path) -> list[Path]:
    """The folders of LibriSpeech's subsets in a folder, in one below it, or the folder itself."""
    folder = folder.absolute()
    if folder.name in SUBSETS:
        return [folder]
    return [
        base / name
        for base in (folder, folder / "LibriSpeech")
        for name in SUBSETS
        if (base / name).is_dir()
    ]


def _librispeech(subsets, split):
    """[(speaker, file)] of the subsets that belong to the split."""
    from torchaudio.datasets import LIBRISPEECH as Subset

    files = []
    for folder in subsets:
        if split is not None and folder.name.startswith("test-") != (split == "test"):
            continue
        archive = folder.parent
        found = Subset(
            archive.parent, url=folder.name, folder_in_archive=archive.name, download=False
        )
        try:
            facts = [found.get_metadata(index) for index in range(len(found))]
        except (OSError, ValueError) as error:
            raise SepkitError(
                f"{folder}: not as LibriSpeech is unpacked ({error}); unpack it again from "
                f"{LIBRISPEECH}"
            ) from None
        files += [(str(speaker), archive / path) for path, _, _, speaker, _, _ in facts]
    return files
