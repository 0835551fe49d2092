"""Kills a run of actions, then an undoing, before each of its calls that touch the disk, one after the other.

`python -m tests.indexer.kill_actions FOLDER ACTION [DESTINATION]` prints what it found as JSON. A program of
its own, since it forks, which a test process that has loaded half the world should not.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import send2trash  # noqa: F401  imported before we count what is opened

from indexer.actions.records import Action, Result

from .acting import Album, make_album

CALLS = {
    "open", "os.rename", "os.link", "os.remove", "os.symlink", "os.mkdir", "os.rmdir", "os.chmod", "os.utime",
}  # fmt: skip


def main() -> None:
    """Try every place to kill at, and tell."""
    folder, action = Path(sys.argv[1]), Action(sys.argv[2])
    destination = Path(sys.argv[3]) if len(sys.argv) > 3 else folder / "moved"
    trash = Path(os.environ["XDG_DATA_HOME"], "Trash")
    kills = [0, 0]
    problems: list[str] = []
    for number, stage in enumerate((killed_in_apply, killed_in_undo)):
        for album, before, was_killed in stage(folder, action, destination):
            kills[number] += was_killed
            found = list(judge(album, before, action, trash))
            problems += [f"{stage.__name__} {kills[number]}: {problem}" for problem in found]
    print(json.dumps({"kills": kills, "problems": problems}))


def killed_in_apply(folder: Path, action: Action, destination: Path) -> Iterator[tuple[Album, dict, bool]]:
    for number in count(1):
        album, before = fresh(folder, destination)
        was_killed = killed(lambda: album.apply(action), number)  # noqa: B023
        yield album, before, was_killed
        if not was_killed:
            return


def killed_in_undo(folder: Path, action: Action, destination: Path) -> Iterator[tuple[Album, dict, bool]]:
    for number in count(1):
        album, before = fresh(folder, destination)
        album.apply(action)
        was_killed = killed(lambda: album.undo(), number)  # noqa: B023
        yield album, before, was_killed
        if not was_killed:
            return


def judge(album: Album, before: dict, action: Action, trash: Path) -> Iterator[str]:
    """Say what is wrong after a kill, and after the undoing that follows it."""
    if not album.has_kept():
        yield "a group has lost its kept file"
    reasons = {outcome.reason for outcome in undone(album) if outcome.result is Result.REFUSED}
    if reasons != ({"deleted for good"} if reasons and action is Action.DELETE else set()):
        yield f"refused: {reasons}"
    after = album.seen()
    if action is Action.DELETE:
        before = {name: seen for name, seen in before.items() if name in after}
    if after != before:
        changed = {name for name in after.keys() | before.keys() if after.get(name) != before.get(name)}
        yield f"not as before: {sorted(map(ascii, changed))}"
    rests = [*trash.glob("*/*"), *album.elsewhere.rglob("*")]
    if len(sys.argv) > 3:  # of a move by copying a whole copy may stay, since it is not known whose it is
        rests = [path for path in rests if path.suffix == ".part"]
    if rests:
        yield f"left over: {sorted(map(ascii, rests))}"


def undone(album: Album) -> list:
    from indexer.actions.journal import newest_to_undo

    return album.undo() if newest_to_undo(album.library) else []


def fresh(folder: Path, destination: Path) -> tuple[Album, dict]:
    for old in (folder, destination):
        shutil.rmtree(old, ignore_errors=True)
    album = make_album(folder)
    second_name = album.root / "2020/a.jpg"  # in the trash the two have one inode
    os.link(album.root / "copies/a.jpg", second_name)
    album.plan(second_name, album.root / "a.jpg")
    album.elsewhere = destination
    return album, album.seen()


def killed(work: Callable[[], object], at_call: int) -> bool:
    """Do the work in a child that is killed before its `at_call`-th call; tell whether it came that far."""
    child = os.fork()
    if child == 0:
        kill_at(at_call)
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0 or os.WTERMSIG(status) == signal.SIGKILL
    return status != 0


def kill_at(at_call: int) -> None:
    calls = count(1)

    def watch(event: str, arguments: tuple) -> None:
        if event in CALLS and next(calls) == at_call:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


if __name__ == "__main__":
    main()
