"""JSON files: ours, and those that may be anybody's."""

import json
import math
from pathlib import Path
from typing import Any

from ..errors import SepkitError
from .atomic import atomic_path


def write_json(path: str | Path, value: object, indent: int | None = 1) -> None:
    """Write `value` as JSON, atomically; NaN and infinities become null."""
    text = json.dumps(jsonable(value), indent=indent, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file; a missing or broken one raises a `SepkitError` that names it."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SepkitError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise SepkitError(f"{path}: not a JSON file ({error})") from None
    except OSError as error:
        raise SepkitError(
            f"{path}: cannot be read ({error.strerror}); expected a JSON file"
        ) from None
    return parse_json(text, path)


def read_object(path: str | Path, **kinds: type) -> dict[str, Any]:
    """A JSON file of ours that holds an object, such as a manifest.

    Parameters
    ----------
    path : str or Path
    **kinds
        Name of an entry -> its type; one that is missing is an empty one.

    Raises
    ------
    SepkitError
        If the file is missing or broken, or holds something else.
    """
    content = read_json(path)
    found = (
        {name: content.get(name, kind()) for name, kind in kinds.items()}
        if isinstance(content, dict)
        else None
    )
    if found is None or not all(isinstance(found[name], kind) for name, kind in kinds.items()):
        raise SepkitError(
            f"{path}: not a file that sepkit wrote ({', '.join(kinds) or 'an object'} expected); "
            "restore it or delete it"
        )
    return {**content, **found}


def parse_json(text: str | bytes, source: str | Path) -> Any:
    """The value of a JSON text, which may be anybody's.

    Parameters
    ----------
    text : str or bytes
    source : str or Path
        What the error message calls it.

    Raises
    ------
    SepkitError
        If it is not JSON, is nested too deeply, says one key twice, or holds a number with
        thousands of digits. NaN and Infinity are read, as Python writes them.
    """
    try:
        return json.loads(text, object_pairs_hook=_once_each)
    except RecursionError:
        raise SepkitError(f"{source}: not a JSON file of ours (nested too deeply)") from None
    except ValueError as error:  # JSONDecodeError, and numbers of too many digits
        raise SepkitError(f"{source}: not a JSON file ({str(error)[:120]})") from None


def _once_each(pairs):
    found = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:60]!r} is there twice")
        found[key] = value
    return found


def jsonable(value: Any) -> Any:
    """`value` as JSON can hold it: NaN and infinities as None, arrays as lists, paths as text."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()  # numpy and torch scalars
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
