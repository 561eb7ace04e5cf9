"""What this machine has, what it lacks, and what to do about it: ``sepkit doctor``."""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from .. import DEFAULT_MODEL
from ..files import commit, data_root, free_bytes, read_json, shipped

PACKAGES = (
    "torch",
    "torchaudio",
    "numpy",
    "scipy",
    "librosa",
    "soundfile",
    "lightning-fabric",
    "safetensors",
    "typer",
)
EXTRAS = {
    "notebooks": ("jupyterlab", "papermill"),
    "musdb": ("musdb", "museval"),
    "band": ("pretty_midi", "espeakng_loader", "pyworld"),
    "test": ("pytest", "nbval"),
}
PAIR = "pip install --upgrade torch torchaudio"
WITHOUT = {
    "notebooks": "the chapters cannot be opened or run in batch",
    "musdb": "no MUSDB18 .stem.mp4 and no ISR, SIR, SAR",
    "band": "the band plays plain synthetic sounds, without words",
    "test": "the tests cannot be run",
}
FFMPEG = (
    "sudo apt-get install ffmpeg (Debian, Ubuntu), brew install ffmpeg (macOS), "
    "conda install ffmpeg"
)
#: Gigabytes that a comfortable start needs: the student band and the outputs.
ROOM = 3.0


@dataclass(frozen=True)
class Check:
    """One line of the doctor: what was looked at, what was found, and what to do.

    status is "ok", "note" (works without) or "gap" (something will fail).
    """

    topic: str
    found: str
    status: str = "ok"
    remedy: str = ""


def examine(root: str | Path | None = None) -> list[Check]:
    """Everything that `sepkit doctor` prints.

    Parameters
    ----------
    root : str or Path, optional
        The data root to look in, see `sepkit.files.data_root`.

    Returns
    -------
    list of Check
    """
    return [
        *_versions(),
        _device(),
        _ffmpeg(),
        *_extras(),
        *_data(root),
        *_checkpoints(),
        _disk(root),
    ]


def _versions():
    from .. import __version__

    where = commit()
    yield Check("sepkit", f"{__version__}{f' at {where}' if where else ''}")
    python = platform.python_version()
    yield Check(
        "python", f"{python}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    )
    found = {name: _version(name) for name in PACKAGES}
    missing = [name for name, version in found.items() if not version]
    text = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    if missing:
        remedy = f"{', '.join(missing)} missing; run: {_install(only=missing)}"
        yield Check("packages", text, "gap", remedy)
    else:
        yield Check("packages", text, *_matched())


def _matched():
    """Whether torchaudio loads with this torch: (status, remedy).

    Their version numbers do not tell: torchaudio 2.11 fits later ones of torch too.
    """
    try:
        import torchaudio  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:
        return "gap", f"torchaudio does not load ({_first_line(error)}); run: {PAIR}"
    return "ok", ""


def _install(extra=None, only=None):
    """The command that installs the packages of an extra, or those of `only`.

    It names them one by one: sepkit itself is in no registry.
    """
    try:
        asked = metadata.requires("sepkit") or []
    except metadata.PackageNotFoundError:  # the sources alone
        place = f".[{extra}]" if extra else "."
        return f'pip install --editable "{place}" (in the folder of pyproject.toml)'
    needed = [line.partition(";")[0].strip() for line in asked if _belongs(line, extra)]
    if only:
        needed = [line for line in needed if re.split(r"[<>=!~ ]", line, maxsplit=1)[0] in only]
    return "pip install " + " ".join(f'"{line}"' for line in needed)


def _belongs(line, extra):
    found = re.search(r"""extra == ["'](\w+)["']""", line)
    return (found.group(1) if found else None) == extra


def _first_line(error):
    return (str(error).splitlines() or [type(error).__name__])[0]


def _device():
    from ..device import resolve_device

    try:
        import torch
    except (ImportError, OSError) as error:
        remedy = f"{_first_line(error)}; run: {PAIR} --force-reinstall"
        return Check("device", "torch cannot be imported", "gap", remedy)
    device = resolve_device("auto")
    if device.type == "cuda":
        return Check("device", f"cuda: {torch.cuda.get_device_name(device)}")
    if device.type == "cpu":
        return Check(
            "device",
            "cpu",
            "note",
            "chapters run in the student profile; the paper profile wants a GPU",
        )
    return Check("device", device.type)


def _ffmpeg():
    path = shutil.which("ffmpeg")
    if not path:
        return Check(
            "ffmpeg", "not found", "note", f"only MUSDB18's .stem.mp4 and museval need it: {FFMPEG}"
        )
    try:
        said = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return Check("ffmpeg", f"{path} does not start", "note", f"install it again: {FFMPEG}")
    return Check("ffmpeg", " ".join(said.split()[2:3]) or path)


def _extras():
    for name, modules in EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        if missing:
            remedy = f"{WITHOUT[name]}; run: {_install(name)}"
            yield Check(f"extra: {name}", f"{', '.join(missing)} missing", "note", remedy)
        else:
            yield Check(f"extra: {name}", "installed")


def found_data(root: str | Path | None = None) -> list[tuple[str, Path, dict[str, int], str]]:
    """What lies under the data root: a list of (name, folder, {split: songs}, remedy).

    A data set that is not there, or not complete, has a remedy.
    """
    from ..datasets import DATASETS

    base = data_root(root)
    rows: list[tuple[str, Path, dict[str, int], str]] = []
    for name, data_set in DATASETS.items():
        if name == "band":
            presets = sorted(path for path in (base / "band").glob("*") if path.is_dir())
            rows += [
                (f"band/{path.name}", path, _songs(path), _unfinished(path)) for path in presets
            ]
            if not presets:
                rows.append(("band", base / "band", {}, data_set.remedy))
        else:
            songs = _songs(base / name)
            rows.append((name, base / name, songs, "" if songs else data_set.remedy))
    return rows


def _unfinished(folder):
    """What to do about a rendered folder that says it is not complete, or does not say."""
    manifest = folder / "band.json"
    if manifest.is_file() and read_json(manifest).get("complete"):
        return ""
    return f"unfinished; go on with: sepkit data band --preset {folder.name}"


def _songs(folder):
    from ..datasets.librimix.layout import counts_by_split

    counts = counts_by_split(folder)
    for split in ("train", "valid", "test"):
        place = folder / split
        songs = [
            p
            for p in place.glob("*")
            if not p.name.startswith(".") and (p.is_dir() or p.name.endswith(".stem.mp4"))
        ]
        if songs:
            counts[split] = len(songs)
    return counts


def _data(root):
    for name, folder, songs, remedy in found_data(root):
        text = ", ".join(f"{count} {split}" for split, count in songs.items())
        found = f"{text} songs in {folder}" if songs else f"not in {folder}"
        yield Check(f"data: {name}", found, "note" if remedy else "ok", remedy)


def _checkpoints():
    folders = sorted(
        path for path in shipped("checkpoints").glob("*") if any(path.glob("*.safetensors"))
    )
    for folder in folders:
        files = sorted(folder.glob("*.safetensors"))
        size = sum(file.stat().st_size for file in files) / 1e6
        taken = "; what sepkit separate takes" * (folder.name == DEFAULT_MODEL)
        yield Check(
            f"checkpoints: {folder.name}",
            f"{', '.join(file.stem for file in files)} ({size:.1f} MB){taken}",
        )
    if not folders:
        remedy = "train them: make checkpoints; or name another: sepkit separate --model CHECKPOINT"
        yield Check("checkpoints", f"none in {shipped('checkpoints')}", "gap", remedy)


def _disk(root):
    free = free_bytes(data_root(root)) / 1e9
    text = f"{free:.1f} GB free at {data_root(root)}"
    if free < ROOM:
        return Check(
            "disk",
            text,
            "gap",
            f"keep {ROOM:g} GB free, or set SEPKIT_DATA to a folder on a larger disk",
        )
    return Check("disk", text)


def _version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
