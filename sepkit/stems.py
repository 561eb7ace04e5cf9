"""The stems that the kit knows by name: their order in tables and their colours in plots.

Any other name works as a stem and as a target too; it stands behind these, and is drawn in grey.
A new target gets its place and its colour here, and nowhere else.
"""

from collections.abc import Iterable

#: Known stems -> colour in plots (Okabe and Ito's, told apart by the colour-blind). Their order is
#: that of tables and of song folders: the field's (SiSEC, Open-Unmix), others behind it.
COLOURS = {
    "vocals": "#D55E00",
    "drums": "#0072B2",
    "bass": "#009E73",
    "other": "#CC79A7",
    "speech": "#D55E00",
    "s1": "#D55E00",
    "s2": "#0072B2",
    "s3": "#009E73",
    "noise": "#56B4E9",
}
#: The four stems of MUSDB18, in the order of the field's tables.
STEMS = ("vocals", "drums", "bass", "other")
#: The same four with vocals last: the outputs of Demucs, and the streams of a .stem.mp4 file.
STEMS_OF_DEMUCS = (*STEMS[1:], STEMS[0])


def in_order(names: Iterable[str]) -> list[str]:
    """Stems in the order of tables: those of `COLOURS` first, then others by name."""
    known = list(COLOURS)
    return sorted(names, key=lambda n: (known.index(n) if n in COLOURS else len(known), n))
