"""Pairing folders of estimated stems with folders of true ones: by name, never by order."""

from dataclasses import dataclass
from pathlib import Path

from ..datasets import SPLITS, open_tracks
from ..datasets.folders import audio_files, is_song
from ..errors import SepkitError
from ..files import digest, identity
from ..metrics.findings import Finding
from .jobs import references_for, signals_of
from .signals import FileTrack, Fitted, Part, by_parts


@dataclass
class Song:
    """A track and the files with its estimates."""

    track: object
    files: dict  # {target: path}
    parts: dict  # {target: stems whose sum is its reference}
    name: str  # what tables call the estimates

    def identity(self):
        estimates = {target: identity(path) for target, path in self.files.items()}
        return digest(self.track.identity(), estimates)

    def signals(self, track):
        """Signals, findings and provenance: what does not fit exactly is made to fit, and told."""
        findings = []
        estimates = {
            target: self._fitted(target, path, track, findings)
            for target, path in self.files.items()
        }
        return signals_of(track, self.parts, estimates), findings, {}

    def _fitted(self, target, path, track, findings):
        def tell(kind, text):
            findings.append(Finding(kind, "", (target,), f"{path}: {text}"))

        rate, channels, samples = track.sample_rate, track.channels, track.samples
        estimate = FileTrack(path, rate, channels)
        header = estimate.header
        if header.sample_rate != rate:
            tell("rate", f"{header.sample_rate} Hz, resampled to the references' {rate} Hz")
        if header.channels != channels:
            tell("channels", f"{header.channels} channel(s), made {channels} like the reference")
        missing = samples - estimate.samples
        if abs(missing) > (header.sample_rate != rate):  # resampling may round up one sample
            done = "padded with silence at its end" if missing > 0 else "cut at its end"
            tell(
                "length",
                (
                    f"{estimate.samples / rate:.3f} s, but the reference has "
                    f"{samples / rate:.3f} s ({abs(missing)} samples "
                    f"{'missing' if missing > 0 else 'more'}): {done}; if the two do not start "
                    "together, the scores mean nothing"
                ),
            )
        return Fitted(Part(by_parts(estimate), ("estimate",)), samples)


def paired_songs(reference, estimate, name, sample_rate=None):
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
    songs : list of Song
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
    findings = []
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
            f"no song of {estimate} ({_some(folders)}) has the name of one of {reference} "
            f"({_some(t.name for t in tracks)}); "
            "songs are paired by the names of their folders: rename them"
        )
    paired = {track.name for track, _ in pairs}
    if missing := [track.name for track in tracks if track.name not in paired]:
        text = f"{estimate}: no estimates for {len(missing)} of {len(tracks)} songs ({_some(missing)}): scored without them"
        findings.append(Finding("songs", "", (), text))
    if extra := [name for name in folders if name not in paired]:
        findings.append(
            Finding(
                "extra songs",
                "",
                (),
                f"{estimate}: {_some(extra)} left out, having no reference of that name",
            )
        )


def _pair_stems(track, folder, called, findings):
    files = {name: path for name, path in audio_files(folder).items() if name != "mixture"}
    parts, sums = references_for(track.stems, files, track.name)
    if not parts:
        raise SepkitError(
            f"{folder}: its files ({_some(files)}) and the references of {track.name} "
            f"({', '.join(track.stems)}) have no name in common; "
            "stems are paired by name: rename the files"
        )
    findings += sums
    for name in files:
        if name not in parts:
            text = f"{files[name]}: left out, there is no reference {name!r} (there are {', '.join(track.stems)})"
            findings.append(Finding("extra stems", "", (name,), text))
    heard = {stem for stems in parts.values() for stem in stems}
    if missing := tuple(stem for stem in track.stems if stem not in heard):
        text = f"{folder}: no estimate of {', '.join(missing)}; scored without, which can change the frames that count for csdr"
        findings.append(Finding("missing stems", "", missing, text))
    return Song(track, {target: files[target] for target in parts}, parts, called)


def _check_alike(songs):
    """A stem that only some songs lack is a mistake, and their scores could not be summarised together."""
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


def _some(names, at_most=3):
    names = list(names)
    return ", ".join(names[:at_most]) + (
        f" and {len(names) - at_most} more" if len(names) > at_most else ""
    )
