"""Stand-ins of published weights: random numbers in the authors' layouts, and a list of them.

`sepkit.models.downloads` fetches, checks and loads them as it does the real ones.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import SepkitError
from ..files import sha256, write_json
from ..models import build
from ..models.base import Model
from ..models.bsrnn_readable import readable_bsrnn
from ..models.conv_tasnet import published_name as conv_tasnet_name
from ..models.downloads import manifest
from ..models.resunet_published import published_name as resunet_name
from . import fetching
from .notebook import Chapter

#: Fewer layers, where the network is run over every second of a song several times.
SMALLER: dict[str, dict[str, Any]] = {"bsrnn-amanteur": {"layers": 1}}


def needed(chapters: Iterable[Chapter]) -> list[str]:
    """The sets of which ``sepkit fetch`` and a plan say that these chapters need them."""
    sets = (name for chapter in chapters for name in fetching.published_sets(chapter))
    return list(dict.fromkeys(sets))


def make(folder: Path, address: str, sets: Iterable[str]) -> Path:
    """Write random weights for published sets, and the list that takes the place of theirs.

    In that list other sets have no address: a chapter that asks for one of them fails.

    Parameters
    ----------
    folder : Path
        Gets ``SET/FILE`` and ``weights.json``.
    address : str
        Where the folder is served.
    sets : iterable of str
        Keys of `sepkit.models.downloads.manifest`.

    Returns
    -------
    Path
        The list: what `manifest` returns, but for addresses, sizes and hashes.

    Raises
    ------
    SepkitError
        For a network whose layout cannot be written here.
    """
    listed = manifest()
    for entry in listed.values():
        for file in entry["files"].values():
            file |= {"url": f"{address}/absent/{file['url'].rsplit('/', 1)[-1]}", "mirror": None}
    for name in sets:
        listed[name]["settings"] |= SMALLER.get(name, {})
        for target, file in listed[name]["files"].items():
            file_name = file.get("name") or file["url"].rsplit("/", 1)[-1]
            path = folder / name / file_name
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(published(listed[name], target, file), path)
            file["url"] = f"{address}/{name}/{file_name}"
            if file["size"] is not None:
                file["size"] = path.stat().st_size
            if file["sha256"]:  # as many digits as are known of the real one
                file["sha256"] = sha256(path)[: len(file["sha256"])]
    write_json(folder / "weights.json", listed)
    return folder / "weights.json"


def published(entry: dict[str, Any], target: str, file: dict[str, Any]) -> dict[str, Any]:
    """What one file of a set holds, with random numbers."""
    if entry["model"] not in LAYOUTS:
        raise SepkitError(
            f"{entry['model']}: the rehearsal cannot write its published layout; add it to LAYOUTS "
            f"in {Path(__file__).name}"
        )
    stems = {"targets": file["targets"]} if "targets" in file else {"target": target}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LAYOUTS[entry["model"]](build(entry["model"], **stems, **entry["settings"]))


def _open_unmix(model: Model) -> dict[str, Tensor]:
    return {**model.state_dict(), "stft.window": torch.hann_window(4096)}


def _resunet(model: Model) -> dict[str, Any]:
    return {"model": {resunet_name(key): value for key, value in model.state_dict().items()}}


def _bsrnn(model: Any) -> dict[str, Any]:
    state = readable_bsrnn(model).state_dict()
    return {"state_dict": {f"model.{key}": value for key, value in state.items()}}


def _hybrid_demucs(model: Model) -> dict[str, Tensor]:
    """As torchaudio has it."""
    return {key.removeprefix("net."): value for key, value in model.state_dict().items()}


def _conv_tasnet(model: Model) -> dict[str, Any]:
    """As Demucs 3 packs it; the decoder's matrix is the other way round there."""
    state = {}
    for key, value in model.state_dict().items():
        if key == "decoder.weight":
            value = value.flatten(1).T
        state[conv_tasnet_name(key, model.settings["layers"])] = value.contiguous()
    return {"args": [], "kwargs": {}, "state": state}


#: Model -> what its authors' files hold, for a network here.
LAYOUTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "open-unmix": _open_unmix,
    "resunet-subbandtime": _resunet,
    "bsrnn": _bsrnn,
    "hybrid-demucs": _hybrid_demucs,
    "conv-tasnet": _conv_tasnet,
}
