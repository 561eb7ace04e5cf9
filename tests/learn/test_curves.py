import io
import sys

import pytest
from PIL import Image

from sepkit.errors import SepkitError
from sepkit.learn import curves

ROWS = [
    dict(epoch=n, step=10 * n, train_loss=5 / n, valid_loss=valid, lr=0.1 / n, seconds=n, waiting=0)
    for n, valid in ((1, 4.0), (2, 2.0), (3, 3.0))
]


def test_curves_show_both_losses_the_best_epoch_and_the_learning_rate():
    left, right = curves.curves(ROWS).axes
    train, valid, best = left.get_lines()
    assert train.get_xdata().tolist() == [
        10,
        20,
        30,
    ] and train.get_ydata().tolist() == pytest.approx([5, 2.5, 5 / 3])
    assert valid.get_ydata().tolist() == [4, 2, 3] and (
        best.get_xdata()[0],
        best.get_ydata()[0],
    ) == (20, 2)
    assert right.get_lines()[0].get_ydata().tolist() == pytest.approx([0.1, 0.05, 0.1 / 3])
    assert left.get_yscale() == "log"
    negative = [{**row, "train_loss": -row["train_loss"]} for row in ROWS]  # a loss in dB
    assert curves.curves(negative).axes[0].get_yscale() == "linear"


class Screen:
    """What a notebook would show: an image, replaced by updates."""

    def __init__(self):
        self.shown, self.images = 0, []

    def display(self, image, display_id):
        assert display_id is True
        self.shown += 1
        self.update(image)
        return self

    def update(self, image):
        self.images.append(Image.open(io.BytesIO(image.data)))


def test_live_curves_replace_one_figure(monkeypatch):
    import IPython
    import IPython.display

    screen = Screen()
    monkeypatch.setattr(IPython, "get_ipython", lambda: object())
    monkeypatch.setattr(IPython.display, "display", screen.display)
    live = curves.LiveCurves("vocals")
    for row in ROWS:
        live(row)
    assert screen.shown == 1 and len(screen.images) == 3 and live.rows == ROWS
    assert screen.images[0].tobytes() != screen.images[2].tobytes()


def test_outside_a_notebook_rows_are_kept_and_nothing_is_shown(capsys):
    live = curves.LiveCurves()
    live(ROWS[0])
    assert live.rows == ROWS[:1] and capsys.readouterr() == ("", "") and "IPython" in sys.modules


def test_a_log_is_read_as_numbers(tmp_path):
    with pytest.raises(
        SepkitError, match="log.csv: no such file; the folder of a run was expected"
    ):
        curves.read_log(tmp_path)
    (tmp_path / "log.csv").write_text("epoch,step,valid_loss\n1,10,0.25\n")
    assert curves.read_log(tmp_path) == [{"epoch": 1.0, "step": 10.0, "valid_loss": 0.25}]
    (tmp_path / "log.csv").write_text("epoch,step,valid_loss\n")
    with pytest.raises(SepkitError, match="no epoch is finished yet"):
        curves.read_log(tmp_path)
