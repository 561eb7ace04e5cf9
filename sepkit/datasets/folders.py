"""Song folders: one folder a song, one file a stem, and perhaps a mixture.

MUSDB18-HQ, the band and anyone's own recordings have this layout. Stems may
have any names: vocals.wav and drums.flac, or speech.wav and noise.wav.
"""

from pathlib import Path

from .. import audio
from ..errors import SepkitError
from .track import Track

SUFFIXES = tuple(audio.FORMATS)
#: The order in which the field's tables show stems; others follow by name.
ORDER = ("vocals", "drums", "bass", "other", "speech", "noise")


def audio_files(folder):
    """{file name without suffix: path} of the audio files in a folder, hidden files left out."""
    files = {}
    for path in sorted(Path(folder).iterdir()):
        if path.is_file() and path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            if path.stem in files:
                raise SepkitError(f"{path}: {files[path.stem].name} is there too; keep one file a stem")
            files[path.stem] = path
    return files


def is_song(folder):
    """Whether a folder holds audio files itself."""
    return Path(folder).is_dir() and bool(audio_files(folder))


class FolderTrack(Track):
    """A song folder as a Track.

    Parameters
    ----------
    folder : str or Path
        Holds one audio file a stem and, if there is one, ``mixture.*``.
    sample_rate, channels : int, optional
        As in `Track`.

    Attributes
    ----------
    has_mixture : bool
        True when a mixture file is there; otherwise the mixture is the sum of the stems.

    Raises
    ------
    SepkitError
        If there are no stems, a file is unreadable, or two stems differ in
        length, rate or channels; the message names both.
    """

    def __init__(self, folder, sample_rate=None, channels=None):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise SepkitError(f"{folder}: no such folder; a folder with one audio file a stem was expected")
        files = audio_files(self.folder)
        if not [name for name in files if name != "mixture"]:
            raise SepkitError(f"{folder}: no stems found; expected files such as vocals.wav and drums.wav")
        headers = {name: audio.info(path) for name, path in files.items()}
        first, *others = headers.values()
        for header in others:
            for what in ("sample_rate", "samples"):
                if getattr(header, what) != getattr(first, what):
                    raise SepkitError(
                        f"{header.path}: {what.replace('_', ' ')} {getattr(header, what)} differs from "
                        f"{getattr(first, what)} in {first.path.name}; stems of one song must match"
                    )
        self._headers, self.has_mixture, self.paths = headers, "mixture" in files, tuple(files.values())
        self._channels = max(header.channels for header in headers.values())
        stems = sorted((n for n in files if n != "mixture"), key=lambda n: (ORDER.index(n) if n in ORDER else len(ORDER), n))
        super().__init__(self.folder.name, stems, first.sample_rate, first.samples, self._channels, sample_rate, channels)

    def _read_file(self, name, start, frames):
        if name == "mixture" and not self.has_mixture:
            return sum(self._read_file(stem, start, frames) for stem in self.stems)
        header = self._headers[name]
        return audio.read(header.path, start, frames, channels=self._channels, header=header)[0]
