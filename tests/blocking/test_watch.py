"""The watch sees what it is for, and nothing else."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.blocking import watch
from tests.blocking.watch import Watch, place_of, take_notes

HERE = str(Path(__file__).parent) + os.sep


@pytest.fixture(scope="module")
def installed() -> Watch:
    """One for all tests of the module, since no hook is ever taken away."""
    made = Watch()
    made.install()
    return made


def waits(folder: Path) -> dict[str, Callable[[], object]]:
    """By what is told of each; in this order, for some need what others made."""
    return {
        "os.mkdir": folder.mkdir,
        "open": lambda: (folder / "file").write_bytes(b"x"),
        "os.listdir": lambda: os.listdir(folder),
        "os.rename": lambda: os.rename(folder / "file", folder / "other"),
        "os.remove": lambda: os.remove(folder / "other"),
        "os.rmdir": folder.rmdir,
        "os.stat": lambda: os.stat(os.curdir),
        "time.sleep": lambda: time.sleep(0),
        "subprocess.Popen": lambda: subprocess.run(["true"], check=True),
    }


async def test_what_waits_in_a_loop_is_found(
    installed: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the gateway is this folder, and there are no tests."""
    monkeypatch.setattr(watch, "GATEWAY", HERE)
    monkeypatch.setattr(watch, "TESTS", "/nowhere/")
    for event, call in waits(tmp_path / "made").items():
        installed.take()
        call()
        found = installed.take()
        assert any(line.startswith(f"{event} in test_watch.py:") for line in found), (event, found)
    watch.SESSION.take()  # the one that judges this test saw all that too


async def test_what_waits_in_a_thread_or_in_a_test_is_not(
    installed: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call in waits(tmp_path / "made").values():
        call()  # by a test, which nobody waits for
    assert installed.take() == []
    monkeypatch.setattr(watch, "GATEWAY", HERE)
    monkeypatch.setattr(watch, "TESTS", "/nowhere/")
    for call in waits(tmp_path / "made").values():
        await asyncio.to_thread(call)
    assert installed.take() == []


def test_without_a_loop_nothing_is_found(
    installed: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "GATEWAY", HERE)
    for call in waits(tmp_path / "made").values():
        call()
    assert installed.take() == []


async def test_what_is_allowed_is_passed_over(installed: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "GATEWAY", HERE)
    monkeypatch.setattr(watch, "TESTS", "/nowhere/")
    place = place_of(sys._getframe())
    assert place is not None
    monkeypatch.setitem(watch.ALLOWED, place, "so that this test can say so")
    installed.take()
    os.stat(os.curdir)
    assert installed.take() == []


def test_servers_that_tests_start_are_watched(tmp_path: Path) -> None:
    """A process with `serve` among its words, whose gateway blocks: it leaves a note."""
    environment = {**os.environ, "GATEWAY_TEST_BLOCKING": str(tmp_path)}
    program = (
        "import asyncio, time\n"
        "code = compile('def block(): time.sleep(0)', {file!r}, 'exec')\n"
        "exec(code)\n"
        "async def main(): block()\n"
        "asyncio.run(main())\n"
    ).format(file=watch.GATEWAY + "made_up.py")
    for word, noted in (("serve", 1), ("import", 0)):
        environment["PYTHONPATH"] = HERE
        subprocess.run([sys.executable, "-c", program, word], check=True, env=environment)
        assert len(take_notes(tmp_path)) == noted
    assert not list(tmp_path.iterdir())


def test_what_is_allowed_is_there_and_says_why() -> None:
    for place, reason in watch.ALLOWED.items():
        file, _, name = place.partition(":")
        text = (Path(watch.GATEWAY) / file).read_text(encoding="utf-8")
        assert f"def {name.rpartition('.')[2]}(" in text, place
        assert len(reason) > 20


def test_folders_that_are_watched_in_every_run_are_there() -> None:
    tests = Path(watch.TESTS)
    assert all(any((tests / folder).rglob("test_*.py")) for folder in watch.WATCHED)
    assert watch.is_watched(tests / "store" / "test_inplace.py")
    assert not watch.is_watched(tests / "wire" / "test_clients.py")


def test_what_calls_may_be_given_is_still_known(tmp_path: Path) -> None:
    """`shutil.copy2` asks which functions may be told not to follow links."""
    (tmp_path / "file").write_bytes(b"held")
    (tmp_path / "link").symlink_to("file")
    shutil.copy2(tmp_path / "link", tmp_path / "copy", follow_symlinks=False)
    assert (tmp_path / "copy").is_symlink()
    assert os.stat in os.supports_follow_symlinks


async def test_what_the_garbage_collector_ends_meanwhile_is_not(installed: Watch, tmp_path: Path) -> None:
    """A finalizer runs wherever a collection does, in code of the gateway too, which knows nothing of it."""
    path = tmp_path / "forgotten"
    path.mkdir()
    code = compile("def collect(finalizer): finalizer()", f"{watch.GATEWAY}made_up.py", "exec")
    names: dict[str, Callable[[Any], None]] = {}
    exec(code, names)
    forgotten = Watch()
    names["collect"](weakref.finalize(forgotten, shutil.rmtree, path))
    assert not path.exists()
    assert installed.take() == []
    path.mkdir()
    names["collect"](partial(shutil.rmtree, path))
    assert installed.take()[0].startswith("shutil.rmtree in made_up.py:collect")
    watch.SESSION.take()


def test_the_gateway_leaves_nothing_to_finalizers() -> None:
    """What these would do is passed over."""
    forgetful = re.compile(r"TemporaryDirectory|weakref\.finalize|import finalize|atexit")
    found = {file for file in Path(watch.GATEWAY).rglob("*.py") if forgetful.search(file.read_text())}
    assert found == set()
