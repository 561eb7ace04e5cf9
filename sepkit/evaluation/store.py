"""Scores in files: one per song, which museval's tools can read as well, and one for all."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import SepkitError
from ..files import read_json
from ..metrics.findings import Finding
from ..metrics.museval_files import NAMES, load_museval
from ..metrics.scores import Score, load_scores, save_scores


class ScoreStore:
    """Where scores are kept: nowhere, in a folder, or in one file with the songs' files beside it.

    Parameters
    ----------
    out : str or Path or None
        A folder, or a file that ends in ``.json``.
    separator : str
        Whose scores these are. Those of another one are never replaced.
    songs : sequence of str

    Raises
    ------
    SepkitError
        If `out` is a file where a folder was expected or the other way round, or holds the
        scores of another separator for all songs or for one of these.
    """

    def __init__(self, out: str | Path | None, separator: str, songs: Sequence[str]):
        out = None if out is None else Path(out)
        single = out is not None and out.suffix.lower() == ".json"
        self.file = out if single else out and out / "scores.json"
        self.folder = out.with_name(f"{out.stem}.tracks") if out is not None and single else out
        if out is not None and out.exists() and out.is_dir() == single:
            raise SepkitError(
                f"{out}: is a {'folder' if single else 'file'}; "
                "name a new folder, or a file that ends in .json"
            )
        self.separator = separator
        for file in (self.file, *map(self.song_file, songs)):
            refuse_other_scores(file, separator)

    def song_file(self, name: str) -> Path | None:
        """The file of a song, or None where nothing is kept."""
        return None if self.folder is None else self.folder / f"{file_name(name)}.json"

    def save(self, scores: list[Score], findings: list[Finding]) -> None:
        """Write the file for all songs."""
        if self.file is not None:
            refuse_other_scores(self.file, self.separator)
            save_scores(self.file, scores, {"findings": [asdict(finding) for finding in findings]})


def file_name(song: str) -> str:
    """A song's name as that of a file, without suffix; ``scores`` is that of the file for all."""
    return song.replace("/", "_").replace(os.sep, "_") if song != "scores" else "scores (song)"


def refuse_other_scores(file: Path | None, separator: str) -> None:
    """Raise a `SepkitError` if a file holds the scores of another separator, by name.

    Files that are broken, or somebody else's, are replaced.
    """
    if file is None or not file.is_file():
        return
    try:
        others = {row["separator"] for row in read_json(file)["scores"]} - {separator}
    except (SepkitError, KeyError, TypeError):
        return
    if others:
        raise SepkitError(
            f"{file}: holds the scores of {', '.join(sorted(map(str, others)))}, "
            f"not of {separator}; choose another --out, or move it away"
        )


def write_song(
    file: Path | None,
    scores: list[Score],
    findings: list[Finding],
    frames: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    """Write one song's file.

    In museval's schema, with null where it has NaN; beside it sepkit's scores with their cards,
    the settings and the findings.

    Parameters
    ----------
    frames : dict of str to array (targets, frames)
        By metric.
    """
    if file is None:
        return
    count = next(iter(frames.values())).shape[-1] if frames else 0
    targets = []
    for row, target in enumerate(dict.fromkeys(score.target for score in scores)):
        entries = [
            {
                "time": k * settings["hop"],
                "duration": settings["window"],
                "metrics": {
                    name: float(frames[metric][row, k]) if metric in frames else None
                    for metric, name in NAMES.items()
                },
            }
            for k in range(count)
        ]
        targets.append({"name": target, "frames": entries})
    extra = {
        "targets": targets,
        "settings": settings,
        "findings": [asdict(finding) for finding in findings],
    }
    save_scores(file, scores, extra)


def load_song(
    file: Path | None, settings: dict[str, Any]
) -> tuple[list[Score], list[Finding]] | None:
    """Scores and Findings of an earlier run with the same settings, or None."""
    if file is None or not file.is_file():
        return None
    try:
        content = read_json(file)
        if content["settings"] != settings:
            return None
        return load_scores(file), [
            Finding(**{**entry, "stems": tuple(entry["stems"])}) for entry in content["findings"]
        ]
    except (SepkitError, KeyError, TypeError):  # broken, or somebody else's: score again
        return None


def load(path: str | Path, **about) -> list[Score]:
    """Scores that were kept: by sepkit, or by museval.

    Parameters
    ----------
    path : str or Path
        A file of either. A folder to which `evaluate` wrote; or any folder of museval's files.
    **about
        ``separator``, ``dataset`` and ``version`` of museval's files, as for
        `sepkit.metrics.load_museval`.

    Raises
    ------
    SepkitError
        As `sepkit.metrics.load_scores` and `sepkit.metrics.load_museval`.
    """
    path = Path(path)
    if (path / "scores.json").is_file():
        path = path / "scores.json"
    content = read_json(path) if path.is_file() else None
    if isinstance(content, dict) and "scores" in content:
        return load_scores(path)
    return load_museval(path, **about)
