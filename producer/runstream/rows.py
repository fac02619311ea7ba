"""What log() is given, as rows of numbers under names that can be kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runstream.notices import Once
from runstream.spool import MAX_ROW_METRICS, MAX_ROW_NAME_BYTES
from runstream.spool_records import KeySet
from runstream.values import MAX_DEPTH, MAX_NAME_BYTES

MAX_KEY_SETS = 4096


class _Refused(ValueError):
    def __init__(self, reason: str, key: str = "") -> None:
        super().__init__(reason)
        self.key = key


class Rows:
    """Knows the key sets of one writer, and what became of names and values that are not as they should be.

    `known` maps the keys of a dict, as they came, to a key set: what is found there needs no look at its names.
    """

    def __init__(self, max_metrics: int) -> None:
        self.known: dict[tuple[Any, ...], KeySet] = {}
        self.refused = 0
        """Values left out because they are not numbers or have no usable name."""
        self._max_metrics = max_metrics
        self.rich: list[tuple[str, object]] = []
        """Texts, pictures and other rich values that `of` has met, by name; for the caller to take away."""
        self._names: dict[str, str] = {}
        self._numbers_given = 0
        self._once = Once()

    def of(self, data: Mapping[Any, Any]) -> list[tuple[KeySet, list[float]]]:
        """`data` flattened, as one row, or several when it is wide, or none when no number is left."""
        numbers: dict[str, float] = {}
        for name, value in self._leaves(data, "", 0):
            try:
                known = self._names.get(name) or self._new_name(name)
                if is_rich(value):
                    self.rich.append((known, value))
                else:
                    numbers[known] = _number(value)
            except _Refused as refused:
                self.refuse(refused.key or name[:100], str(refused))
        rows = [(self._key_set(names), [numbers[name] for name in names]) for names in _parts(numbers)]
        if len(rows) == 1 and tuple(data) == rows[0][0].metrics:
            self._remember(tuple(data), rows[0][0])
        return rows

    def name(self, name: str) -> str | None:
        """The name as it can be kept; None, with a warning, when it cannot."""
        try:
            return self._names.get(name) or self._new_name(name)
        except _Refused as refused:
            self.refuse(refused.key or name[:100], str(refused))
            return None

    def refuse(self, name: str, reason: str) -> None:
        """Leave a value out, with one warning per name."""
        self.refused += 1
        self._once.warn(name, f"log(): {name!r} is left out: {reason}")

    def _leaves(self, data: Mapping[Any, Any], prefix: str, depth: int) -> Iterator[tuple[str, object]]:
        for key, value in data.items():
            name = prefix + (key if isinstance(key, str) else str(key))
            if not isinstance(value, Mapping):
                yield name, value
            elif depth < MAX_DEPTH:
                yield from self._leaves(value, name + "/", depth + 1)
            else:
                self.refuse(name[:100], f"it is nested more than {MAX_DEPTH} deep")

    def _new_name(self, name: str) -> str:
        data = name.encode("utf-8", "replace")
        if not data:
            raise _Refused("its name is empty")
        if len(data) > MAX_NAME_BYTES:
            raise _Refused(f"its name has {len(data)} bytes; the limit is {MAX_NAME_BYTES}")
        if len(self._names) >= self._max_metrics:
            raise _Refused(
                f"this process has logged {self._max_metrics} metric names. Put what varies into step or config, "
                "or raise RUNSTREAM_MAX_METRICS",
                key="and every further name",
            )
        self._names[name] = data.decode()
        return self._names[name]

    def _key_set(self, names: tuple[str, ...]) -> KeySet:
        return self.known.get(names) or self._remember(names, KeySet(self._numbers_given, names))

    def _remember(self, keys: tuple[Any, ...], key_set: KeySet) -> KeySet:
        if keys not in self.known:
            if len(self.known) >= MAX_KEY_SETS:
                self.known.clear()
            self._numbers_given += 1
            self.known[keys] = key_set
        return key_set


def is_rich(value: object) -> bool:
    """Whether `value` is a text, or a value that is kept as a histogram or a blob, or a list that begins with one."""
    kind = type(value)
    if kind is float or kind is int:
        return False
    if isinstance(value, list | tuple):
        return bool(value) and not isinstance(value[0], list | tuple) and is_rich(value[0])
    if isinstance(value, str):
        return True
    if kind.__module__ in ("builtins", "numpy", "torch") and kind.__name__ != "module":
        return False
    from runstream.media.recognise import kind_of

    return kind_of(value) is not None


def _parts(numbers: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    names: list[str] = []
    size = 0
    for name in numbers:
        size += len(name.encode())
        if names and (len(names) >= MAX_ROW_METRICS or size > MAX_ROW_NAME_BYTES):
            yield tuple(names)
            names, size = [], len(name.encode())
        names.append(name)
    if names:
        yield tuple(names)


def _number(value: Any) -> float:
    if value is None or isinstance(value, bytes | bytearray | complex):
        raise _Refused(f"{type(value).__name__} is not a number")
    if isinstance(value, list | tuple):
        kind, count = type(value).__name__, len(value)
        raise _Refused(
            f"a {kind} of {count} is not a number. A list may hold Images and other rich values; for numbers "
            "there is runstream.Histogram"
        )
    try:
        # An array of one element counts. numpy would warn of float(array), and torch of a scalar that has a gradient.
        scalar = value.detach() if callable(getattr(value, "detach", None)) else value
        return float(scalar.item() if getattr(scalar, "ndim", 0) else scalar)
    except OverflowError:
        raise _Refused("the integer is too large for a double") from None
    except Exception as error:  # noqa: BLE001 - any object may come
        reason = f"{type(value).__name__} is not a number ({type(error).__name__}: {error})"
        if getattr(value, "ndim", 0):
            reason = f"an array of shape {tuple(value.shape)} is not a number. Wrap it in runstream.Histogram or Image"
        raise _Refused(reason[:300]) from None
