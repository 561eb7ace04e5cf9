"""What the shipped networks learnt from, against the manifests beside them."""

import json

import pytest

from sepkit.errors import SepkitError
from sepkit.files import shipped
from sepkit.learn.trainings import examples_heard


@pytest.mark.parametrize("model", ["bsrnn", "resunet-subbandtime"])
def test_examples_are_those_of_the_manifest(model):
    manifest = json.loads(shipped("checkpoints", f"{model}-student", "manifest.json").read_text())
    steps, batch = manifest["training"]["vocals"]["step"], manifest["recipe"]["batch"]
    examples, hours = examples_heard(model)
    assert examples == steps * batch
    assert hours == pytest.approx(steps * batch * manifest["recipe"]["chunk_seconds"] / 3600)


def test_a_model_without_checkpoint_is_named():
    with pytest.raises(SepkitError, match="scnet-student"):
        examples_heard("scnet")
