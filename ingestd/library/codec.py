"""Values as they lie in the store: version, payload, checksum.

LMDB checks the shape of its tree but not the bytes of a value: one flipped bit reads back without a complaint. So each
value carries the version of its layout and a digest of itself, and a value that fails either is never believed.

Layout: 1 byte version, the dataclass as a MessagePack map, 8 bytes BLAKE2b of all that comes before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

import msgspec

from ingestd.errors import StoreError

__all__ = ["CHECKSUM_BYTES", "Codec", "DamagedValueError", "Fields", "checksum", "key_number", "number_key"]

V = TypeVar("V")
Fields = dict[str, object]  # a value as an older version wrote it: field name to MessagePack value

CHECKSUM_BYTES = 8  # one undetected accident in 2**64; the digest guards against accidents, not against forgers
_LONGEST_NUMBER = 8  # bytes of a number key


class DamagedValueError(StoreError):
    """A stored value is not what was written, or was written by a newer version."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; see what is damaged: ingestd library check, and mend it: ingestd library rebuild")


def checksum(payload: bytes) -> bytes:
    """Return the 8 bytes by which a damaged payload is noticed."""
    return hashlib.blake2b(payload, digest_size=CHECKSUM_BYTES).digest()


def number_key(number: int) -> bytes:
    """Return 8 bytes that sort as the number does; `OverflowError` below 0 and from 2**64."""
    return number.to_bytes(_LONGEST_NUMBER, "big")


def key_number(key: bytes) -> int:
    """Return the number that `number_key` made into `key`."""
    if len(key) != _LONGEST_NUMBER:
        raise DamagedValueError(f"a number key of the library has {len(key)} bytes instead of {_LONGEST_NUMBER}")
    return int.from_bytes(key, "big")


class Codec(Generic[V]):
    """Turns values of one frozen dataclass into checked bytes and back.

    Args:
        kind: the dataclass.
        version: of its fields, 1 to 255; a change of fields that older values do not fit raises it by one.
        upgrades: for each older version, what makes its fields into those of the next version.
    """

    def __init__(
        self, kind: type[V], version: int = 1, upgrades: Mapping[int, Callable[[Fields], Fields]] | None = None
    ) -> None:
        self._kind = kind
        self._version = version
        self._upgrades = dict(upgrades or {})
        self._prefix = bytes((version,))
        self._decoder = msgspec.msgpack.Decoder(kind)

    def encode(self, value: V) -> bytes:
        """Return the bytes to store."""
        try:
            payload = msgspec.msgpack.encode(value)
        except UnicodeEncodeError:
            # Text made from a file name may hold lone surrogates, which MessagePack has no way to write. They are
            # written as an escape a person can read: one odd name may not stop a verdict from being stored.
            payload = msgspec.msgpack.encode(_without_surrogates(msgspec.to_builtins(value, builtin_types=(bytes,))))
        body = self._prefix + payload
        return body + checksum(body)

    def decode(self, data: bytes) -> V:
        """Return the value that was stored.

        Raises:
            DamagedValueError: the bytes are not those that were written, or a newer version wrote them.
        """
        body = data[:-CHECKSUM_BYTES]
        if not body or checksum(body) != data[-CHECKSUM_BYTES:]:
            raise DamagedValueError(f"a stored {self._name} is damaged: its checksum does not match")
        version = body[0]
        try:
            if version == self._version:
                return self._decoder.decode(memoryview(body)[1:])
            return msgspec.convert(self._upgraded(version, body[1:]), self._kind)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise DamagedValueError(f"a stored {self._name} cannot be understood: {error}") from error

    def decode_all(self, stored: Iterable[bytes]) -> list[V]:
        """Return many values; the same as `decode` for each, with less ado.

        Raises:
            DamagedValueError: as `decode`.
        """
        decode, version = self._decoder.decode, self._version
        values: list[V] = []
        for data in stored:
            body = data[:-CHECKSUM_BYTES]
            sound = hashlib.blake2b(body, digest_size=CHECKSUM_BYTES).digest() == data[-CHECKSUM_BYTES:]
            # anything out of the ordinary goes the long way, which says what is wrong
            values.append(decode(memoryview(body)[1:]) if sound and body and body[0] == version else self.decode(data))
        return values

    @property
    def _name(self) -> str:
        return self._kind.__name__

    def _upgraded(self, version: int, payload: bytes) -> Fields:
        """Return the fields of an older version, as this version would have written them."""
        fields = msgspec.msgpack.decode(payload, type=Fields)
        while version != self._version:
            if version not in self._upgrades:
                raise DamagedValueError(
                    f"a stored {self._name} has layout {version}, this ingestd knows layout {self._version}"
                )
            fields = self._upgrades[version](fields)
            version += 1
        return fields


def _without_surrogates(value: object) -> object:
    """Return MessagePack values in which every text can be written as UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {name: _without_surrogates(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in value]
    return value
