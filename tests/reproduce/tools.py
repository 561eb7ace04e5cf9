"""What tests of the ledger and of the report share."""

from sepkit.files import provenance
from sepkit.metrics import Score, card_for
from sepkit.stems import STEMS


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
