"""Names of songs, stems and data sets may hold anything: shown as they are, in HTML and figures."""

import html

#: What begins a formula for MathJax, which searches exported pages, but not across tags.
_FORMULA = str.maketrans({"$": "<span>$</span>", "\\": "<span>&#92;</span>"})


def as_html(text):
    """Text for the contents of an HTML element: no tag, no formula."""
    return html.escape(str(text)).translate(_FORMULA)


def as_table(frame):
    """A table whose texts are safe in HTML, for pandas' ``style``, which takes texts for HTML.

    Parameters
    ----------
    frame : DataFrame

    Returns
    -------
    DataFrame
        With the texts of cells, index and columns as `as_html` gives them.
    """

    def safe(value):
        return as_html(value) if isinstance(value, str) else value

    return frame.map(safe).rename(index=safe, columns=safe).rename_axis(index=safe, columns=safe)


def as_drawn(figure):
    """Turn off formulas in a figure, in place: a "$" in a name is a "$".

    The powers of ten on logarithmic axes stay formulas.
    """
    from matplotlib.text import Text
    from matplotlib.ticker import LogFormatter

    powers = set()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            for minor, formatter in (
                (False, axis.get_major_formatter()),
                (True, axis.get_minor_formatter()),
            ):
                if isinstance(formatter, LogFormatter):
                    powers.update(axis.get_ticklabels(minor=minor))
    for text in figure.findobj(Text):
        if text not in powers:
            text.set_parse_math(False)
