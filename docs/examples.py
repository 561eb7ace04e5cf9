"""Examples that stand in a docstring without a heading become code, see mkdocs.yml."""

import re

import griffe


class Examples(griffe.Extension):
    """Puts fences around paragraphs that begin with ``>>>``."""

    def on_package(self, *, pkg, **kwargs):
        """Called for sepkit itself."""
        self.on_object(obj=pkg)

    def on_object(self, *, obj, **kwargs):
        """Called for everything in it."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text):
    """The same text with examples as blocks of code, without doctest's instructions."""
    text = re.sub(r" *# doctest: \+\w+", "", text)
    return re.sub(r"(?m)^( *)>>> (?:.+\n?)+", lambda m: f"```pycon\n{m[0].rstrip()}\n```\n", text)
