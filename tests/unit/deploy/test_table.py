"""``make ps``."""

from deploy.stack import ProcessStatus
from deploy.table import render_processes


def test_every_line_has_as_many_words_as_the_header() -> None:
    text = render_processes(
        [
            ProcessStatus("redis", 1, 12, 20679, "ready", ""),
            ProcessStatus("token-broker", 12, 0, 8081, "restarting", "http://127.0.0.1:8081"),
        ]
    )
    lines = [line.split() for line in text.splitlines()]
    assert lines[0][:5] == ["SERVICE", "REPLICA", "PID", "PORT", "STATE"]
    assert {len(words) for words in lines} == {6}
    assert lines[2] == ["token-broker", "12", "-", "8081", "restarting", "http://127.0.0.1:8081"]


def test_with_nothing_running_there_is_only_the_header() -> None:
    assert render_processes([]).split()[0] == "SERVICE"
    assert len(render_processes([]).splitlines()) == 1
