"""What each chapter needs of a folder of songs: asked once, before its first sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..datasets import DATASETS, open_tracks
from ..datasets.track import Track
from ..errors import SepkitError, first_few
from ..stems import STEMS


@dataclass(frozen=True)
class Needs:
    """What a chapter takes for granted of its songs.

    Attributes
    ----------
    stems : tuple of str
        Every song has them.
    count : int
        The number of stems that every song has at least.
    alike : bool
        Whether all songs have the same stems.
    only : bool
        Whether songs have `stems` and no others.
    songs : int
        Songs to test with; two, where songs are compared.
    train : bool
        Whether there are songs to train on and to validate with, too.
    seconds : tuple of float
        The shortest song, for the profiles smoke, student and paper.
    stereo : bool
        Whether mono songs are of no use, also those with two channels.
    voice : bool
        Whether songs of which the vocals (without vocals: the first stem) are silent are left
        out; otherwise only songs of which all is silent are.
    """

    stems: tuple[str, ...] = ()
    count: int = 1
    alike: bool = False
    only: bool = False
    songs: int = 1
    train: bool = False
    seconds: tuple[float, float, float] = (1, 1, 1)
    stereo: bool = False
    voice: bool = True

    def told(self, seconds: float) -> str:
        """The needs as a sentence's end."""
        stems = f"the stems {', '.join(self.stems)}" if self.stems else f"{self.count} stems"
        return (
            f"{self.songs} or more songs{' in stereo' if self.stereo else ''} of at least"
            f" {seconds:g} s with {stems}{' and no others' if self.only else ''}"
            f"{', the same in all songs' if self.alike else ''}"
            f"{', and songs to train on and to validate with' if self.train else ''}"
        )


_VOICE = ("vocals",)
#: chapter -> what it needs; chapters that are not here take any songs.
NEEDS = {
    "01_stft": Needs(voice=False),
    "02_masking": Needs(count=2, alike=True, seconds=(4, 4, 4)),
    "03_ica": Needs(
        ("vocals", "drums"), 2, True, songs=2, train=True, seconds=(6, 6, 6), stereo=True
    ),
    "04_open_unmix": Needs(_VOICE, 2, True, train=True, seconds=(4, 4, 6)),
    "05_resunet": Needs(_VOICE, 2, songs=2, seconds=(3, 5, 8)),
    "06_bsrnn": Needs(_VOICE, 2, songs=2, seconds=(4, 6, 6)),
    "07_remixing": Needs(_VOICE, 2, True, songs=2, train=True, seconds=(4, 6, 6)),
    # its network has these four targets, and every stem is scored
    "08_sdr": Needs(STEMS, 4, True, only=True, songs=2, seconds=(4, 4, 4)),
    "09_waveform": Needs(_VOICE, 2, True, train=True, seconds=(3, 6, 6)),
    "10_attention": Needs(_VOICE, 2, True, train=True, seconds=(4, 6, 6)),
    "11_field_studies": Needs(_VOICE, 2, True, songs=2, train=True, seconds=(6, 6, 6)),
    "12_tables": Needs(_VOICE, 2, seconds=(3, 3, 3)),
}


def check_songs(chapter: str, data: str, dataset: str, profile: int) -> tuple[str, ...]:
    """Refuse a data set that a chapter cannot work with, and name the silent songs.

    Parameters
    ----------
    chapter : str
        One of `NEEDS`; any other needs nothing.
    data : str
        As `sepkit.datasets.known_data` gives it. The band suits every chapter. Of data sets with
        a name no sound is read.
    dataset : str
        Its name, for the error.
    profile : int
        0 for smoke, 1 for student, 2 for paper.

    Returns
    -------
    tuple of str
        The test songs to leave out, as they are silent; see `Needs.voice`.

    Raises
    ------
    SepkitError
        In one line, with what the chapter needs and what is there.
    """
    needs = NEEDS.get(chapter)
    if needs is None or data == "band":
        return ()
    test = open_tracks(data, "test")
    # a folder that is not split has two songs at least for this, or the error says so
    lessons = [open_tracks(data, split) for split in ("train", "valid") if needs.train]
    every = [track for tracks in (test, *lessons) for track in tracks]
    own = data not in DATASETS
    seconds = needs.seconds[profile] if own else 0  # a .stem.mp4 has no length until decoded
    wrong = _lacking(needs, every, test[0].stems, seconds)
    silent = [track for track in test if own and not wrong and _silent(track, needs.voice)]
    if not wrong and len(test) - len(silent) < needs.songs:
        wrong = f"{len(test)} to test with"
        if silent:
            what = "the voice" if needs.voice else "all"
            wrong += f", and in {first_few(track.name for track in silent)} {what} is silent"
    if not wrong and own and needs.train and all(_silent(t, needs.voice) for t in lessons[0]):
        wrong = "the voice of all songs to train on is silent"
    if wrong:
        raise SepkitError(
            f"{dataset}: chapter {chapter} needs {needs.told(needs.seconds[profile])}; here:"
            f" {wrong}. Choose other songs, or data='band'"
        )
    return tuple(track.name for track in silent)


def _lacking(needs: Needs, tracks: Sequence[Track], usual: Sequence[str], seconds: float) -> str:
    """What is wrong with the first song that does not do, or nothing."""
    for track in tracks:
        stems = set(track.stems)
        if (
            not stems.issuperset(needs.stems)
            or len(stems) < needs.count
            or (needs.only and stems != set(needs.stems))
            or (needs.alike and stems != set(usual))
        ):
            return f"{track.name} with {', '.join(track.stems)}"
        if needs.stereo and (track.channels < 2 or seconds and _is_mono(track)):
            return f"{track.name} in mono"
        if seconds and track.samples < seconds * track.sample_rate:
            return f"{track.name} of {track.samples / track.sample_rate:.1f} s"
    return ""


def _silent(track: Track, voice: bool) -> bool:
    """Whether the vocals (or the first stem), or else all stems, are zero from end to end."""
    first = "vocals" if "vocals" in track.stems else track.stems[0]
    names = (first,) if voice else track.stems
    return not any(bool(part.any()) for name in names for part in track.parts(name))


def _is_mono(track: Track) -> bool:
    """Whether one channel of the mixture is a copy of the other, at whatever level."""
    square = torch.zeros(2, 2, dtype=torch.float64)
    for part in track.parts("mixture"):  # (2, n)
        square += part.double() @ part.double().T
    left, right, both = square[0, 0], square[1, 1], square[0, 1]
    return bool(0 < left * right <= (1 + 1e-10) * both**2)
