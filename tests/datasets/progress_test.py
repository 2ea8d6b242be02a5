import sys

import pytest

from sen_tf.datasets import progress


def count_to(total, enabled=True):
    with progress.progress(total, "counting", "sheep", enabled) as counted:
        for _ in range(total):
            counted(1)


def test_off_a_terminal_there_is_a_line_per_ten_per_cent_of_a_long_wait(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LONG", -1)
    count_to(40)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"counting: {tenth}0 % of 40 sheep" for tenth in range(1, 10)]


def test_a_short_wait_is_silent(capsys):
    count_to(40)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("enabled", [True, False])
def test_on_a_terminal_there_is_a_bar(capsys, monkeypatch, enabled):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    count_to(40, enabled)
    assert ("40/40" in capsys.readouterr().err) == enabled
