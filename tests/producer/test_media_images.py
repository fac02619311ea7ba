"""Image: whatever it is made of, the file that is kept shows the same picture."""

import hashlib
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as Pillow

from producer.media_values import Nested, blob_of, opened
from runstream import Image
from runstream.media.blob import ValueRefused
from runstream.media.boxes import MAX_BOXES
from runstream.media.sniff import image_size, image_type

RNG = np.random.default_rng(7)


def pixels(*shape: int) -> Any:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def file_of(file_format: str, mode: str = "RGB", size: tuple[int, int] = (7, 5)) -> bytes:
    out = io.BytesIO()
    Pillow.new(mode, size).save(out, file_format)
    return out.getvalue()


@pytest.mark.parametrize(
    ("shape", "mode"),
    [((5, 7), "L"), ((5, 7, 1), "L"), ((5, 7, 2), "LA"), ((5, 7, 3), "RGB"), ((5, 7, 4), "RGBA"), ((3, 5, 7), "RGB")],
)
def test_an_array_is_kept_pixel_by_pixel(shape: tuple[int, ...], mode: str) -> None:
    data = pixels(*shape)
    blob, said = blob_of(Image(data))
    picture = opened(blob)
    expected = np.moveaxis(data, 0, -1) if shape[0] == 3 else data.reshape(5, 7, -1)
    assert (picture.mode, picture.size) == (mode, (7, 5))
    assert np.array_equal(np.asarray(picture).reshape(expected.shape), expected)
    assert (blob.mime, blob.metadata, said) == ("image/png", {"width": 7, "height": 5}, [])


@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)))
def test_any_grey_picture_comes_back(data: Any) -> None:
    blob, _ = blob_of(Image(data))
    assert np.array_equal(np.asarray(opened(blob)), data)


@given(st.lists(st.lists(st.integers(0, 255), min_size=3, max_size=3), min_size=1, max_size=5))
def test_nested_lists_make_the_picture_that_an_array_makes(rows: list[list[int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "numpy")
        by_hand, _ = blob_of(Image(rows))
    assert np.array_equal(np.asarray(opened(by_hand)), np.array(rows))


def test_a_tensor_without_numpy_has_its_channels_first(monkeypatch: pytest.MonkeyPatch) -> None:
    data = RNG.random((3, 4, 5))
    expected = (np.moveaxis(data, 0, -1).astype("f4") * 255 + 0.5).astype(np.uint8)
    nested = data.tolist()
    monkeypatch.delitem(sys.modules, "numpy")
    blob, said = blob_of(Image(Nested(nested)))
    monkeypatch.undo()
    assert np.abs(np.asarray(opened(blob)).astype(int) - expected).max() <= 1
    assert said == []


def test_floats_are_zero_to_one_and_what_is_outside_is_cut_off_with_a_warning() -> None:
    blob, said = blob_of(Image(np.array([[0.0, 0.5, 1.0]])))
    assert np.asarray(opened(blob)).tolist() == [[0, 128, 255]]
    assert said == []
    blob, said = blob_of(Image(np.array([[-1.0, 0.5, 200.0]])))
    assert np.asarray(opened(blob)).tolist() == [[0, 128, 255]]
    assert len(said) == 1
    assert "-1 to 200" in said[0]
    assert "divide it by 255" in said[0]


def test_nan_is_black_and_infinity_white_with_a_warning() -> None:
    blob, said = blob_of(Image(np.array([[np.nan, np.inf, -np.inf, 0.5]], dtype=np.float16)))
    assert np.asarray(opened(blob)).tolist() == [[0, 255, 0, 128]]
    assert any("1 of its numbers are NaN" in text for text in said)


@pytest.mark.parametrize("kind", ["bool", "int64", "uint16", "float64", ">f4"])
def test_other_number_types_are_understood(kind: str) -> None:
    data = np.array([[0, 1], [1, 0]], dtype=kind)
    blob, said = blob_of(Image(data))
    top = {"bool": 255, "int64": 1, "uint16": 1, "float64": 255, ">f4": 255}[kind]
    assert np.asarray(opened(blob)).tolist() == [[0, top], [top, 0]]
    assert said == []


def test_16_bits_are_kept() -> None:
    data = RNG.integers(0, 65536, (4, 6), dtype=np.uint16)
    blob, _ = blob_of(Image(data))
    assert np.array_equal(np.asarray(opened(blob)), data)


def test_integers_beyond_255_are_cut_off_with_a_warning() -> None:
    blob, said = blob_of(Image(np.array([[-5, 300]])))
    assert np.asarray(opened(blob)).tolist() == [[0, 255]]
    assert "-5 to 300" in said[0]


def test_bgr_is_turned_round() -> None:
    data = pixels(4, 4, 3)
    blob, _ = blob_of(Image(data, mode="BGR"))
    assert np.array_equal(np.asarray(opened(blob)), data[:, :, ::-1])


@pytest.mark.parametrize("layout", ["transposed", "sliced", "read only", "fortran"])
def test_views_of_arrays_are_pictures_too(layout: str) -> None:
    data = pixels(6, 8)
    if layout == "transposed":
        data = data.T
    elif layout == "sliced":
        data = data[::2, ::-1]
    elif layout == "fortran":
        data = np.asfortranarray(data)
    data.flags.writeable = False
    blob, _ = blob_of(Image(data))
    assert np.array_equal(np.asarray(opened(blob)), data)


def test_the_same_pixels_are_the_same_bytes() -> None:
    data = pixels(30, 20, 3)
    assert blob_of(Image(data))[0].content == blob_of(Image(data.copy()))[0].content


def test_the_value_is_not_changed() -> None:
    data = np.array([[np.nan, 2.0]])
    blob_of(Image(data))
    assert np.isnan(data[0, 0])
    assert data[0, 1] == 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F", "HSV"])
def test_a_pil_image_of_any_mode_is_kept(mode: str) -> None:
    blob, _ = blob_of(Image(Pillow.new(mode, (6, 4))))
    assert opened(blob).size == (6, 4)
    assert blob.metadata == {"width": 6, "height": 4}


def test_jpeg_is_made_where_it_is_asked_for() -> None:
    for data in (pixels(20, 30, 3), Pillow.new("RGBA", (30, 20))):
        blob, _ = blob_of(Image(data, format="jpeg", quality=50))
        assert opened(blob).format == "JPEG"
        assert (blob.mime, blob.file) == ("image/jpeg", "image.jpg")


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_a_file_stays_as_it_is_and_its_size_is_read(tmp_path: Path, file_format: str) -> None:
    data = file_of(file_format)
    path = tmp_path / "a picture.dat"
    path.write_bytes(data)
    for value in (path, str(path), data, bytearray(data), io.BytesIO(data)):
        blob, _ = blob_of(Image(value))
        assert blob.content == data
        assert blob.mime == f"image/{file_format.lower()}"
        assert blob.metadata == {"width": 7, "height": 5}


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF"])
def test_a_file_that_ends_before_its_picture_is_kept_and_said_to_be_cut_off(tmp_path: Path, file_format: str) -> None:
    whole = file_of(file_format, "L" if file_format == "GIF" else "RGB", (99, 77))
    path = tmp_path / "torn"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    for data in (path, path.read_bytes()):
        blob, said = blob_of(Image(data))
        assert (blob.metadata["cut_off"], blob.content) == (True, path.read_bytes())
        assert "ends before its picture does" in said[0]
    blob, said = blob_of(Image(whole))
    assert ("cut_off" in blob.metadata, said) == (False, [])


def test_the_size_of_every_kind_of_webp_is_read() -> None:
    for mode, options in (("RGB", {"lossless": True}), ("RGBA", {}), ("RGB", {"quality": 10})):
        out = io.BytesIO()
        Pillow.new(mode, (300, 200), 0).save(out, "WEBP", **options)
        assert image_size(out.getvalue()) == (300, 200)


def test_svg_is_a_picture() -> None:
    blob, _ = blob_of(Image(b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'))
    assert blob.mime == "image/svg+xml"


@given(st.binary(max_size=200))
def test_no_bytes_break_the_look_at_them(head: bytes) -> None:
    for begin in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF0000WEBPVP8 ", b"BM0000\0\0\0\0"):
        image_size(begin + head)
        image_type(begin + head)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("/nowhere/ü.png", "there is no file"),
        ("\0", "there is no file|no path"),
        (b"", "empty"),
        (b"not a picture", "no PNG"),
        (None, "NoneType is no picture"),
        (3, "int is no picture"),
        ({"a": 1}, "dict is no picture"),
        ([[1, 2], [3]], "cannot be read as an array"),
        ([], "no picture"),
        (np.zeros(5), "no picture"),
        (np.zeros((2, 3, 4, 5)), "list of Images"),
        (np.zeros((5, 5, 7)), "channels neither first nor last"),
        (np.zeros((0, 5)), "0"),
        (np.zeros((4, 4), dtype=complex), "complex"),
        (np.array([["a", "b"]]), "U1"),
        (np.zeros((1, 70000), np.uint8), "65536"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_reason(value: Any, why: str) -> None:
    with pytest.raises(ValueRefused, match=why):
        blob_of(Image(value))


@pytest.mark.parametrize("arguments", [{"mode": "XYZ"}, {"format": "tiff"}, {"mode": "RGBA"}])
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueRefused):
        blob_of(Image(pixels(5, 6, 3), **arguments))


# Boxes, masks, classes


def boxes_of(boxes: Any, **arguments: Any) -> tuple[list[dict[str, Any]], list[str]]:
    blob, said = blob_of(Image(np.zeros((50, 100), np.uint8), boxes=boxes, **arguments))
    return blob.metadata["boxes"], said


def test_boxes_in_pixels_become_fractions() -> None:
    boxes, _ = boxes_of([{"box": [10, 10, 60, 30], "label": "Katze ü", "score": np.float32(0.5)}])
    box = {"set": "boxes", "x": 0.1, "y": 0.2, "width": 0.5, "height": 0.4, "label": "Katze ü", "score": 0.5}
    assert boxes == [box]


def test_boxes_in_fractions_stay_and_arrays_are_boxes() -> None:
    boxes, _ = boxes_of({"truth": np.array([[0.1, 0.2, 0.6, 0.6]])})
    assert boxes == [{"set": "truth", "x": 0.1, "y": 0.2, "width": 0.5, "height": 0.4}]


def test_boxes_of_another_tracker_are_understood() -> None:
    boxes, _ = boxes_of(
        {
            "predictions": {
                "box_data": [
                    {
                        "position": {"minX": 0.1, "maxX": 0.2, "minY": 0.3, "maxY": 0.4},
                        "class_id": 2,
                        "scores": {"a": 1},
                    },
                    {"position": {"middle": [50, 25], "width": 10, "height": 10}, "domain": "pixel", "class_id": 3},
                ],
                "class_labels": {2: "dog"},
            }
        }
    )
    assert [(box["set"], box["class"], box["label"]) for box in boxes] == [
        ("predictions", "2", "dog"),
        ("predictions", "3", "3"),
    ]
    assert (boxes[0]["x"], boxes[0]["width"]) == (0.1, 0.1)
    assert (boxes[1]["x"], boxes[1]["y"], boxes[1]["width"]) == (0.45, 0.4, 0.1)


@pytest.mark.parametrize("box", [{}, None, 3, "x", {"box": [1, 2]}, {"box": [0, 0, float("nan"), 1]}, {"position": 1}])
def test_what_is_no_box_is_left_out_with_a_warning(box: Any) -> None:
    boxes, said = boxes_of([box, {"box": [0, 0, 1, 1]}])
    assert len(boxes) == 1
    assert "1 of its boxes are left out" in said[0]


def test_a_picture_has_so_many_boxes() -> None:
    boxes, said = boxes_of([{"box": [0, 0, 1, 1]}] * (MAX_BOXES + 5))
    assert len(boxes) == MAX_BOXES
    assert "5 of its boxes" in said[0]


def test_a_mask_is_a_picture_of_its_own_that_the_metadata_name() -> None:
    mask = np.zeros((50, 100), int)
    mask[10:20, 30:40] = 7
    value = Image(np.zeros((50, 100)), masks={"truth": mask, "other": {"mask_data": mask, "class_labels": {7: "cat"}}})
    blob, _ = blob_of(value)
    assert [part.below for part in blob.parts] == ["masks/truth", "masks/other"]
    assert np.array_equal(np.asarray(opened(blob.parts[0].blob)), mask)
    content = blob.parts[0].blob.content
    assert isinstance(content, bytes)
    assert blob.metadata["masks"]["truth"] == {"sha256": hashlib.sha256(content).hexdigest(), "classes": {}}
    assert blob.metadata["masks"]["other"]["classes"] == {"7": "cat"}


def test_many_classes_make_a_mask_of_16_bits() -> None:
    blob, _ = blob_of(Image(np.zeros((2, 2)), masks={"m": [[0, 256], [65535, 1]]}, classes=["a", "b"]))
    assert np.asarray(opened(blob.parts[0].blob)).tolist() == [[0, 256], [65535, 1]]
    assert blob.metadata["classes"] == {"0": "a", "1": "b"}


@pytest.mark.parametrize("mask", [np.zeros((2, 2)), np.array([[-1]]), np.zeros(3, int), None, "x"])
def test_what_is_no_mask_is_left_out_with_a_warning(mask: Any) -> None:
    blob, said = blob_of(Image(np.zeros((2, 2)), masks={"bad": mask, "good": np.ones((2, 2), int)}))
    assert list(blob.metadata["masks"]) == ["good"]
    assert any("'bad' is left out" in text for text in said)
