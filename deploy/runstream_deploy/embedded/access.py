"""Who may send statements: one owner with a password, readers without."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from runstream_deploy.embedded.errors import QueryError

READERS = ("reader", "default")


@dataclass(frozen=True, slots=True)
class User:
    name: str
    is_owner: bool


@dataclass(frozen=True, slots=True)
class Accounts:
    """`owner` may do all, with `password`; `reader` and `default` read, without one: only loopback is served."""

    owner: str
    password: str

    def user(self, headers: Mapping[str, str], parameters: Mapping[str, str]) -> User:
        """The user of a request: Basic, X-ClickHouse-User/Key or `?user=&password=`; none is `default`.

        Raises QueryError 516 for an unknown name or a wrong password, without telling which.
        """
        name, password = self._credentials(headers, parameters)
        if name in READERS and not password:
            return User(name, is_owner=False)
        if hmac.compare_digest(name.encode(), self.owner.encode()) and hmac.compare_digest(
            password.encode(), self.password.encode()
        ):
            return User(name, is_owner=True)
        raise QueryError(
            516,
            "AUTHENTICATION_FAILED",
            f"{name}: Authentication failed: password is incorrect, or there is no user with such name. "
            "Read with the user `reader` and no password, or take the owner's from up.json.",
        )

    @staticmethod
    def _credentials(headers: Mapping[str, str], parameters: Mapping[str, str]) -> tuple[str, str]:
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                raise QueryError(516, "AUTHENTICATION_FAILED", "Invalid Basic authorization header.") from None
            return name or "default", password
        if scheme:
            raise QueryError(516, "AUTHENTICATION_FAILED", "Only Basic authorization is supported.")
        if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
            return headers.get("x-clickhouse-user") or "default", headers.get("x-clickhouse-key", "")
        return parameters.get("user") or "default", parameters.get("password", "")
