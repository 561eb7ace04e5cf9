"""Audio files in, one file a stem out: all stems of a song, or none."""

import os
import shutil
import tempfile
import unicodedata
from contextlib import ExitStack
from pathlib import Path

import soundfile

from . import audio
from .errors import SepkitError, unknown
from .files import free_bytes
from .streaming import CHUNK, OVERLAP, bridging, stream, warn

#: Bytes a sample that each format writes: at most, or for lossy ones roughly.
_BYTES = {".wav": 4, ".flac": 3, ".mp3": 0.4, ".ogg": 0.4}


def separate_file(
    path, separator, out_dir, targets=None, two_stems=None, suffix=".wav", chunk=CHUNK, overlap=OVERLAP,
    start=0.0, duration=None, subtype=None, clip=False, progress=None, notice=warn,
):  # fmt: skip
    """Separate a file into ``out_dir/<name of the file>/<target><suffix>``.

    The file is read, separated and written chunk by chunk: memory does not grow
    with its length. The stems have its rate, channels and length. They appear
    together when all are complete; an error or Ctrl-C leaves what was there before.

    Parameters
    ----------
    path : str or Path
        WAV, FLAC, OGG or MP3, mono or stereo, any rate.
    separator : Separator
    out_dir : str or Path
        Made when missing. Stems of the same name from an earlier call are replaced.
    targets : sequence of str, optional
        Write only these.
    two_stems : str, optional
        Write this target and ``no_<target>``, the mixture less the target.
    suffix : str
        ``.wav`` (32-bit float), ``.flac`` (24 bit), ``.mp3`` or ``.ogg``.
    chunk, overlap : float
        In seconds, see `sepkit.streaming.stream`; ``chunk=None`` separates the whole at once.
    start, duration : float
        Take only this part of the file, in seconds.
    subtype : str, optional
        Another soundfile subtype, such as ``"PCM_16"``.
    clip : bool
        Limit samples to +-1. Without it they are refused by all formats but float WAV.
    progress : callable, optional
        Called with the seconds done and the seconds in all.
    notice : callable or None
        Told in one line when the file had to be resampled or its channels changed.

    Returns
    -------
    dict of str to Path

    Raises
    ------
    SepkitError
        If the file cannot be used, a target is unknown, or the folder cannot be
        written or has no room; the message names the file.
    """
    recording = Recording(path, start, duration)
    folder = output_folders([path], out_dir)[Path(path)]
    stems = _Stems(recording, folder, targets, two_stems, suffix, subtype, clip)
    if separator.targets is not None:  # before any work
        residual = ("residual",) if separator.residual == "residual" else ()
        stems.choose((*separator.targets, *residual))
    if notice and (message := bridging(separator, recording.sample_rate, recording.channels)):
        notice(f"{path}: {message}")
    try:
        with stems:
            for block in stream(separator, recording, chunk, overlap, progress):
                stems.write(block)
    except SepkitError as error:
        raise SepkitError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    return stems.files


def separate_files(paths, separator, out_dir, on_error=None, **options):
    """`separate_file` for several files.

    Parameters
    ----------
    paths : sequence of str or Path
    separator, out_dir, **options
        As for `separate_file`.
    on_error : callable, optional
        Called with the path and the `SepkitError` of a file that fails, before
        going on to the next. Without it, the first failure is raised.

    Returns
    -------
    dict of Path to dict of str to Path

    Raises
    ------
    SepkitError
        Before any work, if two files would be written to one folder.
    """
    written = {}
    for path in output_folders(paths, out_dir):
        try:
            written[path] = separate_file(path, separator, out_dir, **options)
        except SepkitError as error:
            if on_error is None:
                raise
            on_error(path, error)
    return written


def output_folders(paths, out_dir):
    """{path: folder of its stems}; a file given twice counts once.

    The folder has the name of the file; ``SONG/mixture.wav``, as data sets have it,
    goes into ``SONG``.

    Raises
    ------
    SepkitError
        If two files would be written to one folder: ``a/song.mp3`` and ``b/song.wav``.
    """
    folders, taken = {}, {}
    for path in map(Path, paths):
        name = path.stem if path.stem.strip(".") else path.name
        if name == "mixture":
            name = path.resolve().parent.name or name
        key = unicodedata.normalize("NFC", name).casefold()  # what some file systems take for one name
        if key in taken and taken[key].resolve() != path.resolve():
            raise SepkitError(
                f"{path}: its stems would be written to {Path(out_dir) / name}, like those of {taken[key]}; "
                "rename one, or separate it into another folder"
            )
        if key not in taken:
            taken[key], folders[path] = path, Path(out_dir) / name
    return folders


class Recording:
    """A file, or a part of it (in seconds), that `stream` can read like a Track without stems."""

    stems = ()

    def __init__(self, path, start=0.0, duration=None):
        header = audio.info(path)
        self.name, self.path = header.path.stem, header.path
        self.sample_rate, self.channels = header.sample_rate, header.channels
        self._first = round(start * self.sample_rate)
        rest = header.samples - self._first
        self.samples = rest if duration is None else min(rest, round(duration * self.sample_rate))
        if start < 0 or rest < 1 or self.samples < 1:
            raise SepkitError(
                f"{path}: start {start} s, duration {duration} s: nothing of the file, which lasts {header.seconds:.3f} s, lies there"
            )

    def mixture(self, start, frames):
        """(channels, frames) from sample `start` of the part."""
        return audio.read(self.path, self._first + start, frames)[0]


class _Stems:
    """Writes stems into a hidden folder beside the final one, and puts them in place at the end."""

    def __init__(self, recording, folder, targets, two_stems, suffix, subtype, clip):
        self.recording, self.folder, self.two_stems = recording, folder, two_stems
        self.suffix = suffix if suffix.startswith(".") else f".{suffix}"
        self.targets = [targets] if isinstance(targets, str) else targets
        self._options = dict(subtype=subtype, clip=clip, samples=recording.samples)
        self._writer(folder, "stem")  # complains now about a format that cannot be written
        self.files, self._done = {}, 0

    def choose(self, names):
        """Which of the estimates are written; refuses unknown ones."""
        wanted = (self.two_stems,) if self.two_stems else names if self.targets is None else self.targets
        for target in wanted:
            if target not in names:
                raise unknown("target", target, names)
        return [*wanted, f"no_{self.two_stems}"] if self.two_stems else list(wanted)

    def __enter__(self):
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            if self.folder.exists() and not self.folder.is_dir():
                raise SepkitError(f"{self.folder}: is a file, where the folder of the stems belongs; choose another output folder")
            self._beside = Path(tempfile.mkdtemp(prefix=f".{self.folder.name[:40]}.", dir=self.folder.parent))
        except OSError as error:
            raise SepkitError(f"{self.folder}: cannot be written ({error.strerror}); choose another folder") from None
        self._stack = ExitStack()
        return self

    def write(self, block):
        """Append a stretch of {target: (channels, n)}."""
        names = self.choose(tuple(block))
        if self.two_stems:
            target = block[self.two_stems]
            block = {**block, names[1]: self.recording.mixture(self._done, target.shape[-1]) - target}
        self._done += block[names[0]].shape[-1]
        if not self.files:
            self._open(names)
        for writer, name in zip(self._writers, names):
            writer.write(block[name])

    def _open(self, names):
        files = {name: self.folder / f"{name}{self.suffix}" for name in names}
        for file in files.values():
            if file.exists() and file.samefile(self.recording.path):
                raise SepkitError(f"{file}: would overwrite the file that is being separated; choose another output folder")
        samples = self.recording.samples * self.recording.channels * len(names)
        need, free = _BYTES[self.suffix.lower()] * samples, free_bytes(self.folder)
        if need > free:
            raise SepkitError(f"{self.folder}: {need / 1e9:.2f} GB needed, {free / 1e9:.2f} GB free; free some space or write .mp3")
        self._writers = [self._stack.enter_context(self._writer(self._beside, name)) for name in names]
        self.files = files

    def _writer(self, folder, name):
        return audio.Writer(folder / f"{name}{self.suffix}", self.recording.sample_rate, self.recording.channels, **self._options)

    def __exit__(self, kind, error, trace):
        try:
            try:
                self._stack.__exit__(kind, error, trace)  # closes the files; on failure they vanish
            except (soundfile.LibsndfileError, OSError) as failure:
                raise SepkitError(f"{self.folder}: the stems could not be completed ({failure}); is the disk full?") from None
            if kind is None:
                try:
                    self._put_in_place()
                except OSError as failure:
                    raise SepkitError(f"{self.folder}: cannot be written ({failure.strerror}); choose another folder") from None
            elif isinstance(error, SepkitError):  # the hidden folder means nothing to the user
                raise SepkitError(str(error).replace(str(self._beside), str(self.folder))) from None
        finally:
            shutil.rmtree(self._beside, ignore_errors=True)

    def _put_in_place(self):
        if not self.folder.exists():
            mask = os.umask(0)
            os.umask(mask)
            self._beside.chmod(0o777 & ~mask)
            os.rename(self._beside, self.folder)
            return
        for file in self.files.values():
            os.replace(self._beside / file.name, file)
