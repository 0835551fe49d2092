"""Workers: processes that run one function on many items, where a crash or a hang costs only its item.

Why not multiprocessing's or another library's pool: their children run the user's main script again
(fatal for a script without a `__main__` guard, which is how our Python API is used), name the task that died
only by the chunk, and share locks that a killed child can leave closed. Here each worker is a fresh Python
with two pipes of its own; whoever dies, the pipe's end says so, and the item in hand is known.
"""

import json
import math
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeVar, cast

Loss = Literal["time", "memory", "killed", "crash"]  # what took a worker, and its item, away
Item = TypeVar("Item")
Result = TypeVar("Result")

IN_HAND: Final = 3  # items sent ahead to each worker, so that it never waits for the pipe
WATCH_SECONDS: Final = 0.2
STANDSTILL_SECONDS: Final = 1.0  # so late the watch is only when all of the process stood still
START_SECONDS: Final = 120.0  # a cold disk under load; only a broken installation takes longer
STARTS_MAX: Final = 3
OUT_OF_MEMORY: Final = 77  # exit code of a worker that could not even send its result
ALARM_SLACK_SECONDS: Final = 30  # after this a hung worker ends by itself, should its parent be gone
# glibc gives what is freed back to the system at once and gets it again, page by page, for the next picture:
# a thousand page faults each, a fifth of a worker's time. Other C libraries do not read these.
KEEP_FREED_MEMORY: Final = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),  # blocks above that are the system's; it is glibc's limit
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),  # this much may lie idle
}


def usable_cores() -> int:
    """Count the cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _cores_of_container()))


def _cores_of_container() -> int:
    """Give the cores that a container may use at a time (`docker run --cpus`); as good as endless without."""
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return math.ceil(int(quota) / int(period))  # "max" is no number
    return sys.maxsize


class WorkersBroken(RuntimeError):
    """The worker processes cannot be started at all; carries what they said."""


@dataclass(frozen=True, slots=True)
class Job:
    """What every worker does: `function` ("module:name") of each item and the one argument."""

    function: str
    argument: object
    seconds_per_item: float
    memory_bytes: int | None  # on top of what a worker needs for itself; None: no limit


class WorkerPool(Generic[Item, Result]):
    """A fixed number of workers, started when there is something to do; a context manager."""

    def __init__(
        self, job: Job, *, workers: int, look_ahead: int, lost: Callable[[Item, Loss], Result]
    ) -> None:
        self._job = job
        self._workers = max(1, workers)
        self._look_ahead = max(look_ahead, self._workers * IN_HAND)
        self._lost = lost
        self._crew: _Crew | None = None

    def __enter__(self) -> "WorkerPool[Item, Result]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop all workers now, whatever they are doing."""
        crew, self._crew = self._crew, None
        if crew is not None:
            crew.stop()

    def map(self, items: Iterable[Item]) -> Iterator[Result]:
        """Give the result of each item, in the order they get ready; draws items as far as the look-ahead.

        Closing the iterator early stops the workers.
        """
        outstanding = 0
        try:
            for item in items:
                self._hire(outstanding + 1).tasks.put(item)
                outstanding += 1
                if outstanding >= self._look_ahead:
                    yield self._take()
                    outstanding -= 1
            while outstanding:
                yield self._take()
                outstanding -= 1
        except BaseException:
            self.close()
            raise

    def _hire(self, tasks: int) -> "_Crew":
        if self._crew is None:
            self._crew = _Crew(self._job, self._lost)
        if tasks > len(self._crew.attendants) and len(self._crew.attendants) < self._workers:
            self._crew.hire()
        return self._crew

    def _take(self) -> Result:
        assert self._crew is not None
        result = self._crew.results.get()
        if isinstance(result, WorkersBroken):
            raise result
        return cast(Result, result)


class _Stopped(Exception):
    """The pool is being closed."""


class _Crew:
    """The workers of one pool, from first hire to stop."""

    def __init__(self, job: Job, lost: Callable[[Any, Loss], object]) -> None:
        self.job = job
        self.lost = lost
        self.tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.attendants: list[_Attendant] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._stood_still = 0.0  # seconds
        self._watch = threading.Thread(target=self._watch_clock, name="worker-clock", daemon=True)
        self._watch.start()

    def hire(self) -> None:
        attendant = _Attendant(self)
        self.attendants.append(attendant)
        attendant.thread.start()

    def launch(self, attendant: "_Attendant") -> "subprocess.Popen[bytes]":
        """Start a process, unless we are stopping; under the lock, so that `stop` sees every one."""
        with self._lock:
            if self._stopped.is_set():
                raise _Stopped
            attendant.process = _launch()
            return attendant.process

    def stop(self) -> None:
        with self._lock:
            self._stopped.set()
        for attendant in self.attendants:
            attendant.kill()
            self.tasks.put(None)
        for thread in (*(a.thread for a in self.attendants), self._watch):
            thread.join()

    @property
    def stopping(self) -> bool:
        return self._stopped.is_set()

    def now(self) -> float:
        """Give a clock in seconds that stands still while this process does (Ctrl-Z, a paused container)."""
        return time.monotonic() - self._stood_still

    def _watch_clock(self) -> None:
        looked = time.monotonic()
        while not self._stopped.wait(WATCH_SECONDS):
            late = time.monotonic() - looked - WATCH_SECONDS
            looked = time.monotonic()
            if late > STANDSTILL_SECONDS:
                self._stood_still += late
            for attendant in tuple(self.attendants):
                attendant.kill_overdue(self.now())


class _Attendant:
    """The thread that feeds one worker, and replaces it when it dies."""

    def __init__(self, crew: _Crew) -> None:
        self._crew = crew
        self.process: subprocess.Popen[bytes] | None = None
        self._in_hand: deque[Any] = deque()
        self._clock: tuple[object, float] | None = None  # the item being worked on, and until when
        self._overdue: object = None
        self.thread = threading.Thread(target=self._run, name="worker-attendant", daemon=True)

    def kill(self) -> None:
        process = self.process
        if process is not None:
            process.kill()

    def kill_overdue(self, now: float) -> None:
        clock = self._clock
        if clock is not None and now > clock[1]:
            self._overdue = clock[0]
            self.kill()

    def _run(self) -> None:
        try:
            while True:
                self._one_life()
        except _Stopped:
            pass
        except WorkersBroken as error:
            self._crew.results.put(error)
        except Exception as error:  # a mistake of ours must end the run, not leave it waiting for ever
            self._crew.results.put(WorkersBroken(f"{type(error).__name__}: {error}"))
        finally:
            self._bury()

    def _one_life(self) -> None:
        """Feed one process until it dies; charge its death to the item it had in hand."""
        if not self._in_hand:
            self._in_hand.append(self._next_task())
        process = self._start()
        try:
            for item in self._in_hand:
                _send(process, item)
            while True:
                self._receive(process)
                self._refill(process)
        except (EOFError, OSError, pickle.UnpicklingError):
            self._clock = None
            self._account(self._bury())

    def _next_task(self) -> object:
        task = self._crew.tasks.get()
        if task is None or self._crew.stopping:
            raise _Stopped
        return task

    def _refill(self, process: "subprocess.Popen[bytes]") -> None:
        if not self._in_hand:
            self._hand_over(process, self._next_task())
        with suppress(queue.Empty):
            while len(self._in_hand) < IN_HAND:
                task = self._crew.tasks.get_nowait()
                if task is None:
                    raise _Stopped
                self._hand_over(process, task)

    def _hand_over(self, process: "subprocess.Popen[bytes]", task: object) -> None:
        self._in_hand.append(task)  # first: should the pipe be broken, the next life takes it
        _send(process, task)

    def _receive(self, process: "subprocess.Popen[bytes]") -> None:
        item = self._in_hand[0]
        self._clock = (item, self._crew.now() + self._crew.job.seconds_per_item)
        result = pickle.load(_pipe(process.stdout))
        self._clock = None
        self._in_hand.popleft()
        self._crew.results.put(result)

    def _account(self, exit_code: int) -> None:
        """Decide whom the death of a worker is charged to."""
        if self._crew.stopping:
            raise _Stopped
        overdue, self._overdue = self._overdue, None
        if not self._in_hand or (overdue is not None and overdue is not self._in_hand[0]):
            return  # it died idle, or its late result came after all
        loss: Loss = "crash"
        if overdue is not None or exit_code == -getattr(signal, "SIGALRM", 0):
            loss = "time"
        elif exit_code == OUT_OF_MEMORY:
            loss = "memory"
        elif exit_code == -getattr(signal, "SIGKILL", 0):  # not by us: Linux does it when short of memory
            loss = "killed"
        self._crew.results.put(self._crew.lost(self._in_hand.popleft(), loss))

    def _start(self) -> "subprocess.Popen[bytes]":
        said = b""
        for _ in range(STARTS_MAX):
            process = self._crew.launch(self)
            self._clock = (None, self._crew.now() + START_SECONDS)
            try:
                _send(process, (self._crew.job, os.getpid()))
                pickle.load(_pipe(process.stdout))
                return process
            except (EOFError, OSError, pickle.UnpicklingError):
                said = _pipe(process.stderr).read()
                self._bury()
                if self._crew.stopping:
                    raise _Stopped from None
            finally:
                self._clock = None
        raise WorkersBroken(said.decode("utf-8", "replace").strip() or "they end at once, without a word")

    def _bury(self) -> int:
        """End the process and close its pipes."""
        process, self.process = self.process, None
        if process is None:
            return 0
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.5)  # it may still be dying by its own hand: its exit code tells why
        process.kill()
        exit_code = process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        return exit_code


def _launch() -> "subprocess.Popen[bytes]":
    code = (
        "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from indexer.workers import serve; serve()"
    )
    environment = {
        **os.environ,
        "OPENBLAS_NUM_THREADS": "1",  # each thread would reserve memory and gain nothing here
        "OMP_NUM_THREADS": "1",
        **KEEP_FREED_MEMORY,
    }
    # A group of its own: Ctrl-C at the terminal is for us alone, we stop the workers.
    group: dict[str, Any] = {"process_group": 0}
    if sys.platform == "win32":
        group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return subprocess.Popen(
        [sys.executable, "-c", code, json.dumps([each for each in sys.path if isinstance(each, str)])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        **group,
    )


def _pipe(pipe: Any) -> Any:
    assert pipe is not None  # all three are asked for in _launch
    return pipe


def _send(process: "subprocess.Popen[bytes]", thing: object) -> None:
    pipe = _pipe(process.stdin)
    pipe.write(pickle.dumps(thing, protocol=pickle.HIGHEST_PROTOCOL))
    pipe.flush()


# ---- inside the worker


def serve() -> None:
    """Be a worker: read items from stdin and write results to stdout until stdin ends."""
    _ignore_ctrl_c()
    inbox, outbox = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    job, parent = pickle.load(inbox)
    module, _, name = job.function.partition(":")
    function = getattr(import_module(module), name)
    _die_with(parent)
    _silence()
    if job.memory_bytes is not None:
        limit_memory(job.memory_bytes)
    try:
        _reply(outbox, "ready")
        while True:
            try:
                item = pickle.load(inbox)
            except EOFError:
                os._exit(0)  # nothing to tidy up, and libraries' own tidying up has been seen to hang
            _arm_alarm(job.seconds_per_item + ALARM_SLACK_SECONDS)
            result = function(item, job.argument)
            _arm_alarm(0)  # the parent may be a while in taking it
            _reply(outbox, result)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except BrokenPipeError:
        os._exit(0)  # the parent is gone


def _reply(outbox: Any, thing: object) -> None:
    outbox.write(pickle.dumps(thing, protocol=pickle.HIGHEST_PROTOCOL))
    outbox.flush()


def _ignore_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _silence() -> None:
    """Send what C libraries print nowhere: stdout is our pipe, stderr the user's terminal."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _die_with(parent: int) -> None:
    """Ask Linux to kill us when the parent dies, even while a decoder hangs."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            import ctypes

            pr_set_pdeathsig = 1
            ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)


def _arm_alarm(seconds: float) -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def limit_memory(extra_bytes: int) -> None:
    """Let this process take so much more memory than it has now, where the system can be told."""
    try:
        import resource
    except ImportError:  # Windows
        return
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    with suppress(OSError, ValueError):
        resource.setrlimit(kind, (_data_bytes() + extra_bytes, resource.getrlimit(kind)[1]))


def _data_bytes() -> int:
    """Give what Linux counts against RLIMIT_DATA already; 0 elsewhere."""
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")
