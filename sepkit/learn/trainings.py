"""How much music a network that comes with sepkit has learnt from, where a chapter compares two."""

from __future__ import annotations

from ..files import shipped
from ..models.checkpoints import read_header


def examples_heard(model: str, target: str = "vocals") -> tuple[int, float]:
    """Find how many examples the shipped student network of a model was trained with.

    Parameters
    ----------
    model : str
        Such as ``"bsrnn"``.
    target : str

    Returns
    -------
    examples, hours
        Steps times the batch size, and how much audio that is. Examples that were drawn again
        count again.

    Raises
    ------
    SepkitError
        If no such checkpoint comes with sepkit.
    """
    path = shipped("checkpoints", f"{model}-student", f"{target}.safetensors")
    training = read_header(path)["extra"]
    examples = training["step"] * training["recipe"]["batch"]
    return examples, examples * training["recipe"]["chunk_seconds"] / 3600
