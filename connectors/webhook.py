"""Taking in a webhook: the HMAC of the bytes that arrived, then strict JSON of a bounded size.

No error says anything of what a body held.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from mapping.errors import ConfigError, RecordError
from mapping.records import check_text

MAX_BYTES = 1_000_000
MAX_DEPTH = 20


def secrets_of(given: Sequence[SecretStr], name: str, vendor: str) -> list[str]:
    """The secrets of a connection's setting ``webhook_secrets``.

    Raises:
        ConfigError: none is set.
    """
    if not given:
        raise ConfigError(f"{name}: set webhook_secrets to take webhooks from {vendor}")
    return [secret.get_secret_value() for secret in given]


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers by lower-case name."""
    return {name.lower(): value for name, value in headers.items()}


def signed_by(
    secrets: Sequence[str],
    signed: bytes,
    signature: str,
    write: Callable[[bytes], bytes],
    algorithm: str = "sha256",
) -> bool:
    """Whether ``signature`` is the HMAC of ``signed`` under one of ``secrets``.

    Every secret is tried, in constant time.

    Args:
        signed: with the bytes that arrived, never written anew.
        write: how the vendor writes a digest (hex, base64).
    """
    given = signature.encode("utf-8", "replace")
    matches = [
        hmac.compare_digest(write(hmac.digest(secret.encode(), signed, algorithm)), given)
        for secret in secrets
        if secret
    ]
    return any(matches)


def digest(raw: bytes) -> str:
    """A short digest of a body, for the key of an event that has no id."""
    return hashlib.sha256(raw).hexdigest()[:16]


def decoded(raw: bytes) -> Mapping[str, Any]:
    """The JSON object of a body.

    Raises:
        RecordError: too large, no strict JSON object, a key twice, or nested too deep.
    """
    if len(raw) > MAX_BYTES:
        raise RecordError(f"webhook: the body is larger than {MAX_BYTES} bytes")
    try:
        body = json.loads(raw, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise RecordError("webhook: the body is not JSON") from None
    if not isinstance(body, dict):
        raise RecordError("webhook: the body should be a JSON object")
    if _depth(body) > MAX_DEPTH:
        raise RecordError(f"webhook: the body is nested deeper than {MAX_DEPTH} levels")
    return body


def needed(body: Mapping[str, Any], key: str) -> str:
    """The text of a field.

    Raises:
        RecordError: missing, of another type, or longer than 100 characters.
    """
    text = check_text(body, key, most=100)
    if not text:
        raise RecordError(f"webhook: field {key!r} is missing")
    return text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RecordError("webhook: the body holds a key twice")
    return found


def _depth(value: object) -> int:
    """Nesting depth, level by level (a hostile body must not exhaust the stack)."""
    level, depth = [value], 0
    while level:
        deeper = [list(v.values()) if isinstance(v, dict) else v for v in level]
        level = [inner for v in deeper if isinstance(v, list) for inner in v]
        depth += 1
    return depth
