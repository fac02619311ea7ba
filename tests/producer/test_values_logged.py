"""Rich values in `log()`: what the spool holds then, and that nothing stops a training loop."""

import errno
import io
import json
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib.figure import Figure as Drawing
from PIL import Image as Pillow

import runstream
from runstream.media import recognise
from runstream.media.blob import Blob, Media
from runstream.valued import MAX_LISTED

Held = Any
Read = Callable[..., Held]
PIXELS = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.fixture
def run() -> runstream.Run:
    return runstream.init(project="values", mode="offline")


def staged(run: runstream.Run, event: dict[str, Any]) -> bytes:
    assert run.spool is not None
    return Path(run.spool, event["stage"], event["file"]).read_bytes()


def test_every_kind_stands_beside_numbers_in_one_call(run: runstream.Run, held: Read) -> None:
    run.log({"loss": 1.0})
    run.log(
        {
            "loss": 0.5,
            "picture": runstream.Image(PIXELS, caption="c"),
            "sound": runstream.Audio(np.zeros(100), 1000),
            "film": runstream.Video(np.zeros((2, 4, 4))),
            "table": runstream.Table(["a"], [[1]]),
            "histogram": runstream.Histogram([1, 2, 3]),
            "text": runstream.Text("**hi**", markdown=True),
            "page": runstream.Html("<p>"),
            "figure": runstream.Figure(Drawing()),
            "file": runstream.File(b"x", name="a.bin"),
            "object": runstream.Object3D([[0, 0, 0]]),
        }
    )
    run.log({"loss": 0.25})
    found = held(run)
    assert found.series("loss") == [(0, 1.0), (1, 0.5), (2, 0.25)]
    kinds = {event["name"]: event["kind"] for event in found.of("MediaStaged")}
    assert kinds == {
        "picture": "image",
        "sound": "audio",
        "film": "video",
        "table": "table",
        "page": "html",
        "figure": "figure",
        "file": "file",
        "object": "object3d",
    }
    assert {event["step"] for event in found.of("MediaStaged")} == {1}
    (text,), (histogram,) = found.of("TextLogged"), found.of("HistogramLogged")
    assert (text["text"], text["mime"], text["step"]) == ("**hi**", "text/markdown", 1)
    assert (sum(histogram["counts"]), histogram["step"]) == (3, 1)
    assert run.dropped == run.refused == 0


def test_the_file_is_there_before_its_event(run: runstream.Run, held: Read) -> None:
    run.log({"picture": runstream.Image(PIXELS, caption="a\0b")}, step=7)
    (event,) = held(run).of("MediaStaged")
    assert np.array_equal(np.asarray(Pillow.open(io.BytesIO(staged(run, event)))), PIXELS)
    assert (event["step"], event["index"], event["mime"], event["caption"]) == (7, 0, "image/png", "a�b")
    assert json.loads(event["metadata"]) == {"width": 4, "height": 3}


def test_values_of_other_libraries_need_no_wrapping(run: runstream.Run, held: Read) -> None:
    from matplotlib import pyplot

    frame = {"a": [1, 2]}
    run.log(
        {
            "pil": Pillow.new("L", (2, 2)),
            "drawing": Drawing(),
            "pyplot": pyplot,
            "pandas": pd.DataFrame(frame),
            "polars": pl.DataFrame(frame),
        }
    )
    pyplot.close("all")
    kinds = {event["name"]: event["kind"] for event in held(run).of("MediaStaged")}
    assert kinds == {"pil": "image", "drawing": "figure", "pyplot": "figure", "pandas": "table", "polars": "table"}


def test_lists_have_an_index_and_nested_names_a_path(run: runstream.Run, held: Read) -> None:
    run.log({"val": {"pictures": [runstream.Image(PIXELS), Pillow.new("L", (2, 2))], "loss": 1}})
    found = held(run)
    events = found.of("MediaStaged")
    assert [(event["name"], event["index"]) for event in events] == [("val/pictures", 0), ("val/pictures", 1)]
    assert found.series("val/loss") == [(0, 1)]


def test_texts_and_histograms_of_a_list_have_names_of_their_own(run: runstream.Run, held: Read) -> None:
    run.log({"text": ["a", runstream.Text("b")], "h": (runstream.Histogram([1]), runstream.Histogram([2]))})
    assert [event["name"] for event in held(run).of("TextLogged")] == ["text/0", "text/1"]
    assert [event["name"] for event in held(run).of("HistogramLogged")] == ["h/0", "h/1"]


def test_a_plain_string_is_a_text_series(run: runstream.Run, held: Read) -> None:
    for step in range(3):
        run.log({"sample": f"größe {step}", "loss": step})
    texts = [(event["step"], event["text"]) for event in held(run).of("TextLogged")]
    assert texts == [(0, "größe 0"), (1, "größe 1"), (2, "größe 2")]
    assert held(run).series("loss") == [(0, 0), (1, 1), (2, 2)]


@pytest.mark.parametrize("text", ["x" * (256 * 1024 + 1), "\x01" * 200_000])
def test_a_long_text_is_a_file(run: runstream.Run, held: Read, text: str) -> None:
    run.log({"sample": text, "short": "y" * 256 * 1024})
    (event,) = held(run).of("MediaStaged")
    assert (event["kind"], event["mime"], event["name"]) == ("text", "text/plain", "sample")
    assert staged(run, event).decode() == text
    assert len(held(run).of("TextLogged")) == 1


def test_secrets_leave_texts_and_captions(run: runstream.Run, held: Read) -> None:
    secret = "https://me:hunter22hunter@example.com/"
    run.log({"t": secret, "i": runstream.Image(PIXELS, caption=secret), "l": secret + "x" * 300_000})
    found = held(run)
    assert "hunter22" not in json.dumps(found.events)
    assert b"hunter22" not in staged(run, found.of("MediaStaged")[1])


def test_the_value_is_read_when_it_is_logged(run: runstream.Run, held: Read) -> None:
    pixels = PIXELS.copy()
    value = runstream.Image(pixels)
    run.log({"picture": value})
    pixels[:] = 0
    run.log({"picture": value})
    first, second = held(run).of("MediaStaged")
    assert staged(run, first) != staged(run, second)


def test_parts_come_before_what_names_them(run: runstream.Run, held: Read) -> None:
    image = runstream.Image(PIXELS, masks={"truth": np.zeros((3, 4), int)})
    run.log({"t": runstream.Table(["id", "picture"], [[1, image], [2, runstream.Image(PIXELS)]])}, step=3)
    events = [(event["name"], event["index"], event["step"]) for event in held(run).of("MediaStaged")]
    assert events == [("t/picture/masks/truth", 0, 3), ("t/picture", 0, 3), ("t/picture", 1, 3), ("t", 0, 3)]


@pytest.mark.parametrize(
    "value",
    [
        runstream.Image("/nowhere.png"),
        runstream.Image(object()),
        runstream.Image(np.zeros((2, 2, 2, 2))),
        runstream.Audio(np.zeros(4)),
        runstream.Video(3),
        runstream.Table(data=3),
        runstream.Histogram([]),
        runstream.Figure(3),
        runstream.File("/nowhere"),
        runstream.Object3D("x"),
        runstream.Html(3),
        [runstream.Image("/nowhere.png")],
        b"bytes",
        PIXELS,
        [1, 2],
        [[runstream.Image(PIXELS)]],
        None,
        object(),
        1j,
    ],
)
def test_what_cannot_be_kept_is_left_out_with_a_warning_and_the_rest_stays(
    run: runstream.Run, held: Read, caplog: pytest.LogCaptureFixture, value: Any
) -> None:
    for _ in range(3):
        run.log({"bad": value, "loss": 1.0, "good": runstream.Image(PIXELS)})
    found = held(run)
    assert len(found.series("loss")) == len(found.of("MediaStaged")) == 3
    assert run.refused == 3
    assert run.dropped == 0
    assert caplog.text.count("'bad' is left out") == 1
    assert len(list((run.spool or Path()).glob("files/*"))) == 3


def test_what_a_users_object_raises_is_a_warning(run: runstream.Run, held: Read, caplog: Any) -> None:
    class Odd:
        shape = (2, 2)

        def __array__(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("graph mode")

    class Closed(Drawing):
        def savefig(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("no canvas")

    run.log({"array": runstream.Image(Odd()), "figure": Closed(), "loss": 1})
    assert held(run).series("loss") == [(0, 1)]
    assert "graph mode" in caplog.text
    assert "no canvas" in caplog.text


def test_an_unreadable_file_is_refused(run: runstream.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    real = Path.open

    def refuse(self: Path, *arguments: Any, **options: Any) -> Any:  # the tests may run as root, who may read all
        if self == path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    run.log({"picture": runstream.Image(path)})
    assert (run.refused, run.dropped) == (1, 0)


def test_a_full_disk_drops_media_with_a_count_and_numbers_go_on(
    run: runstream.Run, held: Read, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    run.log({"loss": 1.0})
    failed: list[runstream.PointsDropped] = []
    run.on_error(failed.append)
    real = Path.open

    def full(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if mode == "xb":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return real(self, mode, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        run.log({"picture": runstream.Image(PIXELS), "loss": 2.0})
    run.log({"picture": runstream.Image(PIXELS), "loss": 3.0})
    assert run.dropped == 1
    assert "no room" in caplog.text
    assert len(failed) == 1
    assert len(held(run).series("loss")) == 3
    (event,) = held(run).of("MediaStaged")
    assert [path.name for path in (run.spool or Path()).glob("files/*")] == [Path(event["stage"]).name]


def test_a_list_is_kept_up_to_its_limit(run: runstream.Run, held: Read, caplog: Any) -> None:
    run.log({"many": [f"{number}" for number in range(MAX_LISTED + 1)]})
    assert len(held(run).of("TextLogged")) == MAX_LISTED
    assert f"the first {MAX_LISTED} of {MAX_LISTED + 1}" in caplog.text


def test_metadata_beyond_the_limit_lose_their_largest_part(run: runstream.Run, held: Read, caplog: Any) -> None:
    boxes = [{"box": [0, 0, 1, 1], "label": "x" * 1000}] * 900
    run.log({"picture": runstream.Image(PIXELS, boxes=boxes, classes=["a"])})
    (event,) = held(run).of("MediaStaged")
    assert json.loads(event["metadata"]) == {"width": 4, "height": 3, "classes": {"0": "a"}}
    assert "'boxes'" in caplog.text


def test_names_are_checked_as_those_of_numbers(run: runstream.Run, held: Read) -> None:
    run.log({"": "empty", "x" * 2000: "long", "ü/ö 🙂": "fine", 3: "number"})
    assert [event["name"] for event in held(run).of("TextLogged")] == ["ü/ö 🙂", "3"]
    assert run.refused == 2


def test_threads_log_media_side_by_side(run: runstream.Run, held: Read) -> None:
    def work(number: int) -> None:
        for step in range(10):
            run.log({f"picture {number}": runstream.Image(PIXELS + number), f"loss {number}": step}, step=step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = held(run)
    assert len({event["stage"] for event in found.of("MediaStaged")}) == 40
    assert len(found.rows) == 40


def test_after_the_end_nothing_is_staged(run: runstream.Run) -> None:
    run.log({"loss": 1})
    directory = run.spool
    run.finish()
    run.log({"picture": runstream.Image(PIXELS)})
    assert directory is not None
    assert not list(directory.glob("files/*"))


def test_a_forked_child_stages_in_its_own_spool(python: Any, all_held: Any) -> None:
    done = python(
        """
        run = runstream.init(project="p", mode="offline")
        run.log({"t": runstream.File(b"parent")})
        if not os.fork():
            run.log({"t": runstream.File(b"child")})
            os._exit(0)
        os.wait()
        run.finish()
        """
    )
    assert done.returncode == 0, done.stderr
    events = [event for one in all_held() for event in one.of("MediaStaged")]
    assert [event["stage"] for event in events] == ["files/m1", "files/m1"]


def test_media_written_while_another_thread_rewinds_are_refused(run: runstream.Run, all_held: Any) -> None:
    class Slow(Media):
        rich_kind = "file"

        def blob(self, warn: Any) -> Blob:
            def pieces() -> Any:
                yield b"a"
                rewinding = threading.Thread(target=run.rewind, args=(0,))
                rewinding.start()
                rewinding.join()
                yield b"b"

            return Blob("file", "text/plain", "f.txt", pieces())

    run.log({"loss": 1.0})
    run.log({"slow": Slow()})
    run.log({"file": runstream.File(b"x")})
    assert run.refused == 1
    assert [event["name"] for one in all_held() for event in one.of("MediaStaged")] == ["file"]


def test_a_disabled_run_does_nothing() -> None:
    run = runstream.init(mode="disabled")
    run.log({"picture": runstream.Image("/nowhere")})
    run.log_histograms({"a": [1]})
    run.watch(object())
    assert run.refused == 0


def test_nothing_is_loaded_for_numbers_and_little_for_texts(python: Any) -> None:
    done = python(
        """
        run = runstream.init(project="p", mode="offline")
        run.log({"loss": 1.0, "n": {"m": True}})
        print(any(name.startswith("runstream.media") for name in sys.modules), "dataclasses" in sys.modules)
        run.log({"text": "x", "picture": runstream.Image([[0, 1], [1, 0]])})
        print("numpy" in sys.modules, "PIL" in sys.modules, "wave" in sys.modules)
        run.finish()
        """
    )
    assert done.stdout.splitlines()[0].startswith("False")
    assert done.stdout.splitlines()[1] == "False False False"


def test_kinds_of_other_objects_are_not_taken_for_rich_values() -> None:
    for value in (
        1,
        1.5,
        np.float32(1),
        PIXELS,
        pd.Series([1]),
        pl.Series([1]),
        Drawing,
        pd.Timestamp(0),
        {},
        io.BytesIO(),
    ):
        assert recognise.kind_of(value) is None


# log_histograms


def test_the_leaves_of_a_tree_are_histograms(run: runstream.Run, held: Read) -> None:
    tree = {"layer": {"w": np.ones((2, 2)), "b": [0.0, 1.0]}, "pair": (np.zeros(3), None), "bad": "text"}
    run.log_histograms(tree, prefix="weights", bins=4)
    run.log({"loss": 1})
    found = held(run)
    names = {event["name"]: (event["step"], sum(event["counts"])) for event in found.of("HistogramLogged")}
    assert names == {"weights/layer/w": (0, 4), "weights/layer/b": (0, 2), "weights/pair/0": (0, 3)}
    assert found.series("loss") == [(0, 1)]
    assert run.refused == 1


def test_histograms_of_nothing_and_of_nan(run: runstream.Run, held: Read) -> None:
    run.log_histograms({"nan": [math.nan], "empty": []}, step=4)
    (event,) = held(run).of("HistogramLogged")
    assert (event["name"], event["n_nan"], event["step"]) == ("nan", 1, 4)


def test_a_number_with_a_gradient_is_read_without_it(run: runstream.Run, held: Read) -> None:
    class Scalar:
        ndim = 0

        def __init__(self, *, graph: bool) -> None:
            self.graph = graph

        def detach(self) -> "Scalar":
            return Scalar(graph=False)

        def __float__(self) -> float:
            if self.graph:
                raise UserWarning("converting a tensor with requires_grad=True")
            return 0.5

    for _ in range(2):
        run.log({"loss": Scalar(graph=True)})
    assert held(run).series("loss") == [(0, 0.5), (1, 0.5)]
