from __future__ import annotations

import fcntl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.files import locked, write


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b", "one")
    write(tmp_path / "a" / "b", "two")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert (tmp_path / "a" / "b").read_text() == "two"


def test_a_file_is_as_readable_as_asked(tmp_path: Path) -> None:
    write(tmp_path / "a", "one")
    write(tmp_path / "b", "two", mode=0o600)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "ab"] == [0o644, 0o600]


@pytest.mark.slow
def test_threads_may_write_the_same_file_at_once(tmp_path: Path) -> None:
    text = "x" * 100_000
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: write(tmp_path / "config.yaml", text), range(200)))
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
    assert (tmp_path / "config.yaml").read_text() == text


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write(tmp_path / "folder", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("durable", [False, True])
def test_bytes_are_written_as_they_are(tmp_path: Path, durable: bool) -> None:
    write(tmp_path / "model", b"\x00\xff\r\n", durable=durable)
    assert (tmp_path / "model").read_bytes() == b"\x00\xff\r\n"


def test_a_lock_is_held_by_one_at_a_time_and_let_go_of_after_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "lock"

    def taken() -> bool:
        with path.open() as another:
            try:
                fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    with locked(path):
        assert taken()
    assert not taken()
    with pytest.raises(ZeroDivisionError), locked(path):
        raise ZeroDivisionError
    assert not taken()


def test_a_lock_is_waited_for_as_long_as_is_said(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    let_go = threading.Event()

    def hold() -> None:
        with locked(path):
            held.set()
            let_go.wait(30)

    held, holder = threading.Event(), threading.Thread(target=hold)
    holder.start()
    assert held.wait(30)
    for within_s in (0, 0.3):
        with pytest.raises(BlockingIOError), locked(path, within_s=within_s):
            pass
    threading.Timer(0.3, let_go.set).start()
    with locked(path, within_s=30):
        holder.join(30)
        assert not holder.is_alive()
