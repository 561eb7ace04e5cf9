"""Where scores are kept: one file a song, which museval's tools can read as well, and one for all."""

import os
from dataclasses import asdict
from pathlib import Path

from ..errors import SepkitError
from ..files import read_json
from ..metrics.findings import Finding
from ..metrics.museval_files import NAMES
from ..metrics.scores import load_scores, save_scores


class Places:
    """Where results go: nowhere, into a folder, or into one file with the songs beside it."""

    def __init__(self, out):
        out = None if out is None else Path(out)
        single = out is not None and out.suffix.lower() == ".json"
        self.file = out if single else out and out / "scores.json"
        self.folder = out.with_name(f"{out.stem}.tracks") if single else out
        if out is not None and out.exists() and out.is_dir() == single:
            raise SepkitError(
                f"{out}: is a {'folder' if single else 'file'}; name a new folder, or a file "
                "that ends in .json"
            )

    def song(self, name):
        return None if self.folder is None else self.folder / f"{file_name(name)}.json"

    def finish(self, scores, findings):
        if self.file is not None:
            save_scores(self.file, scores, {"findings": [asdict(finding) for finding in findings]})
        return scores


def file_name(name):
    return f"{name.replace('/', '_').replace(os.sep, '_')}" if name != "scores" else "scores (song)"


def write_song(file, scores, findings, frames, settings):
    """One song's file: museval's schema, with null where it has NaN, and sepkit's scores with cards, settings and findings."""
    if file is None:
        return
    targets = []
    for row, target in enumerate(dict.fromkeys(score.target for score in scores)):
        count = next(iter(frames.values())).shape[-1] if frames else 0
        targets.append(
            {
                "name": target,
                "frames": [
                    {
                        "time": k * settings["hop"],
                        "duration": settings["window"],
                        "metrics": {
                            name: float(frames[metric][row, k]) if metric in frames else None
                            for metric, name in NAMES.items()
                        },
                    }
                    for k in range(count)
                ],
            }
        )
    save_scores(
        file,
        scores,
        {"targets": targets, "settings": settings, "findings": [asdict(f) for f in findings]},
    )


def finished(file, settings):
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
