"""What the tests of the exercises share: a chapter's answers in one table, a row per answer."""

import pytest

STUB, RIGHT = "not attempted", "right"


def judged(check, chapter, answers):
    """Make a test with a case per row of `answers`.

    Parameters
    ----------
    check : object
        The chapter's, with ``ex_NN_k``.
    chapter : str
        Two digits.
    answers : list of (exercise, answer, verdict)
        `verdict` is `STUB`, `RIGHT`, or a part of the reason why the answer is wrong, ``""`` for
        any reason.
    """

    @pytest.mark.parametrize("exercise, answer, verdict", answers)
    def test(exercise, answer, verdict):
        found = getattr(check, f"ex_{chapter}_{exercise}")(answer)
        if verdict in (STUB, RIGHT):
            assert found.status == verdict, found
        else:
            assert found.status == "wrong" and verdict in found.text, found

    return test
