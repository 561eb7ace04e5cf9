"""What can stand after ``--model`` and ``--separator``: ``sepkit models``."""

import inspect
from typing import Any

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
    "ica": (
        "blind",
        "independent components of the channels; named by the true stems, for scoring",
    ),
    "iva": (
        "blind",
        "independent vector analysis, for echoes; named by the true stems, for scoring",
    ),
    "nmf": ("blind", "non-negative matrix factorisation; named by the true stems, for scoring"),
    "nmf-supervised": (
        "oracle",
        "NMF with the spectra of the true stems; from Python with any dictionaries",
    ),
    "hpss": ("blind", "percussive and harmonic, by median filters"),
    "repet": ("blind", "what repeats with a period is accompaniment"),
    "repet-sim": ("blind", "what comes again anywhere is accompaniment"),
    "centre": ("blind", "what both channels share is vocals"),
}


def separators() -> list[dict[str, Any]]:
    """One dict for every network, set of weights (published or included) and method.

    All have ``name``, ``kind``, ``targets`` and ``what``. Networks also have ``paper``,
    ``domain``, ``parameters`` and ``published``, the sets of weights with their licences;
    those sets also ``model``, ``trained_on``, ``licence``, ``record``, ``verified``,
    ``unverified`` and ``caution``. Sets that come with sepkit have ``model`` and ``licence``.
    """
    from .. import separation
    from ..models import MODELS, shipped_sets
    from ..models.downloads import manifest

    published = [_published(name, entry) for name, entry in manifest().items()]
    rows = [
        _network(name, [row for row in published if row["model"] == name]) for name in MODELS
    ] + published
    rows += [_included(name) for name in shipped_sets()]
    for name in separation.METHODS:
        kind, about = ABOUT.get(name, ("method", "needs no training"))
        targets = (separation.get(name).targets if kind == "blind" else None) or (
            "those of the songs",
        )
        rows.append({"name": name, "kind": kind, "targets": ", ".join(targets), "what": about})
    return rows


def _network(name, published):
    from ..models.registry import model_class

    network = model_class(name)
    about = (network.__doc__ or "").strip().splitlines()[0]
    several = "targets" in inspect.signature(network).parameters
    return {
        "name": name,
        "kind": "network",
        "paper": network.card.paper,
        "parameters": network.card.parameters,
        "domain": network.card.domain,
        "targets": "one or several at once" if several else "one each",
        "what": f"{about} {_shipped(name)}",
        "published": [
            {key: row[key] for key in ("name", "targets", "trained_on", "licence", "caution")}
            for row in published
        ],
    }


def _included(name):
    """A set of weights that comes with sepkit; all of them have heard rendered songs alone."""
    folder = shipped("checkpoints", name)
    manifest = folder / "manifest.json"
    about = read_json(manifest) if manifest.is_file() else {}
    targets = sorted(file.stem for file in folder.glob("*.safetensors"))
    return {
        "name": name,
        "kind": "included weights",
        "model": about.get("model", ""),
        "targets": ", ".join(targets),
        "licence": about.get("licence", "MIT; learnt from rendered music alone"),
        "what": about.get("state", "what the chapters compare"),
    }


def _published(name, entry):
    targets = [
        target for key, file in entry["files"].items() for target in file.get("targets", [key])
    ]
    return {
        "name": name,
        "kind": "published weights",
        "model": entry["model"],
        "targets": ", ".join(targets),
        "trained_on": entry["trained_on"],
        "licence": entry["licence"],
        "record": entry["record"],
        "verified": entry["verified"],
        "unverified": entry["unverified"],
        "caution": entry.get("caution"),
        "what": f"weights of {entry['model']}, downloaded on first use; {entry['licence']}",
    }


def tables() -> list[tuple[str, tuple[str, ...], list[tuple[Any, ...]]]]:
    """The same as tables for people: (title, columns, rows) each."""
    rows = separators()

    def of(*kinds):
        return [row for row in rows if row["kind"] in kinds]

    def told(row):
        return f"{row['licence']}. CAUTION: {row['caution']}" if row["caution"] else row["licence"]

    def sets(row):
        return ", ".join(published["name"] for published in row["published"]) or "-"

    networks = [
        (
            row["name"],
            row["parameters"],
            row["domain"],
            row["targets"],
            sets(row),
            row["paper"],
            row["what"],
        )
        for row in of("network")
    ]
    weights = [
        (
            row["name"],
            row["model"],
            row["targets"],
            row["trained_on"],
            row["verified"],
            row["unverified"],
            told(row),
        )
        for row in of("published weights")
    ]
    included = [
        (row["name"], row["model"], row["targets"], row["licence"], row["what"])
        for row in of("included weights")
    ]
    methods = [
        (row["name"], row["kind"], row["targets"], row["what"])
        for row in rows
        if "domain" not in row and "model" not in row
    ]
    return [
        (
            "networks",
            ("name", "parameters", "domain", "targets", "published weights", "paper", "what"),
            networks,
        ),
        (
            "published weights, downloaded on first use",
            (
                "name",
                "network",
                "targets",
                "trained on",
                "how a file is checked",
                "never verified",
                "licence",
            ),
            weights,
        ),
        (
            "weights that come with sepkit",
            ("name", "network", "targets", "licence", "what"),
            included,
        ),
        ("methods", ("name", "kind", "targets", "what"), methods),
    ]


def _shipped(name):
    folder = shipped("checkpoints", f"{name}-student")
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        return "(no checkpoints come with sepkit: train some)"
    size = (
        read_json(folder / "manifest.json").get("size", "student")
        if (folder / "manifest.json").is_file()
        else "student"
    )
    return f"({size}-size checkpoints included: {', '.join(file.stem for file in files)})"
