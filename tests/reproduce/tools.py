"""What tests of the ledger and of the report share."""

from html.parser import HTMLParser

from sepkit.files import provenance
from sepkit.metrics import Score, card_for
from sepkit.stems import STEMS


class Page(HTMLParser):
    """Rows of all tables, links, and whether every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.links, self.loaded = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self.links += [value for name, value in attributes if name == "href"]
        self.loaded += [value for name, value in attributes if name == "src"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def scores(
    separator, values, dataset="musdb18", metric="csdr", target="vocals", targets=STEMS, **said
):
    """Scores of one separator on `song 0`, `song 1`, ..."""
    origin = provenance(device="cpu", seed=0, profile="smoke", **said)
    card = card_for(metric, targets)
    return [
        Score(f"song {i}", target, metric, value, separator, dataset, card, origin)
        for i, value in enumerate(values)
    ]
