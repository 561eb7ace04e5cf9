"""What can stand after ``--model`` and ``--separator``: ``sepkit models``."""

from ..files import read_json, shipped

#: What the separators that need no training are. Oracles read the true stems, so they only score.
ABOUT = {
    "mixture": ("baseline", "the mixture itself as every estimate: the floor"),
    "ibm": ("oracle", "ideal binary mask, from the true stems"),
    "irm1": ("oracle", "ideal ratio mask of magnitudes"),
    "irm2": ("oracle", "ideal ratio mask of powers"),
    "psm": ("oracle", "phase-sensitive mask"),
    "crm": ("oracle", "complex ratio mask"),
    "mwf": ("oracle", "multichannel Wiener filter of the true spectra"),
}


def separators():
    """One dict (name, kind, targets, what) for every network, method and shipped checkpoint."""
    from .. import separation
    from ..models import MODELS
    from ..models.downloads import manifest
    from ..models.registry import model_class

    rows = []
    for name in MODELS:
        about = (model_class(name).__doc__ or "").strip().splitlines()[0]
        rows.append({"name": name, "kind": "network", "targets": "one each", "what": f"{about} {_shipped(name)}"})
    for name, entry in manifest().items():
        about = f"the authors' weights of {entry['model']}, downloaded on first use; {entry['licence']}"
        rows.append({"name": name, "kind": "published weights", "targets": ", ".join(entry["files"]), "what": about})
    for name in separation.METHODS:
        kind, about = ABOUT.get(name, ("method", "needs no training"))
        rows.append({"name": name, "kind": kind, "targets": "those of the songs", "what": about})
    return rows


def _shipped(name):
    folder = shipped("checkpoints", f"{name}-student")
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        return "(no checkpoints come with sepkit: train some)"
    size = read_json(folder / "manifest.json").get("size", "student") if (folder / "manifest.json").is_file() else "student"
    return f"({size}-size checkpoints included: {', '.join(file.stem for file in files)})"
