"""The SoundFonts of a data set: found by path or name, one per song, others stand in."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import SepkitError, first_few
from ..files import identity
from .soundfont import DRUM_BANK, SoundFont, bundled, font_path, load

#: Where Debian's fluid-soundfont-gm and musescore-general-soundfont-small, and Fedora's, lie.
FOLDERS = ("/usr/share/sounds/sf2", "/usr/share/sounds/sf3", "/usr/share/soundfonts")
_SUFFIXES = (".sf2", ".sf3")


class Font(NamedTuple):
    """A file by its content; the path is not part of what the manifest says."""

    sha256: str
    name: str
    path: str

    def entry(self) -> dict[str, str]:
        """What the manifest says of it."""
        return {"name": self.name, "sha256": self.sha256}


class Sound(NamedTuple):
    """What a song may ask of a font: a program, or a key of a drum kit."""

    program: int
    bank: int = 0
    key: int | None = None

    def __str__(self):
        if self.bank == DRUM_BANK:
            return f"drum {self.key} of kit {self.program}"
        return f"program {self.program}"


def find(name: str | Path) -> Path:
    """A SoundFont by its path, or by its name in one of `FOLDERS`, with or without suffix.

    Raises
    ------
    SepkitError
        If there is none, listing those that are installed.
    """
    path = Path(name)
    if os.path.isfile(path):  # False for names that no file can have, where Path.is_file raises
        return path
    installed = sorted(
        file for folder in FOLDERS for file in Path(folder).glob("*") if file.suffix in _SUFFIXES
    )
    for file in installed:
        if str(name).lower() in (file.name.lower(), file.stem.lower()) and file.is_file():
            return file
    known = ", ".join(file.stem for file in installed if not file.is_symlink()) or "none"
    raise SepkitError(
        f"{name}: no such SoundFont; give the path of an .sf2 or .sf3 file, "
        f"or a name of those installed: {known}"
    )


def collect(names: Iterable[str | Path]) -> list[Font]:
    """The fonts by path or name, in the order of their hashes; equal files count once.

    Raises
    ------
    SepkitError
        If one is not found or is not a SoundFont.
    """
    fonts: dict[str, Font] = {}
    for path in map(find, names):
        load(str(path.absolute()))
        font = Font(identity(path), path.name, str(path.absolute()))
        fonts.setdefault(font.sha256, font)
    return [fonts[key] for key in sorted(fonts)]


def draw(paths: tuple[str, ...], rng: np.random.Generator) -> tuple[str, ...]:
    """Draw the font of a song; the others follow in their order, to stand in."""
    first = int(rng.integers(len(paths)))
    return paths[first:] + paths[:first]


def player(backend: str | tuple[str, ...], sound: Sound) -> SoundFont:
    """The font that plays a sound: the first of `backend` that has it, or the bundled one.

    Parameters
    ----------
    backend
        "sampled" for the bundled font, or paths.
    sound
    """
    for path in backend if isinstance(backend, tuple) else ():
        if load(path).has(*sound):
            return load(path)
    return bundled()


def stand_ins(fonts: list[Font], sounds: list[Sound]) -> tuple[list[str], Font | None]:
    """What fonts lack, and what stands in.

    Returns
    -------
    notices : list of str
        A line for each font that lacks something and each that stands in for it.
    default : Font or None
        The bundled font, if something of it is needed.

    Raises
    ------
    SepkitError
        If a font is damaged, or no font has a sound.
    """
    lacking: dict[tuple[str, str], list[str]] = {}
    default = None
    for index, font in enumerate(fonts):
        following = fonts[index + 1 :] + fonts[:index]
        for sound in sounds:
            if load(font.path).has(*sound):
                continue
            other = next((f for f in following if load(f.path).has(*sound)), None)
            if other is None:
                other = default = default or _default(font, sound)
            lacking.setdefault((font.name, other.name), []).append(str(sound))
    return [
        f"{name} lacks {first_few(missing)}; {other} plays instead"
        for (name, other), missing in lacking.items()
    ], default


def check(fonts: list[Font], sounds: list[Sound]) -> None:
    """Decode what songs may ask of compressed fonts. Raises `SepkitError` for damaged samples."""
    for font in map(load, (font.path for font in fonts)):
        font.check(list(_zones(font, sounds)))


def _zones(font: SoundFont, sounds) -> Iterator:
    for program, bank in sorted({(sound.program, sound.bank) for sound in sounds}):
        if font.has(program, bank):
            yield from font.zones(program, bank)


def _default(font, sound):
    path = font_path()
    if path is None:
        raise SepkitError(
            f"{font.path}: has no {sound}; give a General MIDI SoundFont, "
            "or for the default one: pip install 'sepkit[band]'"
        )
    return Font(identity(path), path.name, str(path))
