"""Song folders: one folder per song, one file per stem, and perhaps a mixture.

MUSDB18-HQ, the band and anyone's own recordings have this layout. Stems may
have any names: vocals.wav and drums.flac, or speech.wav and noise.wav.
"""

from pathlib import Path

import torch

from .. import audio
from ..errors import SepkitError
from ..stems import in_order
from .track import Track

#: Seconds by which the files of one song may differ, as encoders and editors leave them: the
#: shorter are continued by silence. A larger difference is a mistake.
PADDING = 0.5


def audio_files(folder: str | Path) -> dict[str, Path]:
    """{file name without suffix: path} of the audio files in a folder, hidden files left out.

    Broken links, pipes and the like are among them: reading them says what they are.
    """
    files: dict[str, Path] = {}
    for path in sorted(Path(folder).iterdir()):
        name = path.name.lower()
        if name.startswith(".") or name.endswith(".stem.mp4"):  # those hold all stems
            continue
        if name.endswith(audio.SUFFIXES) and not path.is_dir():
            if path.stem in files:
                raise SepkitError(
                    f"{path}: {files[path.stem].name} is there too; keep one file a stem"
                )
            files[path.stem] = path
    return files


def is_song(folder: str | Path) -> bool:
    """Whether a folder holds audio files itself."""
    return Path(folder).is_dir() and bool(audio_files(folder))


class FilesTrack(Track):
    """A Track of one audio file a stem.

    Parameters
    ----------
    name : str
    place : Path
        What notes and errors call it.
    files : dict of str to Path
        A file for every stem, and perhaps one for ``"mixture"``.
    sample_rate, channels : int, optional
        As in `Track`.

    Attributes
    ----------
    has_mixture : bool
        True when a mixture file is there; otherwise the mixture is the sum of the stems.

    Raises
    ------
    SepkitError
        If a file is unreadable, or two of them differ in rate or by more than `PADDING` in
        length; the message names both.
    """

    def __init__(
        self,
        name: str,
        place: Path,
        files: dict[str, Path],
        sample_rate: int | None = None,
        channels: int | None = None,
    ):
        headers = {stem: audio.info(path) for stem, path in files.items()}
        samples, self.notes = _one_length(place, list(headers.values()))
        rate = next(iter(headers.values())).sample_rate
        self._headers, self.has_mixture = headers, "mixture" in files
        self.paths = tuple(files.values())
        self._channels = max(header.channels for header in headers.values())
        stems = in_order(stem for stem in files if stem != "mixture")
        super().__init__(name, stems, rate, samples, self._channels, sample_rate, channels)

    @property
    def seekable(self) -> bool:  # type: ignore[override]
        """Whether all files are uncompressed or FLAC, and read at their own rate."""
        return self.sample_rate == self.file_rate and all(
            map(audio.seekable, self._headers.values())
        )

    @property
    def block(self) -> int:  # type: ignore[override]
        """Samples worth reading at a time; a compressed song of usual length is decoded at once."""
        return (
            Track.block
            if all(map(audio.seekable, self._headers.values()))
            else 300 * self.file_rate
        )

    def _read_file(self, name, start, frames):
        if name == "mixture" and not self.has_mixture:
            return sum(self._read_file(stem, start, frames) for stem in self.stems)
        header = self._headers[name]
        there = max(0, min(frames, header.samples - start))
        if not there:
            return torch.zeros(self._channels, frames)
        part = audio.read(header.path, start, there, channels=self._channels, header=header)[0]
        return torch.nn.functional.pad(part, (0, frames - there))


class FolderTrack(FilesTrack):
    """A song folder as a Track.

    Parameters
    ----------
    folder : str or Path
        Holds one audio file per stem and, if there is one, ``mixture.*``.
    sample_rate, channels : int, optional
        As in `Track`.

    Raises
    ------
    SepkitError
        If there are no stems, and as `FilesTrack`.
    """

    def __init__(
        self, folder: str | Path, sample_rate: int | None = None, channels: int | None = None
    ):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise SepkitError(
                f"{folder}: no such folder; a folder with one audio file a stem was expected"
            )
        files = audio_files(self.folder)
        if not [name for name in files if name != "mixture"]:
            raise SepkitError(
                f"{folder}: no stems found; expected files such as vocals.wav and drums.wav"
            )
        super().__init__(self.folder.name, self.folder, files, sample_rate, channels)


def _one_length(folder, headers):
    """The samples of a song, and notes on shorter files; `headers` are its files' `AudioInfo`."""
    longest, rate = max(headers, key=lambda header: header.samples), headers[0].sample_rate
    for header in headers:
        if header.sample_rate != rate:
            raise SepkitError(
                f"{header.path}: sample rate {header.sample_rate} differs from {rate} in "
                f"{headers[0].path.name}; stems of one song must match"
            )
    shorter = [header for header in headers if header.samples < longest.samples]
    for header in shorter:
        if longest.samples - header.samples > PADDING * rate:
            raise SepkitError(
                f"{header.path}: {header.samples} samples differ from {longest.samples} in "
                f"{longest.path.name}, by more than {PADDING:g} s; stems of one song must match"
            )
    if not shorter:
        return longest.samples, ()
    differences = ", ".join(
        f"{header.path.name} by {longest.samples - header.samples} samples" for header in shorter
    )
    return longest.samples, (
        f"{folder}: padded with silence to the length of {longest.path.name}: {differences}",
    )
