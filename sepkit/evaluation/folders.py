"""Pairing folders of estimated stems with folders of true ones: by name, never by order."""

from dataclasses import dataclass
from pathlib import Path

import torch

from .. import audio
from ..datasets import SPLITS, open_tracks
from ..datasets.folders import audio_files, is_song
from ..datasets.track import Track
from ..errors import SepkitError, first_few
from ..files import digest, identity
from ..metrics.findings import Finding
from ..metrics.signals import Signals
from .jobs import references_for, signals_of
from .signals import TrackSignal, seekable_track


@dataclass
class FolderSong:
    """A track and the files with its estimates: what a `Job` scores."""

    track: Track
    files: dict[str, Path]  # {target: path}
    parts: dict[str, tuple[str, ...]]  # {target: stems whose sum is its reference}
    name: str  # what tables call the estimates

    def identity(self) -> str:
        """A hash of the track and of all files with estimates."""
        estimates = {target: identity(path) for target, path in self.files.items()}
        return digest(self.track.identity(), estimates)

    def signals(self, track: Track) -> tuple[Signals, list[Finding], dict]:
        """Signals, findings and provenance; what does not fit is made to fit, and reported."""
        findings: list[Finding] = []
        estimates = {
            target: self._fitted(target, path, track, findings)
            for target, path in self.files.items()
        }
        return signals_of(track, self.parts, estimates), findings, {}

    def _fitted(self, target, path, track, findings):
        """The signal of a file, made to fit its reference."""

        def report(kind, text):
            findings.append(Finding(kind, "", (target,), f"{path}: {text}"))

        rate, channels, samples = track.sample_rate, track.channels, track.samples
        estimate = FileTrack(path, rate, channels)
        header = estimate.header
        if header.sample_rate != rate:
            report("rate", f"{header.sample_rate} Hz, resampled to the references' {rate} Hz")
        if header.channels != channels:
            report("channels", f"{header.channels} channel(s), made {channels} like the reference")
        missing = samples - estimate.samples
        if abs(missing) > (header.sample_rate != rate):  # resampling may round up one sample
            report("length", _length_in_words(estimate.samples, samples, rate))
        return FittedSignal(TrackSignal(seekable_track(estimate), ("estimate",)), samples)


def _length_in_words(found, expected, rate):
    missing = expected - found
    done = "padded with silence at its end" if missing > 0 else "cut at its end"
    return (
        f"{found / rate:.3f} s, but the reference has {expected / rate:.3f} s "
        f"({abs(missing)} samples {'missing' if missing > 0 else 'more'}): {done}; "
        "if the two do not start together, the scores mean nothing"
    )


class FileTrack(Track):
    """One file as a track with one stem, at any rate and number of channels."""

    def __init__(self, path: Path, sample_rate: int, channels: int):
        self.header = audio.info(path)
        super().__init__(
            str(path),
            ("estimate",),
            self.header.sample_rate,
            self.header.samples,
            channels,
            sample_rate,
        )
        self.paths = (self.header.path,)

    @property
    def seekable(self) -> bool:  # type: ignore[override]
        """Where nothing is resampled, and the format allows it."""
        return self.sample_rate == self.file_rate and audio.seekable(self.header)

    def _read_file(self, name, start, frames):
        return audio.read(self.header.path, start, frames, header=self.header)[0]


class FittedSignal:
    """A signal cut to a number of samples, or continued by zeros."""

    def __init__(self, signal, samples):
        self.signal, self.samples, self.channels = signal, samples, signal.channels

    def read(self, start, frames):
        """(channels, frames) from sample `start`."""
        available = max(0, min(frames, self.signal.samples - start))
        part = self.signal.read(start, available) if available else torch.zeros(self.channels, 0)
        return torch.nn.functional.pad(part, (0, frames - available))


def paired_songs(
    reference: str | Path, estimate: str | Path, name: str, sample_rate: int | None = None
) -> tuple[list[FolderSong], list[Finding]]:
    """Pair songs and stems by name.

    Parameters
    ----------
    reference, estimate : str or Path
        Two song folders, or two folders of songs; `estimate` may also hold them
        under ``test/`` and the like, as the reference may.
    name : str
        What tables call the estimates.
    sample_rate : int, optional

    Returns
    -------
    songs : list of FolderSong
    findings : list of Finding
        What was left out, and why.

    Raises
    ------
    SepkitError
        As `sepkit.evaluation.evaluate_folders`.
    """
    if not Path(estimate).is_dir():
        raise SepkitError(f"{estimate}: no such folder; a folder with estimated stems was expected")
    tracks = open_tracks(reference, sample_rate=sample_rate)
    folders = _song_folders(Path(estimate))
    findings: list[Finding] = []
    if is_song(estimate) and Path(reference).is_dir() and is_song(reference):
        pairs = [(tracks[0], Path(estimate))]  # one song each: their folders may have any names
    elif is_song(estimate):
        raise SepkitError(
            f"{estimate}: holds audio files itself, but {reference} holds {len(tracks)} "
            "song(s), each in a folder: give the folder of one song "
            "as the reference, or put the files into folders named after the songs, such as "
            f"{Path(estimate).name}/{tracks[0].name}/{tracks[0].stems[0]}.wav"
        )
    else:
        pairs = [(track, folders[track.name]) for track in tracks if track.name in folders]
        _check_songs(reference, estimate, tracks, folders, pairs, findings)
    songs = [_pair_stems(track, folder, name, findings) for track, folder in pairs]
    _check_alike(songs)
    return songs, findings


def _song_folders(folder):
    """{song name: folder} right in a folder or in its train/, valid/ or test/."""
    places = [
        folder,
        *(
            folder / split
            for split in SPLITS
            if (folder / split).is_dir() and not is_song(folder / split)
        ),
    ]
    return {
        song.name: song
        for place in places
        for song in sorted(place.iterdir())
        if song.is_dir() and not song.name.startswith(".") and is_song(song)
    }


def _check_songs(reference, estimate, tracks, folders, pairs, findings):
    if not folders:
        raise SepkitError(
            f"{estimate}: no audio files, and no folders with any; expected SONG/vocals.wav, ..."
        )
    if not pairs:
        raise SepkitError(
            f"no song of {estimate} ({first_few(folders)}) has the name of one of {reference} "
            f"({first_few(t.name for t in tracks)}); "
            "songs are paired by the names of their folders: rename them"
        )
    paired = {track.name for track, _ in pairs}
    if missing := [track.name for track in tracks if track.name not in paired]:
        text = (
            f"{estimate}: no estimates for {len(missing)} of {len(tracks)} songs "
            f"({first_few(missing)}): scored without them"
        )
        findings.append(Finding("songs", "", (), text))
    if extra := [name for name in folders if name not in paired]:
        text = f"{estimate}: {first_few(extra)} left out, having no reference of that name"
        findings.append(Finding("extra songs", "", (), text))


def _pair_stems(track, folder, separator, findings):
    files = {name: path for name, path in audio_files(folder).items() if name != "mixture"}
    parts, sums = references_for(track.stems, files, track.name)
    if not parts:
        raise SepkitError(
            f"{folder}: its files ({first_few(files)}) and the references of {track.name} "
            f"({', '.join(track.stems)}) have no name in common; "
            "stems are paired by name: rename the files"
        )
    findings += sums
    for name in files:
        if name not in parts:
            text = (
                f"{files[name]}: left out, there is no reference {name!r} "
                f"(there are {', '.join(track.stems)})"
            )
            findings.append(Finding("extra stems", "", (name,), text))
    estimated = {stem for stems in parts.values() for stem in stems}
    if missing := tuple(stem for stem in track.stems if stem not in estimated):
        text = (
            f"{folder}: no estimate of {', '.join(missing)}; scored without, which can change "
            "the frames that count for csdr"
        )
        findings.append(Finding("missing stems", "", missing, text))
    return FolderSong(track, {target: files[target] for target in parts}, parts, separator)


def _check_alike(songs):
    """Refuse a stem that only some songs lack: a mistake, and no summary would be of all songs."""
    for target in dict.fromkeys(target for song in songs for target in song.files):
        for song in songs:
            if target not in song.files and (
                target in song.track.stems
                or target not in {s for other in songs for s in other.track.stems}
            ):
                folder = next(iter(song.files.values())).parent
                raise SepkitError(
                    f"{folder}: no estimate of {target}, which other songs have; separate this "
                    "song again, or take it out of the folder"
                )
