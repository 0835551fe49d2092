"""A run's log becomes a picture and TensorBoard's events."""

from pathlib import Path

from PIL import Image

from trainer.tuning.curves import draw_curves, write_board
from trainer.tuning.folder import RunFolder


def logged(folder: Path) -> RunFolder:
    run = RunFolder(folder)
    run.begin({"model": "builtin"}, resume=False)
    for step in range(1, 6):
        run.log(step=step, loss=1 / step, rate=0.1)
    run.log(step=5, epoch=1, recall_1=0.1, recall_5=0.3, recall_10=0.4)
    return run


def test_the_picture_shows_three_curves(tmp_path: Path) -> None:
    place = draw_curves(logged(tmp_path / "run"))
    assert place is not None
    with Image.open(place) as image:
        assert len(image.convert("RGB").resize((300, 90)).getcolors(100_000) or []) > 20


def test_tensorboard_reads_the_figures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = logged(tmp_path / "run")
    assert write_board(run)
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    assert [round(event.value, 3) for event in events.Scalars("loss")] == [1.0, 0.5, 0.333, 0.25, 0.2]


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path: Path) -> None:
    run = logged(tmp_path / "run")
    with (run.path / "log.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')
    assert len(list(run.logged())) == 6


def test_a_resumed_run_forgets_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    run = logged(tmp_path / "run")
    run.cut_log(3)
    assert [line["step"] for line in run.logged()] == [1, 2, 3]
