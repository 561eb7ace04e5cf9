"""Files: where things lie, how they are written (whole, or not at all), what they hold."""

from .atomic import Temporary, atomic_path, sweep, sweep_once
from .hashes import digest, identity, sha256
from .json_files import jsonable, parse_json, read_json, read_object, write_json
from .origin import commit, kit, provenance
from .places import data_root, free_bytes, repo_root, shipped, size_text

__all__ = [
    "Temporary",
    "atomic_path",
    "commit",
    "data_root",
    "digest",
    "free_bytes",
    "identity",
    "jsonable",
    "kit",
    "parse_json",
    "provenance",
    "read_json",
    "read_object",
    "repo_root",
    "sha256",
    "shipped",
    "size_text",
    "sweep",
    "sweep_once",
    "write_json",
]
