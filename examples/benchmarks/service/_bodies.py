"""Bodies that no client should send."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

_WRONG_VALUES: dict[str, list[Any]] = {
    "user": [5, 1.5, True, ["user_0"], {"id": "user_0"}, "\ud800", "a\udfff"],
    "segment": [0, [], {}, [[]]],
    "item": [{"$ne": None}, -1, [None], "\udc00"],
    "category": [2.5, {}, [True], "\ud9ff"],
    "tags": [3.5, True, {"tag_1": 1}, [[["tag_1"]]], [{"tag": 1}]],
    "price": ["12.50", "", [], {}, True, float("nan"), float("inf"), -float("inf"), 10**400],
    "device": [False, 10**30, ["phone"], {"name": "phone"}],
    "time": [1_706_000_000, "noon", "", "2024-02-30T00:00:00", "2024-01-01T25:00", "2024-01-01T00:00Z", [], True],
}


def malformed_bodies(request: dict[str, Any], number: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """So many bodies, each with the kind of its damage, made of a request that is well-formed."""
    random = Random(seed)
    kinds = list(_DAMAGES)
    for position in range(number):
        kind = kinds[position % len(kinds)]
        yield kind, _DAMAGES[kind](random, request)


def _encode(request: Any) -> bytes:
    return json.dumps(request).encode()


def _copy(request: dict[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(request))
    copied["candidates"] = copied["candidates"][:20]
    return copied


def _wrong_value(random: Random, request: dict[str, Any]) -> bytes:
    damaged = _copy(request)
    row = damaged["context"] if random.random() < 0.5 else random.choice(damaged["candidates"])
    column = random.choice(list(row))
    row[column] = random.choice(_WRONG_VALUES[column])
    return _encode(damaged)


def _unknown_column(random: Random, request: dict[str, Any]) -> bytes:
    damaged = _copy(request)
    name = random.choice(["usr", "", "User", "user ", "__class__", "x" * 10_000, "\ud800", "null", "$where"])
    random.choice([damaged["context"], *damaged["candidates"]])[name] = "user_0"
    return _encode(damaged)


def _column_twice(random: Random, request: dict[str, Any]) -> bytes:
    damaged = _copy(request)
    random.choice(damaged["candidates"])["user"] = "user_0"
    return _encode(damaged)


def _wrong_shape(random: Random, request: dict[str, Any]) -> bytes:
    rows = request["candidates"][:3]
    shapes: list[Any] = [
        *[None, 0, 1.5, True, "", [], [[]], {}, [request], {"candidates": []}, {"candidates": None}],
        *[
            {"candidates": {}},
            {"candidates": rows[0]},
            {"candidates": [3]},
            {"candidates": [[]]},
            {"candidates": "all"},
        ],
        *[{"candidates": [None]}, {"context": [], "candidates": rows}, {"context": None, "candidates": rows}],
        *[{"context": "user_0", "candidates": rows}, {"context": request["context"]}, {"candidates": [{}] * 1_001}],
    ]
    return _encode(random.choice(shapes))


def _cut(random: Random, request: dict[str, Any]) -> bytes:
    body = _encode(_copy(request))
    return body[: random.randrange(len(body))]


def _no_json(random: Random, request: dict[str, Any]) -> bytes:
    body = bytearray(_encode(_copy(request)))
    # Outside of strings, where any printable byte would do.
    places = [position for position, byte in enumerate(body) if byte in b"{}[]:,"]
    body[random.choice(places)] = random.choice(b"\x00@;x'\xff")
    return bytes(body)


def _random_bytes(random: Random, request: dict[str, Any]) -> bytes:
    return b"\xff" + random.randbytes(random.randrange(2_000))


def _deep(random: Random, request: dict[str, Any]) -> bytes:
    depth = random.choice([100, 1_000, 10_000, 100_000])
    opening, closing = random.choice([(b"[", b"]"), (b'{"a":', b"}")])
    inner = opening * depth + b"1" + closing * depth * random.randrange(2)
    return random.choice([inner, b'{"context": {"user": %s}, "candidates": [{}]}' % inner])


def _huge(random: Random, request: dict[str, Any]) -> bytes:
    digits = random.choice([b"1" * 30, b"9" * 500, b"1" * 5_000, b"1" * 200_000, b"1e999", b"-1e999"])
    column = random.choice([b"user", b"price", b"tags", b"time"])
    if digits == b"1" * 30 and column in (b"price", b"tags"):
        digits = b"[1e999]"
    long_text = b'{"candidates": [{"usr": "%s"}]}' % (b"x" * random.choice([10_000, 900_000]))
    return random.choice([b'{"context": {"%s": %s}, "candidates": [{}]}' % (column, digits), long_text])


def _too_long(random: Random, request: dict[str, Any]) -> bytes:
    return b" " * random.choice([1_000_001, 2_000_000])


_DAMAGES: dict[str, Callable[[Random, dict[str, Any]], bytes]] = {
    "a value of a wrong type, not finite or half a character": _wrong_value,
    "a column that isn't there": _unknown_column,
    "a column of context and candidate": _column_twice,
    "another shape": _wrong_shape,
    "cut off": _cut,
    "no JSON": _no_json,
    "random bytes": _random_bytes,
    "deeply nested": _deep,
    "huge numbers and texts": _huge,
    "beyond the limit": _too_long,
}
