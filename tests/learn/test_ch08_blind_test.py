"""The blind test: nothing tells A from B, answers are kept by what was heard, and found again."""

import json

import pytest
import torch

from sepkit.audio.loudness import loudness
from sepkit.errors import SepkitError
from sepkit.learn.ch08.blind_test import BlindTest

RATE = 8000


def sound(level, seed):
    return level * torch.randn(1, RATE, generator=torch.Generator().manual_seed(seed))


SOUNDS = {
    1: {"leak": sound(0.02, 1), "echo": sound(0.2, 2)},
    2: {"leak": sound(0.02, 1), "noise": sound(0.1, 3)},
}


def test(folder, seed=0, questions=SOUNDS):
    return BlindTest("08", {"the stem": sound(0.05, 0)}, questions, RATE, folder, seed)


test.__test__ = False


def letters(one):
    return {number: dict(order) for number, order in one._order.items()}


def test_a_and_b_are_drawn_by_lot_and_reproducibly(tmp_path):
    assert letters(test(tmp_path, 5)) == letters(test(tmp_path, 5))
    first = {test(tmp_path, seed)._order[1]["A"] for seed in range(12)}
    assert first == {"leak", "echo"}


def test_the_players_give_nothing_away(tmp_path):
    row = test(tmp_path).play(1)
    assert list(row.gains) == ["the stem", "A", "B"]
    # what was matched before shows no gains
    assert max(row.gains.values()) - min(row.gains.values()) < 0.2
    shown = row._repr_html_()
    assert "leak" not in shown and "echo" not in shown


def test_all_sound_equally_loud(tmp_path, monkeypatch):
    heard = {}
    monkeypatch.setattr(
        "sepkit.learn.ch08.blind_test.players", lambda sounds, *_, **__: heard.update(sounds)
    )
    test(tmp_path).play(1)
    levels = [loudness(x, RATE) for x in heard.values()]
    assert max(levels) - min(levels) < 0.1


def test_answers_are_kept_by_what_they_were(tmp_path):
    one = test(tmp_path, seed=0)
    told = one.answer(1, "A")
    chosen = one._order[1]["A"]
    assert f"A was {chosen}" in told and f"you chose {chosen}" in told
    assert "no difference" in one.answer(2, "same")
    for seed in range(6):  # another lot, the same answers
        results = test(tmp_path, seed).results()
        assert list(results["ear prefers"]) == [chosen, "neither"]
    assert json.loads((tmp_path / "listening" / "08.json").read_text())["answers"][0]["pair"] == [
        "echo",
        "leak",
    ]


def test_a_changed_mind_replaces_the_answer(tmp_path):
    one = test(tmp_path)
    one.answer(1, "A"), one.answer(1, "B")
    assert list(test(tmp_path).results()["ear prefers"]) == [one._order[1]["B"]]


def test_unanswered_questions_keep_nothing(tmp_path):
    one = test(tmp_path)
    assert "not answered" in one.answer(1, ...) and "not answered" in one.answer(1)
    assert not one.path.exists() and one.results().empty


def test_results_beside_a_metric(tmp_path):
    one = test(tmp_path)
    one.answer(1, "A"), one.answer(2, "B")
    results = one.results({"leak": 6.0, "echo": 6.04, "noise": 9.0})
    assert list(results["metric prefers"]) == ["neither", "noise"]


def test_answers_to_other_sounds_are_not_taken_over(tmp_path):
    test(tmp_path).answer(1, "A")
    changed = {1: {"leak": sound(0.02, 1), "swap": sound(0.2, 2)}}
    assert test(tmp_path, questions=changed).results().empty


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda one: one.play(7), "questions 1, 2"),
        (lambda one: one.answer(1, "C"), "choose from A, B, same"),
    ],
)
def test_what_does_not_exist_is_said(tmp_path, call, says):
    with pytest.raises(SepkitError, match=says):
        call(test(tmp_path))


def test_questions_need_two_sounds_and_whole_files(tmp_path):
    with pytest.raises(SepkitError, match="two sounds"):
        test(tmp_path, questions={1: {"leak": sound(1, 1)}})
    path = tmp_path / "listening" / "08.json"
    path.parent.mkdir()
    path.write_text('{"format": "else"}')
    with pytest.raises(SepkitError, match="not a file of listening answers"):
        test(tmp_path)
