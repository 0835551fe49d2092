"""How fast and in how much memory a model is trained: the whole batch at once, and in pieces.

The limit is the forward and backward pass alone over pixels that are in memory already; beside it stands the
trainer's own step over images on disk, decoded and cropped as it goes.

    python benchmarks/train_speed.py --photos FOLDER [--model builtin] [--batches 64 256] [--micro 32]
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine_facts

SPARED_BYTES = 1 << 30  # of the free memory, for everything else on the machine


def stay_within_memory() -> None:
    """Fail like a small card rather than have the system kill what it likes."""
    facts = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(facts["MemAvailable"].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (free - SPARED_BYTES, resource.RLIM_INFINITY))


def measure(arguments: argparse.Namespace, batch: int, micro: int | None) -> tuple[float, float, float]:
    """Give images a second of the limit and of the trainer, and the peak memory in GB, in this process."""
    import numpy as np
    import torch

    from trainer.examples import Example, ImagePlace
    from trainer.tuning.accumulation import backward
    from trainer.tuning.folder import RunFolder
    from trainer.tuning.images import Images
    from trainer.tuning.learning import Learning, Moment
    from trainer.tuning.processes import Process
    from trainer.tuning.settings import LossName, Method, Settings
    from trainer.tuning.trainee import Trainee
    from trainer.tuning.validation import Validation

    device = torch.device(arguments.device)
    trainee = Trainee.load(arguments.model, print)
    trainee.to(device).train()
    size = trainee.preprocessing.width
    texts = [f"a photo of thing {number}" for number in range(batch)]
    inputs = trainee.inputs(np.zeros((batch, size, size, 3), np.uint8), texts)
    piece = micro or batch
    pieces = [inputs.piece(slice(start, start + piece)) for start in range(0, batch, piece)]
    positive = torch.eye(batch, device=device)

    def step() -> None:
        trainee.zero_grad(set_to_none=True)
        backward(
            pieces,
            trainee.encode,
            lambda images, captions: trainee.loss(LossName.SOFTMAX, images, captions, positive),
            trainee.model,
        )
        if device.type == "cuda":
            torch.cuda.synchronize()

    step()
    began = time.perf_counter()
    for _ in range(arguments.steps):
        step()
    limit = arguments.steps * batch / (time.perf_counter() - began)

    files = sorted(path for path in arguments.photos.rglob("*") if path.suffix.lower() in (".jpg", ".webp"))
    enough = -(-batch * arguments.steps // len(files))
    examples = tuple(Example(ImagePlace(path), (path.stem,)) for path in files * enough)[
        : batch * arguments.steps
    ]
    settings = Settings(Method.FULL, epochs=1, batch_size=batch, micro_batch=micro, patience=9)
    speeds: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        held_out = Validation(examples[:8], Images(examples[:8], trainee.preprocessing))

        def watch(moment: Moment) -> None:
            speeds.append(time.perf_counter())

        run = Learning(trainee, settings, examples, held_out, RunFolder(Path(folder)), Process(), watch)
        run.run()
        held_out.close()
    between = np.diff(speeds[:-1])  # the last one holds the validation
    ours = batch / float(np.median(between)) if len(between) else float("nan")
    peak = (
        torch.cuda.max_memory_allocated() / 1e9
        if device.type == "cuda"
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    )
    return limit, ours, peak


def main() -> None:
    """Measure each case in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photos")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--micro", type=int, default=32, help="images of a piece")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--case", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        batch, micro = arguments.case
        stay_within_memory()
        print(*measure(arguments, batch, micro or None))
        return
    print(machine_facts())
    print("| batch | in pieces of | images/s, limit | images/s, trainer | trainer/limit | peak GB |")
    print("|---|---|---|---|---|---|")
    for batch in arguments.batches:
        for micro in (0, arguments.micro):
            command = [sys.executable, *sys.argv, "--case", str(batch), str(micro)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                reason = done.stderr.strip().splitlines()[-1]
                print(f"| {batch} | {micro or 'none'} | fails: {reason} | | | |", flush=True)
                continue
            limit, ours, peak = map(float, done.stdout.split()[-3:])
            cells = (
                batch,
                micro or "none",
                f"{limit:.0f}",
                f"{ours:.0f}",
                f"{ours / limit:.2f}",
                f"{peak:.2f}",
            )
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
