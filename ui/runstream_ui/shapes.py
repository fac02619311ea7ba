"""Objects in space as a small canvas can show them: points, or triangles between them, as many as can be told apart.

The readers of files are `shape_files` and `gltf`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_POINTS = 20_000
MAX_FACES = 12_000
_CELLS = (192, 144, 108, 81, 60, 45, 34, 25)
"""A surface of too many triangles is drawn on ever coarser grids until they are few enough."""


class NotDrawable(ValueError):
    """The file is none of the formats that are drawn, or torn; the text says which."""


@dataclass(frozen=True)
class Shape:
    """`xyz` is (n, 3); `rgb` (n, 3) or None; `faces` (m, 3), places in `xyz`, or None for a cloud of points."""

    xyz: npt.NDArray[Any]
    rgb: npt.NDArray[np.uint8] | None = None
    faces: npt.NDArray[np.int64] | None = None

    def thinned(self) -> Shape:
        """At most MAX_FACES of its triangles, or MAX_POINTS of its points, evenly chosen; what is not finite is left
        out. Raises NotDrawable when nothing is left."""
        fine = np.isfinite(self.xyz).all(axis=1)
        if self.faces is not None:
            inside = ((self.faces >= 0) & (self.faces < len(self.xyz))).all(axis=1)
            faces = self.faces[inside]
            faces = faces[fine[faces].all(axis=1)]
            if len(faces):
                return _fewer_faces(self.xyz, self.rgb, faces)
        kept = np.flatnonzero(fine)
        if kept.size == 0:
            raise NotDrawable("the file has no points")
        kept = kept[np.linspace(0, kept.size - 1, min(kept.size, MAX_POINTS)).round().astype(np.intp)]
        return Shape(self.xyz[kept], None if self.rgb is None else self.rgb[kept])

    def as_json(self) -> dict[str, str]:
        """For media.js, as base64: the points as float32 in a ball of radius 1, their colours, and the triangles as
        uint16."""
        xyz = self.xyz.astype(np.float64)
        centred = xyz - (xyz.min(axis=0) + xyz.max(axis=0)) / 2
        # However it is turned, it stays inside the canvas.
        placed = centred / (float(np.sqrt((centred**2).sum(axis=1)).max()) or 1.0)
        shown = {"xyz": _base64(placed, "<f4")}
        if self.rgb is not None:
            shown["rgb"] = _base64(self.rgb, "u1")
        if self.faces is not None:
            shown["faces"] = _base64(self.faces, "<u2")
        return shown


def _fewer_faces(xyz: npt.NDArray[Any], rgb: npt.NDArray[np.uint8] | None, faces: npt.NDArray[np.int64]) -> Shape:
    """Points that share a cell of a grid become one (Rossignac and Borrel, 1993); triangles that collapse go."""
    used, faces = _used(faces)
    xyz, rgb = xyz[used], None if rgb is None else rgb[used]
    low, reach = xyz.min(axis=0), float(np.ptp(xyz, axis=0).max()) or 1.0
    for cells in _CELLS:
        if len(faces) <= MAX_FACES:
            break
        cell = np.minimum((xyz - low) / reach * cells, cells - 1).astype(np.int64)
        key = (cell[:, 0] * cells + cell[:, 1]) * cells + cell[:, 2]
        _, first, which = np.unique(key, return_index=True, return_inverse=True)
        few = which.reshape(-1)[faces]
        apart = (few[:, 0] != few[:, 1]) & (few[:, 1] != few[:, 2]) & (few[:, 0] != few[:, 2])
        if not apart.any():
            break
        _, kept = np.unique(row_keys(np.sort(few[apart], axis=1)), return_index=True)
        xyz, rgb, faces = xyz[first], None if rgb is None else rgb[first], few[apart][np.sort(kept)]
    faces = faces[np.linspace(0, len(faces) - 1, min(len(faces), MAX_FACES)).round().astype(np.intp)]
    used, faces = _used(faces)
    return Shape(xyz[used], None if rgb is None else rgb[used], faces)


def row_keys(rows: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """A number for each row, the same for the same row: numbers are sorted many times faster than rows."""
    bits = rows.astype(np.uint64)
    keys = np.zeros(len(rows), dtype=np.uint64)
    for column in range(rows.shape[1]):
        keys = (keys ^ bits[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    return keys


def _used(faces: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The places that occur in `faces`, and `faces` as places in them."""
    used, which = np.unique(faces, return_inverse=True)
    return used, which.reshape(faces.shape)


def _base64(numbers: npt.NDArray[Any], kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers, dtype=kind).tobytes()).decode()
