"""Yaml files of others: read without making anything but lists, dicts, numbers and strings."""

from pathlib import Path
from typing import Any

from ..errors import SepkitError

#: Most bytes of a file: ten times those of the largest known.
MOST = 100_000


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a yaml file; ``!!python/tuple`` is read as a list, other tags are refused.

    So are aliases: nested, a few lines of them stand for more than any memory holds.

    Raises
    ------
    SepkitError
        If it is missing, too large, no yaml, or holds anything else.
    """
    import yaml  # only needed by those who read one

    class Loader(yaml.SafeLoader):
        """With the one tag that configs of training programs hold, and without aliases."""

        def compose_node(self, parent, index):
            if self.check_event(yaml.AliasEvent):
                alias = self.peek_event().anchor
                raise SepkitError(f"{path}: has the alias *{alias[:40]}; write its value out")
            return super().compose_node(parent, index)

    Loader.add_constructor(
        "tag:yaml.org,2002:python/tuple", lambda loader, node: loader.construct_sequence(node, True)
    )
    path = Path(path)
    try:
        if path.stat().st_size > MOST:
            raise SepkitError(f"{path}: larger than {MOST} bytes; a config was expected")
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)  # noqa: S506
    except FileNotFoundError:
        raise SepkitError(f"{path}: no such file") from None
    except SepkitError:
        raise
    except Exception as error:  # PyYAML raises KeyError, AttributeError, ... for values unlike tags
        reason = " ".join(str(error).split())[:100]
        raise SepkitError(f"{path}: cannot be read as yaml ({reason})") from None
    if not isinstance(content, dict):
        raise SepkitError(f"{path}: a yaml file of names and values was expected")
    return content
