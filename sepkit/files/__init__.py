"""Where things lie, and how they are written: whole, or not at all."""

from .json_files import (
    atomic_path,
    commit,
    data_root,
    digest,
    free_bytes,
    identity,
    jsonable,
    parse_json,
    provenance,
    read_json,
    read_object,
    repo_root,
    sha256,
    shipped,
    write_json,
)

__all__ = [
    "atomic_path",
    "commit",
    "data_root",
    "digest",
    "free_bytes",
    "identity",
    "jsonable",
    "parse_json",
    "provenance",
    "read_json",
    "read_object",
    "repo_root",
    "sha256",
    "shipped",
    "write_json",
]
