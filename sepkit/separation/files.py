"""Audio files in, one file per stem out: all stems of a song, or none."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from .. import audio
from ..audio.tags import read_tags
from ..audio.writer import output_format
from ..errors import SepkitError, naming, unknown, warn
from ..files import free_bytes, size_text
from ..files.atomic import Temporary, sweep_once, umask
from .base import Separator
from .inputs import RECORD, output_folders
from .record import describe, earlier_stems, finished, write_record
from .streaming import CHUNK, OVERLAP, conversions, stream

#: Bytes of a sample: at most, or for lossy formats roughly.
_BYTES = {
    "PCM_16": 2,
    "PCM_24": 3,
    "PCM_32": 4,
    "FLOAT": 4,
    "DOUBLE": 8,
    "MPEG_LAYER_III": 0.4,
    "VORBIS": 0.4,
    "OPUS": 0.4,
}


def separate_file(
    path: str | Path,
    separator: Separator,
    out_dir: str | Path,
    targets: str | Sequence[str] | None = None,
    two_stems: str | None = None,
    suffix: str = ".wav",
    chunk: float | None = CHUNK,
    overlap: float = OVERLAP,
    start: float = 0.0,
    duration: float | None = None,
    subtype: str | None = None,
    clip: bool = False,
    progress: Callable[[float, float], None] | None = None,
    notice: Callable[[str], None] | None = warn,
    bitrate: int | None = None,
    folder: Path | None = None,
    overwrite: bool = False,
    reuse: bool = False,
) -> dict[str, Path]:
    """Separate a file into ``out_dir/<name of the file>/<target><suffix>``.

    The file is read, separated and written chunk by chunk: memory does not grow
    with its length. The stems have its rate, channels, length and tags. They appear
    together when all are complete; an error or Ctrl-C leaves what was there before.
    ``separation.json`` beside them says what made them.

    Parameters
    ----------
    path : str or Path
        In any format of `sepkit.audio.READABLE`, mono or stereo, any rate.
    separator : Separator
    out_dir : str or Path
        Made when missing. Stems that the same separation has made are made again;
        those of another recording, separator or set of options are refused.
    targets : sequence of str, optional
        Write only these.
    two_stems : str, optional
        Write this target and ``no_<target>``, the mixture less the target.
    suffix : str
        ``.wav`` (32-bit float), ``.flac`` (24 bit), ``.mp3`` or ``.ogg``.
    chunk, overlap : float
        In seconds, see `sepkit.separation.streaming.stream`; ``chunk=None`` separates
        the whole at once.
    start, duration : float
        Take only this part of the file, in seconds.
    subtype : str, optional
        Another one of `sepkit.audio.FORMATS`, such as ``"PCM_16"``.
    clip : bool
        Limit samples to +-1. Without it they are refused by all formats but float WAV.
    progress : callable, optional
        Called with the seconds done and the seconds in all.
    notice : callable or None
        Called with one line when the file has to be resampled or its channels changed.
    bitrate : int, optional
        Of MP3, constant, in kbit/s.
    folder : Path, optional
        Where the stems go, instead of a folder in `out_dir` with the name of the file.
    overwrite : bool
        Replace the stems of another separation.
    reuse : bool
        Leave stems that this very separation has made as they are.

    Returns
    -------
    dict of str to Path

    Raises
    ------
    SepkitError
        If the file cannot be used, a target is unknown, or the folder cannot be
        written, has no room or holds other stems; the message names the file.
    """
    recording = Recording(path, start, duration)
    if folder is None:
        folder = output_folders([path], out_dir)[Path(path)]
    options = dict(
        targets=[targets] if isinstance(targets, str) else targets,
        two_stems=two_stems,
        suffix=suffix,
        subtype=subtype,
        bitrate=bitrate,
        clip=clip,
        start=start,
        duration=duration,
        chunk=chunk,
        overlap=overlap,
    )
    with naming(path):
        sweep_once(folder.parent)  # also where there is nothing to write
        stems = _StemWriter(recording, separator, folder, options, overwrite)
        if reuse and (existing := finished(folder, stems.made)):
            return existing
        message = conversions(separator, recording.sample_rate, recording.channels)
        if notice and message:
            notice(f"{path}: {message}")
        with stems:
            for block in stream(separator, recording, chunk, overlap, progress):
                stems.write(block)
    return stems.files


def separate_files(
    paths: Sequence[str | Path],
    separator: Separator,
    out_dir: str | Path,
    on_error: Callable[[Path, SepkitError], None] | None = None,
    name: str = "{stem}",
    **options,
) -> dict[Path, dict[str, Path]]:
    """`separate_file` for several files.

    Parameters
    ----------
    paths : sequence of str or Path
        As `find_recordings` finds them.
    separator, out_dir, **options
        As for `separate_file`.
    on_error : callable, optional
        Called with the path and the `SepkitError` of a file that fails, before
        going on to the next. Without it, the first failure is raised.
    name : str
        A template for the folders, see `output_folders`.

    Returns
    -------
    dict of Path to dict of str to Path

    Raises
    ------
    SepkitError
        Before any work, if two files would be written to one folder.
    """
    written = {}
    for path, folder in output_folders(paths, out_dir, name, separator.name).items():
        try:
            written[path] = separate_file(path, separator, out_dir, folder=folder, **options)
        except SepkitError as error:
            if on_error is None:
                raise
            on_error(path, error)
    return written


class Recording:
    """A file, or a part of it (in seconds), that `stream` can read like a Track without stems."""

    stems = ()

    def __init__(self, path: str | Path, start: float = 0.0, duration: float | None = None):
        header = audio.info(path)
        self.name, self.path = header.path.stem, header.path
        self.sample_rate, self.channels = header.sample_rate, header.channels
        self._first = round(start * self.sample_rate)
        rest = header.samples - self._first
        self.samples = rest if duration is None else min(rest, round(duration * self.sample_rate))
        if start < 0 or rest < 1 or self.samples < 1:
            raise SepkitError(
                f"{path}: start {start} s, duration {duration} s: nothing of the file, "
                f"which lasts {header.seconds:.3f} s, lies there"
            )

    def mixture(self, start, frames):
        """(channels, frames) from sample `start` of the part."""
        return audio.read(self.path, self._first + start, frames)[0]


class _StemWriter:
    """Writes stems into a hidden folder beside the final one, and puts them in place at the end.

    Parameters
    ----------
    recording : Recording
    separator : Separator
    folder : Path
        Where the stems will stand.
    options : dict
        The arguments of `separate_file` that decide what the files hold.
    overwrite : bool
        Replace the stems of another separation.
    """

    def __init__(self, recording, separator, folder, options, overwrite):
        suffix = options["suffix"].lower()
        self.suffix = suffix if suffix.startswith(".") else f".{suffix}"
        _, self._subtype = output_format(
            folder / f"*{self.suffix}",
            options["subtype"],
            options["bitrate"],
            recording.sample_rate,
        )
        self.recording, self.folder, self.device = recording, folder, separator.device
        self.two_stems, self.targets = options["two_stems"], options["targets"]
        self.overwrite = overwrite
        self._format = {key: options[key] for key in ("subtype", "bitrate", "clip")}
        self.made = describe(
            recording, separator, {**options, "suffix": self.suffix, "subtype": self._subtype}
        )
        self.files, self._samples_done = {}, 0
        self._names = None  # of the files, where they are known before any work
        if separator.targets is not None:
            residual = ("residual",) if separator.residual == "residual" else ()
            self._names = self.choose((*separator.targets, *residual))

    def choose(self, names):
        """Which of the estimates are written; refuses unknown ones."""
        if self.two_stems:
            chosen = [self.two_stems]
        else:
            chosen = list(names if self.targets is None else self.targets)
        for target in chosen:
            if target not in names:
                raise unknown("target", target, names)
        return [*chosen, f"no_{self.two_stems}"] if self.two_stems else chosen

    def __enter__(self):
        try:
            if self.folder.exists() and not self.folder.is_dir():
                raise SepkitError(
                    f"{self.folder}: is a file, where the folder of the stems belongs; "
                    "choose another output folder"
                )
            if self._names:
                self._check(self._names)
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._beside = Temporary(self.folder, folder=True)
        except OSError as error:
            raise SepkitError(
                f"{self.folder}: cannot be written ({error.strerror}); choose another folder"
            ) from None
        self._stack = ExitStack()
        return self

    def write(self, block):
        """Append the next part, {target: (channels, n)}."""
        names = self.choose(tuple(block))
        if self.two_stems:
            target = block[self.two_stems]
            mixture = self.recording.mixture(self._samples_done, target.shape[-1])
            block = {**block, names[1]: mixture - target}
        self._samples_done += block[names[0]].shape[-1]
        if not self.files:
            self._open(names)
        for writer, name in zip(self._writers, names):
            writer.write(block[name])

    def _check(self, names):
        """Refuse to write over the input or over other stems, or without enough room."""
        files = {name: self.folder / f"{name}{self.suffix}" for name in names}
        for file in files.values():
            if file.exists() and file.samefile(self.recording.path):
                raise SepkitError(
                    f"{file}: would overwrite the file that is being separated; "
                    "choose another output folder"
                )
        self._replaceable(files)
        samples = self.recording.samples * self.recording.channels * len(names)
        need, free = _BYTES[self._subtype] * samples, free_bytes(self.folder)
        if need > free:
            raise SepkitError(
                f"{self.folder}: {size_text(need)} needed, {size_text(free)} free; "
                "free some space or write .mp3"
            )
        return files

    def _replaceable(self, files):
        names = [file.name for file in files.values()]
        return earlier_stems(self.folder, self.made, names, self.overwrite)

    def _open(self, names):
        files = self._check(names)
        tags = read_tags(self.recording.path)
        self._writers = [
            self._stack.enter_context(
                audio.Writer(
                    self._beside.path / file.name,
                    self.recording.sample_rate,
                    self.recording.channels,
                    samples=self.recording.samples,
                    tags=tags,
                    **self._format,
                )
            )
            for file in files.values()
        ]
        self.files = files

    def __exit__(self, kind, error, trace):
        try:
            try:
                self._stack.__exit__(kind, error, trace)  # closes the files; on failure they vanish
                if kind is None:
                    self._put_in_place()
            except OSError as failure:
                raise SepkitError(
                    f"{self.folder}: the stems could not be completed "
                    f"({failure.strerror or failure}); free some disk space or choose another "
                    "folder"
                ) from None
            if isinstance(error, SepkitError):
                raise error
        except SepkitError as failure:  # the hidden folder means nothing to the user
            message = str(failure).replace(str(self._beside.path), str(self.folder))
            raise SepkitError(message) from None
        finally:
            self._beside.remove()

    def _put_in_place(self):
        """All at once into a new folder; into one that is there, file by file.

        There the record goes first and comes last: whoever is killed in between leaves
        a folder of unknown origin, which the next call refuses, not a mixture of two.
        """
        beside = self._beside.path
        stems = [beside / file.name for file in self.files.values()]
        write_record(beside, self.made, stems, self.device)
        if not self.folder.exists():
            beside.chmod(0o777 & ~umask())
            self._beside.become(self.folder)
            return
        earlier = self._replaceable(self.files)  # another process may have been faster
        (self.folder / RECORD).unlink(missing_ok=True)
        for file in earlier:
            file.unlink(missing_ok=True)
        for file in (*self.files.values(), self.folder / RECORD):
            os.replace(beside / file.name, file)
