"""Packaging that pyproject.toml cannot say: data/ travels inside the package as sepkit/_data.

Only what sepkit ships is named here, so that a data set rendered or downloaded into data/
never ends up in a wheel. Everything else about the package stands in pyproject.toml.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["sepkit", "sepkit.*"]), "sepkit._data"],
    package_dir={"sepkit._data": "data"},
    package_data={
        "": ["*.html", "*.js", "*.css", "*.json", "*.txt"],
        "sepkit._data": [
            "*.json", "reported/*.csv", "checkpoints/*/*.safetensors", "checkpoints/*/*.json", "experiments/*.json",
        ],
    },
)
