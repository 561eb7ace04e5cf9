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
    "pca": ("blind", "principal components of the channels; named by the true stems, for scoring"),
    "ica": ("blind", "independent components of the channels; named by the true stems, for scoring"),
    "iva": ("blind", "independent vector analysis, for echoes; named by the true stems, for scoring"),
    "nmf": ("blind", "non-negative matrix factorisation; named by the true stems, for scoring"),
    "nmf-supervised": ("oracle", "NMF with the spectra of the true stems; from Python with any dictionaries"),
    "hpss": ("blind", "percussive and harmonic, by median filters"),
    "repet": ("blind", "what repeats with a period is accompaniment"),
    "repet-sim": ("blind", "what comes again anywhere is accompaniment"),
    "centre": ("blind", "what both channels share is vocals"),
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
        targets = (separation.get(name).targets if kind == "blind" else None) or ("those of the songs",)
        rows.append({"name": name, "kind": kind, "targets": ", ".join(targets), "what": about})
    return rows


def _shipped(name):
    folder = shipped("checkpoints", f"{name}-student")
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        return "(no checkpoints come with sepkit: train some)"
    size = read_json(folder / "manifest.json").get("size", "student") if (folder / "manifest.json").is_file() else "student"
    return f"({size}-size checkpoints included: {', '.join(file.stem for file in files)})"
