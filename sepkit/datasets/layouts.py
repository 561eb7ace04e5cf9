"""Layouts of other tools: recognised by name, so that the error can say what to do with them."""

import re
from itertools import islice
from pathlib import Path

from .folders import audio_files, is_song
from .musdb18 import SUFFIX

#: What tools call a stem. A song of such a name beside another one is taken for a stem's folder.
STEM_NAMES = frozenset(
    """
    vocals vocal voice drums drum bass other others guitar piano keys strings
    accompaniment instrumental no_vocals karaoke speech noise mixture mix percussion
    other_plucked other_keys bowed_strings wind
    """.split()
)
#: Folders in which Demucs writes, named after its models.
DEMUCS = frozenset(
    """
    htdemucs htdemucs_ft htdemucs_6s hdemucs_mmi mdx mdx_q mdx_extra mdx_extra_q demucs
    demucs_extra tasnet tasnet_extra
    """.split()
)
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
_LONGEST_FIRST = "|".join(sorted(STEM_NAMES, key=len, reverse=True))
_FLAT = re.compile(rf"^(?P<song>.+?)[ _.\-]+\(?(?P<stem>{_LONGEST_FIRST})\)?$", re.IGNORECASE)
#: Entries of a folder that are looked at, at most.
MOST = 200


def recognised(folder: Path, songs: list[Path]) -> str | None:
    """What a folder is, if it has the layout of another tool, and what to do; else None.

    Parameters
    ----------
    folder : Path
        What was given as a data set.
    songs : list of Path
        What was found in it.

    Returns
    -------
    str or None
        One line that begins with the folder in question.
    """
    by_parent: dict[Path, list[Path]] = {}
    for song in songs:
        by_parent.setdefault(song.parent, []).append(song)
    for parent, found in by_parent.items():
        if message := _folder_per_stem(parent, found):
            return message
    for song in songs[:5]:
        if song.is_dir() and (message := _flat(song)):
            return message
    if songs:
        return None
    for place in (folder, *_folders(folder)):
        if message := _archives(place) or _moisesdb(place) or _deeper(place):
            return message
    return None


def _folder_per_stem(parent, songs):
    if len(songs) < 2 or any(
        song.name.lower() not in STEM_NAMES or song.is_file() for song in songs
    ):
        return None
    stem = songs[0].name
    file = next(iter(audio_files(songs[0]).values())).name
    names = ", ".join(f"{song.name}/" for song in songs[:3])
    return (
        f"{parent}: one folder a stem ({names} ...); one folder a song is expected: "
        f"move {stem}/{file} to {Path(file).stem}/{stem}{Path(file).suffix}, and so on"
    )


def _flat(song):
    """Files such as ``song_vocals.wav`` side by side."""
    stems, example = {}, {}
    for name, path in audio_files(song).items():
        if name.lower() in STEM_NAMES:
            return None
        if match := _FLAT.match(name):
            stems.setdefault(match["song"], set()).add(match["stem"].lower())
            example.setdefault(
                match["song"], (path.name, f"{match['song']}/{match['stem'].lower()}{path.suffix}")
            )
    # One stem a prefix may be a name, as in lead_vocals and backing_vocals.
    several = [name for name in stems if len(stems[name]) > 1]
    if not several:
        return None
    old, new = example[several[0]]
    return (
        f"{song}: song and stem are in one file's name ({old}); one folder a song is expected: "
        f"move {old} to {new}, and so on"
    )


def _archives(folder):
    packed = [
        path for path in _entries(folder) if path.is_file() and path.suffix.lower() in ARCHIVES
    ]
    if packed:
        return (
            f"{packed[0]}: is still packed; unpack it (unzip, tar -xf, 7z x), and give the folder "
            f"that it makes"
        )
    return None


def _moisesdb(folder):
    """Songs of which every stem is a folder of recordings, as in MoisesDB."""
    for song in _folders(folder):
        stems = [
            place for place in _folders(song) if place.name.lower() in STEM_NAMES and is_song(place)
        ]
        if not stems:
            continue
        if (song / "data.json").is_file():
            how = "let its package moisesdb mix them (track.stems), and write each as SONG/STEM.wav"
            return f"{song}: a song of MoisesDB, with a folder of recordings for every stem; {how}"
        recordings = len(audio_files(stems[0]))
        how = (
            "one file a stem is expected"
            if recordings == 1
            else "one file a stem is expected: mix them"
        )
        return (
            f"{song}: a folder for every stem ({stems[0].name}/, {recordings} file(s)); {how}, as "
            f"{song.name}/{stems[0].name}.wav"
        )
    return None


def _deeper(folder):
    """Songs that lie further down than they are looked for."""
    for place in _folders(folder):
        inside = _folders(place)
        splits = [
            split
            for split in inside
            if split.name in ("train", "test")
            and any(map(_holds_a_song, (split, *_folders(split))))
        ]
        if splits:
            return (
                f"{folder}: the data set lies in {place.name}/ ({place.name}/{splits[0].name}); "
                f"give {place}"
            )
        if any(path.name.endswith(SUFFIX) for path in _entries(place)):
            return (
                f"{folder}: its {SUFFIX} files lie one folder deeper; give {place}, or move them up"
            )
        song = next((song for song in inside if is_song(song)), None)
        if song is not None and place.name.lower() in DEMUCS:
            return (
                f"{folder}: the output of Demucs, estimates of {place.name}; give {place} if it "
                f"is these that are wanted"
            )
        if song is not None:
            return (
                f"{folder}: songs lie one folder deeper ({place.name}/{song.name}), as in "
                f"artist/song; move them up, or give one of its folders, such as {place}"
            )
    return None


def _holds_a_song(folder):
    return is_song(folder) or any(path.name.endswith(SUFFIX) for path in _entries(folder))


def _entries(folder):
    try:
        return sorted(
            islice((path for path in folder.iterdir() if not path.name.startswith(".")), MOST)
        )
    except OSError:
        return []


def _folders(folder):
    return [path for path in _entries(folder) if path.is_dir()]
