"""`run.config` and `run.summary`: named values with history. Only what changed is sent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from runstream.notices import Once, warn
from runstream.values import DELETED, MAX_DEPTH, MAX_NAME_BYTES, as_mapping, flatten, typed

Changes = list[dict[str, Any]]


class Parameters:
    """The leaves that were sent, and the rule for what to send next."""

    def __init__(self, send: Callable[[Changes], None]) -> None:
        self.lock = threading.RLock()
        self.sent: dict[str, tuple[str, str]] = {}
        self._send = send
        self._once = Once()

    def changed(self, name: str, *values: object) -> None:
        """`name` now holds `values[0]`, or is gone when none is given."""
        leaves: dict[str, dict[str, Any]] = {}
        for leaf, inner in (leaf for value in values for leaf in flatten(name, value)):
            if len(leaf.encode("utf-8", "replace")) > MAX_NAME_BYTES:
                self._once.warn(leaf[:100], f"a name of more than {MAX_NAME_BYTES} bytes is left out: {leaf[:60]}…")
            elif leaf:
                leaves[leaf] = typed(leaf, inner)
        inside = name + "/" if name else ""
        changes = [value for leaf, value in leaves.items() if self.sent.get(leaf) != (value["kind"], value["text"])]
        for leaf in [leaf for leaf in self.sent if (leaf == name or leaf.startswith(inside)) and leaf not in leaves]:
            del self.sent[leaf]
            changes.append({"name": leaf, "kind": DELETED, "text": "", "number": None})
        if changes:
            self.sent.update((v["name"], (v["kind"], v["text"])) for v in changes if v["kind"] != DELETED)
            self._send(changes)


class Config(MutableMapping[str, Any]):
    """A nested mapping with attribute access: `config.model.layers` is `config["model"]["layers"]`.

    Each change is recorded at once as parameters named `model/layers`. `update()` merges nested mappings and takes
    argparse namespaces, dataclasses, attrs and pydantic objects too. A changed element inside a list is found when the
    run finishes. No method raises for a value that cannot be recorded; it is kept as its text.
    """

    def __init__(self, parameters: Parameters, prefix: str = "") -> None:
        object.__setattr__(self, "_parameters", parameters)
        object.__setattr__(self, "_prefix", prefix)
        object.__setattr__(self, "_values", {})

    _parameters: Parameters
    _prefix: str
    _values: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        name = str(name)
        with self._parameters.lock:
            self._values[name] = self._node(name, value)
            self._parameters.changed(self._prefix + name, value)

    def __delitem__(self, name: str) -> None:
        with self._parameters.lock:
            del self._values[name]
            self._parameters.changed(self._prefix + name)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"config has no {self._prefix + name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"config has no {self._prefix + name!r}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._values]

    def __repr__(self) -> str:
        return f"Config({self.as_dict()!r})"

    def as_dict(self) -> dict[str, Any]:
        """A plain copy, nested dicts for nested parts."""
        return {name: v.as_dict() if isinstance(v, Config) else v for name, v in self._values.items()}

    def update(self, *others: Any, **values: Any) -> None:
        """Merge mappings or objects with named fields; nested mappings are merged, anything else replaces."""
        with self._parameters.lock:
            for other in (*others, values):
                fields = as_mapping(other)
                if fields is None:
                    warn(
                        f"config.update() takes mappings and objects with fields, not {type(other).__name__}: left out"
                    )
                    continue
                self._merge(fields)
            self._parameters.changed(self._prefix[:-1], self.as_dict())

    def record_changes(self) -> None:
        """Send what was changed inside values, such as an element of a list."""
        with self._parameters.lock:
            self._parameters.changed(self._prefix[:-1], self.as_dict())

    def _merge(self, fields: Mapping[Any, Any]) -> None:
        for key, value in fields.items():
            name = str(key)
            here, inner = self._values.get(name), as_mapping(value)
            if isinstance(here, Config) and inner is not None:
                here._merge(inner)
            else:
                self._values[name] = self._node(name, value)

    def _node(self, name: str, value: Any) -> Any:
        if not isinstance(value, dict | Config) or self._prefix.count("/") >= MAX_DEPTH:
            return value
        node = Config(self._parameters, f"{self._prefix}{name}/")
        node._merge(value.as_dict() if isinstance(value, Config) else value)
        return node


class Summary(MutableMapping[str, Any]):
    """A mapping of named results. Nested mappings are named with `/`; each change is recorded at once.

    It holds what was set here. Minimum, maximum and last of every logged metric are computed from the points, and need
    no entry.
    """

    def __init__(self, send: Callable[[Changes], None]) -> None:
        self._parameters = Parameters(send)
        self._values: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        name = str(name)
        with self._parameters.lock:
            self._values[name] = value
            self._parameters.changed(name, value)

    def __delitem__(self, name: str) -> None:
        with self._parameters.lock:
            del self._values[name]
            self._parameters.changed(name)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Summary({self._values!r})"
