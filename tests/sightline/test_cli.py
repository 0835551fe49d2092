import glob
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from indexer import errors
from indexer.store.library import open_for_writing
from sightline.cli import COMMANDS, cli

from ..indexer.store.test_copies import written_by_another
from ..indexer.store.test_migrate import know_one_revision_more
from .conftest import Run, paint

HEAVY = {"torch", "open_clip", "faiss", "openvino", "sqlalchemy", "rich", "numpy", "PIL", "alembic"}


def rows(output: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in output.splitlines()]


def names(output: bytes) -> list[str]:
    return [Path(str(row["path"])).name for row in rows(output)]


# ---- help ----


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS), ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]):
    code = f"""
import sys
from sightline.cli import cli
try: cli({arguments!r}, prog_name="sightline")
except SystemExit as done: assert not done.code
print("HEAVY", *sorted({HEAVY!r} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("HEAVY\n"), done.stdout[-200:]


def test_importing_sightline_imports_nothing_heavy():
    code = f"import sys, sightline; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_search_for_words_imports_only_what_it_needs(indexed: Path, environment: dict[str, str]):
    spared = {"sqlalchemy", "torch", "open_clip", "PIL", "rich", "asyncio", "numpy.random", "numpy.ma"}
    code = f"""
import sys
from sightline.cli import cli
try: cli(["search", "a red square", "--json"], prog_name="sightline")
except SystemExit as done: assert not done.code
print("SPARED", *sorted({spared!r} & set(sys.modules)))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=indexed, env=environment, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 11
    assert done.stdout.endswith("SPARED\n"), done.stdout[-200:]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str):
    done = CliRunner().invoke(cli, [name, "--help"], terminal_width=200)
    assert done.exit_code == 0
    assert f"  sightline {name}" in done.output.split("Examples:")[1]
    assert COMMANDS[name] in done.output


def test_every_option_has_help():
    for name in COMMANDS:
        command = cli.get_command(None, name)  # type: ignore[attr-defined]
        for option in command.params:
            assert option.param_type_name == "argument" or option.help, f"{name} {option.name}"


# What README says, and scripts rely on.
EXIT_CODES = {
    errors.SightlineError: (1, "failed, or problems left"),
    errors.UsageError: (2, "the request is off"),
    errors.LibraryError: (3, "the library does not allow it"),
    errors.LibraryBusy: (4, "another process is writing"),
    errors.EncoderError: (5, "the model cannot be had or run"),
    errors.DiskFull: (6, "the disk is full"),
    errors.TrainingFailed: (7, "the training cannot go on"),
}
OTHER_EXITS = (
    (0, "done (also when a search finds nothing)"),
    (11, "duplicates or leaks found"),
    (70, "a bug in sightline"),
    (130, "stopped by Ctrl-C"),
    (141, "the reader of our output went away"),
)


def test_help_tells_every_exit_code():
    said = " ".join(CliRunner().invoke(cli, ["--help"]).output.split("Exit codes:")[1].split())
    codes = sorted((*EXIT_CODES.values(), *OTHER_EXITS))
    assert said == " ".join(f"{code} {meaning}" for code, meaning in codes)


def test_every_error_ends_with_the_exit_code_of_its_family():
    family = [errors.SightlineError]
    for error in family:
        family += error.__subclasses__()
        nearest = next(ancestor for ancestor in error.__mro__ if ancestor in EXIT_CODES)
        assert error.exit_code == EXIT_CODES[nearest][0], error


# ---- wrong use ----


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serach", "dog"], "No such command"),
        (["serch", "dog"], "Did you mean search?"),
        (["dupplicates"], "Did you mean duplicates or"),
        (["search"], "nothing to look for"),
        (["search", "dog", "--limit", "0"], "limit"),
        (["search", "dog", "--after", "tomorrow"], "is no date"),
        (["search", "dog", "--json", "--paths"], "exclude each other"),
        (["search", "./gone.jpg"], "gone.jpg: no such file"),
        (["search", "--like", "gone.jpg"], "gone.jpg: no such file"),
        (["search", "dog", "--in", "gone"], "gone: no such folder"),
        (["search", "dog", "--sheet", "sheet.txt"], "sheet.txt"),
        (["search", "dog", "--limit", "2147483648"], "2147483648 is too much"),
        (["search", "dog", "--min-width", "9" * 30], "is too much"),
        (["search", "dog", "--min-height", "9" * 30], "is too much"),
        (["search", "dog", "--min-score", "nan"], "'nan' is not a number"),
        (["search", "dog", "--min-relevance", "nan"], "'nan' is not a number"),
        (["search", "--like", "~nouser/x.jpg"], "no such user"),
        (["search", "dog", "--in", "~nouser"], "no such user"),
        (["search", "dog", "--library", "~nouser"], "no such user"),
        (["search", "dog", "--library", ""], "an empty path"),
        (["search", "~nouser/x.jpg"], "no such user"),
        (["search", "dog", "--html", "many"], "must end in .html"),
        (["index", "gone"], "gone: no such folder"),
        (["index", ".", "--batch-size", "none"], "batch-size"),
        (["completion", "powershell"], "powershell"),
        (["forget"], "PATH"),
        (["forget", "blue.png", "--removed"], "exclude each other"),
        (["index", "--exclude", "drafts", "--no-exclude"], "exclude each other"),
        (["index", "blue.png"], "blue.png: is a file; give the folder it is in"),
    ],
)
def test_wrong_use_is_told_and_ends_with_2(run: Run, indexed: Path, arguments: list[str], said: str):
    done = run(*arguments, cwd=indexed)
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert not done.stdout


@pytest.mark.parametrize("arguments", [["search", "dog"], ["status"], ["verify"], ["forget", "x"], ["index"]])
def test_without_a_library_the_remedy_is_told(run: Run, tmp_path: Path, arguments: list[str]):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 3
    assert b"sightline index" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_bug_is_told_in_one_line_and_whole_with_debug(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr("sightline.cli.status.library_path", fail)
    monkeypatch.setenv("SIGHTLINE_DEBUG", "0")
    done = CliRunner().invoke(cli, ["status"])
    assert done.exit_code == 70
    assert done.stderr.startswith("sightline: a bug in sightline")
    assert done.stderr.count("\n") == 1
    with pytest.raises(RuntimeError, match="odd"):
        CliRunner().invoke(cli, ["--debug", "status"], catch_exceptions=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "./br\x1b]0;owned\x07.jpg"],
        ["search", "dog", "--in", "br\x1b]0;owned\x07"],
        ["search", "dog", "--sheet", "\x1b]0;owned\x07.txt"],
        ["search", "dog", "--html", "gone\x1b]0;owned\x07\n/page.html"],
    ],
)
def test_a_name_in_an_error_cannot_steer_the_terminal(run: Run, indexed: Path, arguments: list[str]):
    done = run(*arguments, cwd=indexed)
    assert done.returncode in (1, 2)
    assert not {b"\x1b", b"\x07"} & {bytes([byte]) for byte in done.stderr}
    assert b"\\x1b]0;owned" in done.stderr


def test_a_line_break_in_a_name_makes_no_second_error(run: Run, indexed: Path):
    done = run("search", "./a\nsightline: b.jpg", cwd=indexed)
    assert [line.startswith("sightline:") for line in done.stderr.decode().splitlines()] == [True, False]


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-"])
def test_a_search_is_good_without_stderr(environment: dict[str, str], indexed: Path, closed: str):
    command = f"'{sys.executable}' -m sightline search dog --in many --paths {closed}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=indexed, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == (10 if closed == "2>&-" else 0)


def test_remarks_do_not_go_to_stdout_when_stderr_is_closed(environment: dict[str, str], indexed: Path):
    command = f"'{sys.executable}' -m sightline search dog --camera Nikon 2>&-"
    done = subprocess.run(
        ["bash", "-c", command], cwd=indexed, env=environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"")


def test_names_come_out_in_any_encoding_of_stdout(run: Run, run_process: Run, pictures: Path):
    (pictures / "broken 🐶.jpg").write_bytes(b"no image")
    assert run("index", pictures).returncode == 0
    done = run_process("status", "--skipped", cwd=pictures, PYTHONIOENCODING="cp1252")
    assert done.returncode == 0, done.stderr.decode()
    assert b"broken \\U0001f436.jpg" in done.stdout


def test_results_go_to_stdout_and_remarks_to_stderr(run_process: Run, indexed: Path):
    done = run_process("search", "dog", "--json", "-n", "3", cwd=indexed)
    assert done.returncode == 0, done.stderr.decode()
    assert len(rows(done.stdout)) == 3
    assert b"{" not in done.stderr


def test_exit_codes_reach_the_shell(run_process: Run, indexed: Path, tmp_path: Path):
    assert run_process("search", "./gone.jpg", cwd=indexed).returncode == 2
    assert run_process("search", "dog", cwd=tmp_path).returncode == 3


# ---- search ----


def test_words_need_no_quotes(run: Run, indexed: Path):
    unquoted = run("search", "a", "dog", "on", "grass", "--json", cwd=indexed)
    quoted = run("search", "a dog on grass", "--json", cwd=indexed)
    assert unquoted.stdout == quoted.stdout
    assert len(rows(quoted.stdout)) == 10


def test_json_has_path_score_and_relevance(run: Run, indexed: Path):
    first = rows(run("search", "dog", "--json", cwd=indexed).stdout)[0]
    assert Path(str(first["path"])).is_file()
    assert {"width", "height", "taken_at", "camera", "size"} <= set(first)
    assert -1 <= float(str(first["score"])) <= 1
    assert 0 <= float(str(first["relevance"])) <= 1


def test_results_come_best_first_and_every_image_can_be_had(run: Run, indexed: Path):
    found = rows(run("search", "dog", "--json", "--limit", "1000", cwd=indexed).stdout)
    scores = [float(str(row["score"])) for row in found]
    assert len(found) == 25
    assert scores == sorted(scores, reverse=True)


def test_an_example_and_its_copies_are_left_out(run: Run, pictures: Path):
    copy = pictures / "copy of red.jpg"
    copy.write_bytes((pictures / "red square.jpg").read_bytes())
    assert run("index", pictures).returncode == 0
    found = names(run("search", "./red square.jpg", "--json", "-n", "100", cwd=pictures).stdout)
    assert len(found) == 24
    assert not {"red square.jpg", "copy of red.jpg"} & set(found)


def test_an_example_that_was_tagged_since_is_left_out_as_well(run: Run, pictures: Path):
    tagged = next(pictures.glob("*.png"))
    tagged.write_bytes(tagged.read_bytes() + b"with a comment")
    hits = rows(run("search", f"./{tagged.name}", "--json", cwd=pictures).stdout)
    assert hits
    assert str(tagged) not in {hit["path"] for hit in hits}


def test_no_score_is_above_one(run: Run, pictures: Path, tmp_path: Path):
    for name in ("blue.png", "red square.jpg", "2023/deep/wide.webp"):
        same = tmp_path / Path(name).name
        same.write_bytes((pictures / name).read_bytes() + b"other bytes")
        [best, *_] = rows(run("search", same, "--json", cwd=pictures).stdout)
        assert 0.99 < best["score"] <= 1.0  # type: ignore[operator]


def test_of_two_encoders_of_one_name_the_one_with_images_is_asked(run: Run, pictures: Path):
    with open_for_writing(pictures / ".sightline", create=False) as writer:
        used = writer.encoders()[0].card
        writer.use_encoder(replace(used, weights_hash="0" * 64))  # begun with, and broken off
    done = run("search", "dog", "--model", used.name, "--json", cwd=pictures)
    assert done.returncode == 0, done.stderr


def test_a_model_is_asked_though_the_one_that_searches_use_has_no_images_left(
    run: Run, pictures: Path, tmp_path: Path, model: Path
):
    other = Path(shutil.copytree(model, tmp_path / "other"))
    config = json.loads((other / "open_clip_config.json").read_text())
    config["preprocess_cfg"] = {**config.get("preprocess_cfg", {}), "mean": [0.4, 0.4, 0.4]}
    (other / "open_clip_config.json").write_text(json.dumps(config))
    paint(tmp_path / "more", ["1.png", "2.png"])
    place = ["--library", pictures / ".sightline"]
    assert run("index", tmp_path / "more", *place, "--model", other).returncode == 0
    assert run("forget", pictures, *place).returncode == 0
    assert rows(run("search", "red", *place, "--model", other, "--json").stdout)


def test_an_example_from_elsewhere_finds_itself(run: Run, indexed: Path, tmp_path: Path):
    with Image.open(indexed / "blue.png") as image:
        image.save(tmp_path / "other.bmp")
    found = rows(run("search", "--like", tmp_path / "other.bmp", "--json", cwd=indexed).stdout)
    assert Path(str(found[0]["path"])).name == "blue.png"
    assert float(str(found[0]["score"])) > 0.99


@pytest.mark.parametrize("kind", ["words", "example"])
def test_what_is_added_draws_the_scores_to_its_own_and_what_is_taken_away_drives_them_off(
    run: Run, indexed: Path, tmp_path: Path, kind: str
):
    with Image.open(indexed / "blue.png") as image:
        image.save(tmp_path / "blue.bmp")  # no copy, which would be left out of the answer
    part = "people" if kind == "words" else tmp_path / "blue.bmp"

    def scores(*arguments: str | Path) -> list[float]:
        found = rows(run("search", *arguments, "--json", "-n", "99", cwd=indexed).stdout)
        return [float(str(row["score"])) for row in sorted(found, key=lambda row: str(row["path"]))]

    alone = scores(part)
    queries = (["dog", "--without", part], ["dog"], ["3:dog", "+", part], ["dog", "+", part])
    likeness = [float(np.corrcoef(alone, scores(*query))[0, 1]) for query in queries]
    assert all(later > sooner + 0.02 for sooner, later in pairwise(likeness)), likeness


def test_a_leap_day_before_1970_is_a_date(run: Run, pictures: Path):
    os.utime(pictures / "blue.png", (-300_000_000, -300_000_000))  # in June 1960
    assert run("index", pictures).returncode == 0
    done = run("search", "blue", "--after", "1960-02-29", "--before", "1961", "--json", cwd=pictures)
    assert names(done.stdout) == ["blue.png"]


def test_filters_act_before_the_cut(run: Run, indexed: Path):
    found = names(run("search", "dog", "--in", "2023", "--json", "-n", "2", cwd=indexed).stdout)
    assert sorted(found) == ["old.jpg", "wide.webp"]
    assert names(run("search", "dog", "--min-width", "600", "--json", cwd=indexed).stdout) == ["wide.webp"]
    assert len(names(run("search", "dog", "--after", "2020", "--json", cwd=indexed).stdout)) == 10
    assert names(run("search", "dog", "--before", "2020", "--json", cwd=indexed).stdout) == []


def test_an_empty_answer_is_no_failure_and_is_said(run: Run, indexed: Path):
    done = run("search", "dog", "--camera", "Nikon", cwd=indexed)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"no image" in done.stderr


@pytest.mark.parametrize("figure", ["score", "relevance"])
def test_scores_and_relevances_can_be_cut(run: Run, indexed: Path, figure: str):
    whole = rows(run("search", "dog", "--json", cwd=indexed).stdout)
    between = sum(float(str(row[figure])) for row in whole[4:6]) / 2
    cut = rows(run("search", "dog", "--json", f"--min-{figure}", str(between), cwd=indexed).stdout)
    assert cut == whole[:5]


def test_lines_are_score_relevance_path(run: Run, indexed: Path):
    line = run("search", "dog", cwd=indexed).stdout.decode().splitlines()[0].split("\t")
    assert len(line) == 3
    assert Path(line[2]).is_file()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_of_any_bytes_come_out_as_they_are(run: Run, pictures: Path):
    odd = os.fsencode(pictures) + b"/caf\xe9\n\x1b[31m.jpg"
    Path(os.fsdecode(odd)).write_bytes((pictures / "blue.png").read_bytes())
    assert run("index", pictures).returncode == 0
    null = run("search", "dog", "-0", "-n", "100", cwd=pictures).stdout
    assert odd in null.split(b"\0")
    lines = run("search", "dog", "--json", "-n", "100", cwd=pictures).stdout
    assert odd in [os.fsencode(str(row["path"])) for row in rows(lines)]
    shown = run("search", "dog", "-n", "100", cwd=pictures).stdout
    assert b"\x1b" not in shown
    assert b"caf\\xe9\\n\\x1b[31m.jpg" in shown


def test_sheet_and_page_are_written_and_stdout_stays_clean(run: Run, indexed: Path, tmp_path: Path):
    sheet, html = tmp_path / "s.png", tmp_path / "p.html"
    done = run("search", "dog", "--json", "--sheet", sheet, "--html", html, cwd=indexed)
    assert len(rows(done.stdout)) == 10
    assert sheet.read_bytes().startswith(b"\x89PNG")
    assert html.read_text(encoding="utf-8").count("data:image/jpeg") == 10
    assert str(sheet).encode() in done.stderr


@pytest.mark.parametrize("command", ["search", "duplicates", "leaks", "eval"])
def test_no_page_takes_the_place_of_a_photo(run: Run, pictures: Path, command: str):
    before = (pictures / "blue.png").read_bytes()
    (pictures / "link.html").symlink_to("blue.png")
    for name in ("blue.png", "link.html"):
        done = run(command, "many", "many", "--html", name, cwd=pictures)
        assert (done.returncode, (pictures / "blue.png").read_bytes()) == (2, before)
        assert b"must end in .html" in done.stderr


def test_a_page_can_go_to_what_is_no_file(run: Run, indexed: Path, tmp_path: Path):
    assert run("search", "dog", "--html", os.devnull, cwd=indexed).returncode == 0
    (tmp_path / "link").symlink_to("page.htm")
    assert run("search", "dog", "--html", tmp_path / "link", cwd=indexed).returncode == 0
    assert (tmp_path / "page.htm").is_file()


def test_no_sheet_takes_the_place_of_the_librarys_image(run: Run, pictures: Path, tmp_path: Path):
    before = (pictures / "blue.png").read_bytes()
    (tmp_path / "link.png").symlink_to(pictures / "blue.png")
    (tmp_path / "pictures-link").symlink_to(pictures)
    for name in ("blue.png", tmp_path / "link.png", tmp_path / "pictures-link" / "blue.png"):
        done = run("search", "dog", "--sheet", name, cwd=pictures)
        assert (done.returncode, (pictures / "blue.png").read_bytes()) == (2, before)
        assert b"did not draw" in done.stderr
        assert b"give another name" in done.stderr


def test_no_sheet_takes_the_place_of_an_example(run: Run, indexed: Path, tmp_path: Path):
    example = tmp_path / "example.png"
    before = (indexed / "blue.png").read_bytes()
    example.write_bytes(before)
    (tmp_path / "link.png").symlink_to(example)
    for arguments in (["--like", example], [example]):
        done = run("search", *arguments, "--sheet", tmp_path / "link.png", cwd=indexed)
        assert (done.returncode, example.read_bytes()) == (2, before)
        assert b"did not draw" in done.stderr


@pytest.mark.parametrize(("option", "name"), [("--sheet", "s.png"), ("--html", "p.html")])
def test_a_file_that_was_there_is_said_to_be_replaced(
    run: Run, indexed: Path, tmp_path: Path, option: str, name: str
):
    told = [run("search", "dog", option, tmp_path / name, cwd=indexed).stderr.decode() for _ in range(2)]
    assert f"wrote {tmp_path / name} (" in told[0]
    assert f"replaced {tmp_path / name} (" in told[1]


def test_a_place_that_cannot_be_written_is_told(run: Run, indexed: Path):
    done = run("search", "dog", "--html", "/nowhere/at/all.html", cwd=indexed)
    assert done.returncode == 1
    assert b"/nowhere/at/all.html" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.filterwarnings("ignore:.*getdata:DeprecationWarning")  # in textual-image, which follows Pillow
def test_preview_shows_blocks_where_the_terminal_has_no_images(run: Run, indexed: Path):
    done = run("search", "dog", "-n", "2", "--preview", cwd=indexed)
    assert done.returncode == 0
    assert done.stdout.count(b"\n") > 10


def test_another_model_is_refused_with_the_remedy(run: Run, indexed: Path):
    done = run("search", "dog", "--model", "ViT-B-32/openai", cwd=indexed)
    assert done.returncode == 3
    assert b"leave --model out" in done.stderr


def test_a_model_that_does_not_exist_is_not_advised_to_be_indexed_with(run: Run, indexed: Path):
    done = run("search", "dog", "--model", "clip", cwd=indexed)
    assert done.returncode == 3
    assert "there is no such model: neither a folder nor a model" in done.stderr.decode()
    assert b"sightline index" not in done.stderr


def test_a_model_without_vectors_is_told_as_such(run: Run, pictures: Path):
    with open_for_writing(pictures / ".sightline", create=False) as writer:
        used = writer.encoders()[0].card
        writer.use_encoder(replace(used, name="ViT-B-32/openai", weights_hash="0" * 64))
    done = run("search", "dog", "--model", "ViT-B-32/openai", cwd=pictures)
    assert done.returncode == 3
    assert done.stderr.decode().splitlines()[-1] == (
        "sightline: the library holds no vectors of ViT-B-32/openai yet; leave --model out, or run: "
        "sightline index --model ViT-B-32/openai"
    )


def test_a_model_is_searched_with_by_its_relative_name(run: Run, indexed: Path, model: Path):
    done = run("search", "dog", "--model", model.name, "--library", indexed, cwd=model.parent)
    assert done.returncode == 0, done.stderr


def test_a_closed_pipe_is_silent(environment: dict[str, str], indexed: Path):
    command = f"'{sys.executable}' -m sightline search dog --paths -n 100 | (exec 0<&-; sleep 0.1)"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=indexed,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 141
    assert done.stderr == b""


# ---- which library ----


def test_library_is_found_upwards_by_variable_and_by_option(run: Run, indexed: Path, tmp_path: Path):
    upwards = run("search", "dog", "--paths", cwd=indexed / "2023" / "deep")
    by_variable = run("search", "dog", "--paths", cwd=tmp_path, SIGHTLINE_LIBRARY=str(indexed))
    by_option = run("search", "dog", "--paths", "--library", indexed / ".sightline", cwd=tmp_path)
    assert upwards.stdout
    assert upwards.stdout == by_variable.stdout == by_option.stdout


def test_option_wins_over_variable(run: Run, indexed: Path, tmp_path: Path):
    done = run("status", "--library", indexed, "--json", cwd=tmp_path, SIGHTLINE_LIBRARY="/nowhere")
    assert rows(done.stdout)[0]["library"] == str(indexed / ".sightline")
    assert run("status", cwd=indexed, SIGHTLINE_LIBRARY="/nowhere").returncode == 3


# ---- index ----


def test_index_ends_with_a_summary(run: Run, pictures: Path):
    (pictures / "blue.png").rename(pictures / "azure.png")
    (pictures / "many" / "00.jpg").unlink()
    done = run("index", pictures, "--json")
    summary = rows(done.stdout)[-1]
    counts = {key: summary[key] for key in ("indexed", "unchanged", "moved", "removed", "skipped")}
    assert counts == {"indexed": 0, "unchanged": 23, "moved": 1, "removed": 1, "skipped": 1}
    assert float(str(summary["seconds"])) > 0
    assert b"1 moved" in done.stderr


def test_quiet_index_says_nothing(run: Run, pictures: Path):
    done = run("index", pictures, "--quiet")
    assert (done.stdout, done.stderr) == (b"", b"")


def test_skipped_files_are_listed_with_reasons(run: Run, pictures: Path):
    listed = run("index", pictures, "--show-skipped").stderr.decode()
    assert "broken.jpg\tdamaged" in listed
    shown = run("status", "--skipped", cwd=pictures).stdout.decode()
    assert shown.count("\n") == 1
    assert "broken.jpg\tdamaged" in shown


def test_index_below_a_library_belongs_to_it(run: Run, pictures: Path):
    assert run("index", pictures / "2023").returncode == 0
    assert not (pictures / "2023" / ".sightline").exists()


def test_index_without_folder_takes_the_librarys(run: Run, pictures: Path):
    (pictures / "blue.png").unlink()
    done = run("index", "--json", cwd=pictures / "2023")
    assert rows(done.stdout)[-1]["removed"] == 1


def test_index_without_folder_passes_over_one_that_is_away(run: Run, pictures: Path, tmp_path: Path):
    paint(tmp_path / "drive", ["red square.jpg", "kept.jpg"])
    (tmp_path / "drive" / "red square.jpg").unlink()
    run("index", tmp_path / "drive", "--library", pictures)
    (tmp_path / "drive").rename(tmp_path / "away")
    paint(pictures, ["new.jpg"])
    done = run("index", cwd=pictures)
    assert (done.returncode, b"1 image indexed, 25 unchanged" in done.stderr) == (0, True)
    assert b"drive: nothing was found there any more; its images are kept" in done.stderr
    assert "kept.jpg" in names(run("search", "dog", "--json", "-n", "99", cwd=pictures).stdout)


def test_what_is_excluded_is_told_as_taken_out_of_the_library(run: Run, pictures: Path):
    done = run("index", "--exclude", "many", cwd=pictures)
    assert b"20 taken out of the library (files untouched)" in done.stderr


@pytest.mark.parametrize("command", ["status", "duplicates", "dedup-list", "search"])
def test_every_reader_says_that_a_library_is_read_from_a_copy(
    run: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
):
    know_one_revision_more(tmp_path / "later", monkeypatch)
    with written_by_another(pictures / ".sightline"):  # so that it cannot be upgraded in its place
        done = run(command, *(["red"] if command == "search" else []), cwd=pictures)
    assert "made by an older sightline" in done.stderr.decode()


def test_status_shows_what_is_excluded(run: Run, pictures: Path):
    run("index", "--exclude", "many", "--exclude", "*.gif", cwd=pictures)
    shown = run("status", cwd=pictures).stdout.decode().splitlines()
    assert {"excluded  many", "excluded  *.gif"} < set(shown)
    said = [{"folder": str(pictures), "pattern": pattern} for pattern in ("many", "*.gif")]
    assert rows(run("status", "--json", cwd=pictures).stdout)[0]["exclude"] == said


def test_status_shows_of_which_folder_a_pattern_was_said(run: Run, pictures: Path):
    run("index", "2023", "--exclude", "*.gif", cwd=pictures)
    shown = run("status", cwd=pictures).stdout.decode().splitlines()
    assert f"excluded  *.gif  in {pictures / '2023'}" in shown


def test_an_empty_pattern_says_nothing(run: Run, pictures: Path):
    run("index", "--exclude", "many", cwd=pictures)
    run("index", "--exclude", "", cwd=pictures)
    assert "excluded  many" in run("status", cwd=pictures).stdout.decode().splitlines()


def test_what_was_excluded_is_taken_in_again_on_demand(run: Run, pictures: Path):
    run("index", "--exclude", "many", cwd=pictures)
    done = run("index", "--no-exclude", "--json", cwd=pictures)
    assert rows(done.stdout)[-1]["moved"] == 20
    assert rows(run("status", "--json", cwd=pictures).stdout)[0]["exclude"] == []


def test_a_folder_without_pictures_is_told(run: Run, pictures: Path):
    (pictures / "empty").mkdir()
    done = run("index", "empty", cwd=pictures)
    assert f"{pictures / 'empty'}: no picture was found there".encode() in done.stderr


def test_library_elsewhere_leaves_the_folder_alone(run: Run, model: Path, tmp_path: Path, pictures: Path):
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "a b.png").write_bytes((pictures / "blue.png").read_bytes())
    library = tmp_path / "lib"
    assert run("index", alone, "--library", library, "--model", model).returncode == 0
    assert [path.name for path in alone.iterdir()] == ["a b.png"]
    assert names(run("search", "dog", "--json", "--library", library, cwd=tmp_path).stdout) == ["a b.png"]


def test_several_folders_need_one_library(run: Run, tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    done = run("index", "one", "two", cwd=tmp_path)
    assert done.returncode == 2
    assert b"--library" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
def test_ctrl_c_ends_in_order(environment: dict[str, str], run: Run, model: Path, tmp_path: Path):
    folder = tmp_path / "lots"
    paint(folder, [f"{number:04}.png" for number in range(400)])
    command = [sys.executable, "-m", "sightline", "index", str(folder), "--model", str(model)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (folder / ".sightline" / "catalog.sqlite").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err.decode()
    assert b"Traceback" not in err
    assert b"kept" in err
    finished = rows(run("index", folder, "--json", "--model", model).stdout)[-1]
    assert int(str(finished["indexed"])) + int(str(finished["unchanged"])) == 400


# ---- the other commands ----


def test_status_counts(run: Run, indexed: Path):
    status = rows(run("status", "--json", cwd=indexed).stdout)[0]
    assert (status["images"], status["files"], sum(status["skipped"].values())) == (25, 25, 1)  # type: ignore[attr-defined]
    assert b"25" in run("status", cwd=indexed).stdout


def test_status_tells_which_of_two_models_searches_use(run: Run, pictures: Path):
    done = run("index", pictures / "2023", "--model", "builtin", cwd=pictures)
    assert b"searches go on with" in done.stderr
    status = run("status", cwd=pictures).stdout.decode()
    assert [line.endswith("used by searches") for line in status.splitlines() if "model" in line[:5]] == [
        True, False,
    ]  # fmt: skip
    assert names(run("search", "dog", "--json", "-n", "99", cwd=pictures).stdout)
    assert run("index", pictures, "--quiet", cwd=pictures).returncode == 0
    models = rows(run("status", "--json", cwd=pictures).stdout)[0]["models"]
    assert [model["searched"] for model in models] == [False, True]  # type: ignore[attr-defined]


def test_forgotten_images_leave_the_results_and_stay_on_disk(run: Run, pictures: Path):
    done = run("forget", "many", "blue.png", cwd=pictures)
    assert done.returncode == 0
    assert len(names(run("search", "dog", "--json", "-n", "99", cwd=pictures).stdout)) == 4
    assert (pictures / "blue.png").is_file()


def test_what_is_forgotten_stays_out_by_the_command_that_is_told(run: Run, pictures: Path):
    run("index", "--exclude", "*.gif", cwd=pictures)
    told = run("forget", "many", cwd=pictures).stderr.decode().splitlines()[-1]
    command = shlex.split(told.partition("; not with: sightline ")[2])
    assert command[1:] == [str(pictures / "many"), "--exclude", "*"]
    assert run(*command, cwd=pictures).returncode == 0
    assert rows(run("index", "--json", cwd=pictures).stdout)[-1]["unchanged"] == 5


@pytest.mark.parametrize("name", ["blue.png", "blue [1].png"])
def test_a_forgotten_file_stays_out_by_the_command_that_is_told(run: Run, pictures: Path, name: str):
    (pictures / "blue.png").rename(pictures / name)
    run("index", "--exclude", "many", cwd=pictures)
    told = run("forget", name, cwd=pictures).stderr.decode().splitlines()[-1]
    command = shlex.split(told.partition("; not with: sightline ")[2])
    pattern = glob.escape(str(pictures / name))
    assert command[1:] == [str(pictures), "--exclude", "many", "--exclude", pattern]
    assert run(*command, cwd=pictures).returncode == 0
    assert rows(run("index", "--json", cwd=pictures).stdout)[-1]["unchanged"] == 4


def test_no_command_is_told_that_would_lift_what_is_left_out_of_inner_folders(run: Run, pictures: Path):
    run("index", "2023", "--exclude", "*.gif", cwd=pictures)
    assert run("forget", "blue.png", cwd=pictures).stderr.endswith(
        b"not with: sightline index --exclude GLOB\n"
    )


def test_who_forgot_in_a_library_that_was_named_is_told_a_command_that_names_it(
    run: Run, pictures: Path, tmp_path: Path
):
    told = run("forget", pictures / "many", "--library", pictures, cwd=tmp_path).stderr.decode()
    command = shlex.split(told.partition("; not with: sightline ")[2])
    assert command[1:3] == ["--library", str(pictures)]


def test_who_forgot_many_is_told_no_command_of_many_names(run: Run, pictures: Path):
    done = run("forget", *(f"many/{number:02}.jpg" for number in range(4)), cwd=pictures)
    assert done.stderr.endswith(b"not with: sightline index --exclude GLOB\n")


def test_no_return_is_told_of_what_is_gone(run: Run, pictures: Path):
    (pictures / "blue.png").unlink()
    assert run("forget", "blue.png", cwd=pictures).stderr == b"sightline: blue.png: 1 file forgotten\n"


def test_forgetting_only_what_is_not_there_ends_with_2(run: Run, pictures: Path):
    done = run("forget", "nothere", "neither", cwd=pictures)
    assert done.returncode == 2
    assert done.stderr.decode().splitlines() == [
        "sightline: nothere: not in the library",
        "sightline: neither: not in the library",
    ]


def test_what_is_kept_of_removed_pictures_is_named_and_forgotten_at_once(run: Run, pictures: Path):
    (pictures / "blue.png").unlink()
    run("index", cwd=pictures)
    told = run("forget", "blue.png", cwd=pictures).stderr
    assert told.endswith(b"; to delete what is kept of 1 image without a file: sightline forget --removed\n")
    done = run("forget", "--removed", cwd=pictures)
    assert (done.returncode, done.stderr) == (0, b"sightline: 1 image without a file forgotten\n")
    assert run("forget", "blue.png", cwd=pictures).stderr.endswith(b"not in the library\n")


def test_forgetting_some_of_what_is_named_is_done(run: Run, pictures: Path):
    assert run("forget", "nothere", "blue.png", cwd=pictures).returncode == 0


def test_a_folder_without_files_can_be_forgotten_once(run: Run, pictures: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    run("index", tmp_path / "empty", "--library", pictures)
    codes = [run("forget", tmp_path / "empty", cwd=pictures).returncode for _ in range(2)]
    assert codes == [0, 2]


def test_what_is_forgotten_may_be_named_by_a_link(run: Run, pictures: Path):
    (pictures / "link").symlink_to(pictures / "many")
    assert b"20 files forgotten" in run("forget", "link", cwd=pictures).stderr
    assert len(names(run("search", "dog", "--json", "-n", "99", cwd=pictures).stdout)) == 5


def test_verify_repairs_a_torn_index(run: Run, pictures: Path):
    assert run("verify", cwd=pictures).returncode == 0
    for file in (pictures / ".sightline" / "vectors").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    assert run("verify", "--check", cwd=pictures).returncode == 1
    assert run("verify", cwd=pictures).returncode == 0
    assert run("verify", "--check", cwd=pictures).returncode == 0


def test_a_search_that_fails_while_the_model_is_loading_ends_with_its_own_exit_code(run: Run, pictures: Path):
    for file in (pictures / ".sightline" / "vectors").iterdir():
        file.unlink()
    catalog = pictures / ".sightline" / "catalog.sqlite"
    content = bytearray(catalog.read_bytes())
    content[8192 * 2 :] = b"\xff" * len(content[8192 * 2 :])  # the encoder's row stays readable or not
    catalog.write_bytes(content)
    ends = {run("search", "dog", cwd=pictures).returncode for _ in range(5)}
    assert ends == {3}


def test_models_are_listed(run: Run, tmp_path: Path):
    listed = rows(run("models", "--json", cwd=tmp_path).stdout)
    assert "builtin" in [row["name"] for row in listed]
    assert b"builtin" in run("models", cwd=tmp_path).stdout


def test_all_published_models_are_listed_when_asked(run: Run, tmp_path: Path):
    listed = rows(run("models", "--all", "--json", cwd=tmp_path).stdout)
    assert len(listed) > 100
    assert "ViT-B-16-SigLIP2/webli" in [row["name"] for row in listed]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_and_installed(run: Run, tmp_path: Path, shell: str):
    script = run("completion", shell, cwd=tmp_path).stdout
    assert b"_SIGHTLINE_COMPLETE" in script
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": ""}
    assert run("completion", shell, "--install", cwd=tmp_path, **home).returncode == 0
    assert [path.read_bytes() for path in tmp_path.rglob("*sightline*") if path.is_file()] == [script]


def test_completion_completes(run_process: Run, tmp_path: Path):
    words = {"COMP_WORDS": "sightline sea", "COMP_CWORD": "1", "_SIGHTLINE_COMPLETE": "bash_complete"}
    assert run_process(cwd=tmp_path, **words).stdout == b"plain,search\n"


def test_dots_after_a_link_are_followed_when_something_is_forgotten(run: Run, pictures: Path, tmp_path: Path):
    for folder in ("x", "y/x", "y/sub"):
        (pictures / folder).mkdir(parents=True)
    for number, folder in enumerate(("x", "y/x")):
        paint(pictures / folder, [f"{number}.png"])
    (tmp_path / "link").symlink_to(pictures / "y/sub")
    assert run("index", pictures).returncode == 0
    done = run("forget", "link/../x", "--library", pictures, cwd=tmp_path)
    assert "1 file forgotten" in done.stderr.decode()
    assert run("search", "red", "--in", "y/x", "--paths", cwd=pictures).returncode == 2
    assert run("search", "red", "--in", "x", "--paths", cwd=pictures).stdout
