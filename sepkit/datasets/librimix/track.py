"""A mixture of LibriMix as a Track."""

from pathlib import Path

from ...errors import SepkitError
from ..folders import FilesTrack
from .layout import parts_of, speakers_of


class LibriMixTrack(FilesTrack):
    """A mixture of LibriMix as a Track: stems ``s1``, ``s2``, ``noise``, as its type has them.

    Parameters
    ----------
    path : Path
        The mixture, ``<subset>/<type>/<name>.wav``; its parts lie beside its folder.
    sample_rate, channels : int, optional
        As in `Track`.

    Raises
    ------
    SepkitError
        If a file is missing or unreadable, or mixture and parts differ in rate or length.
    """

    def __init__(self, path: Path, sample_rate: int | None = None, channels: int | None = None):
        subset, kind = path.parent.parent, path.parent.name
        stems = parts_of(kind, speakers_of(subset))
        files = {"mixture": path, **{stem: subset / stem / path.name for stem in stems}}
        missing = [file for file in files.values() if not file.is_file()]
        if missing:
            raise SepkitError(
                f"{missing[0]}: no such file, but others of this mixture are there ({kind} needs "
                f"{', '.join(stems)}); run the command that made them again, or unpack them again"
            )
        super().__init__(path.stem, subset, files, sample_rate, channels)
        if self.notes:
            raise SepkitError(
                f"{path}: mixture and parts differ in length "
                f"({', '.join(sorted({str(h.samples) for h in self._headers.values()}))} samples); "
                "delete these files and make them again"
            )
