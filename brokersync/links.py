"""`link` and `unlink`: records without a client, and what a person decides about them."""

from __future__ import annotations

import getpass
import os
from typing import Any

from brokersync.output import Output, instant, iso
from mapping.errors import ConfigError
from state import links
from state.links import Decision
from sync.hub import Hub

_MOST = 1000


def waiting(out: Output, hub: Hub) -> bool:
    """List references without a client; whether there are any."""
    with hub.store.reading() as connection:
        found = links.waiting(connection, _MOST)
    if out.as_json:
        out.object({"waiting": [_waiting(w) for w in found]})
    rows = [
        [w.brand, w.family, w.source, f"{w.record} {w.external_id}", w.kind, w.value,
         instant(w.since), w.count]
        for w in found
    ]  # fmt: skip
    out.table(
        ["Brand", "Family", "Source", "Record", "Kind", "Value", "Since", "Records"],
        rows,
        "Every record has its client.",
    )
    if len(found) == _MOST:
        out.line(f"These are the {_MOST:,} that have waited longest.")
    if found:
        out.line(
            "\nThey are taken up by themselves when the client appears. Or decide:\n"
            '  brokersync link KIND VALUE BRAND:CLIENT --reason "why"'
        )
    return bool(found)


def _waiting(one: links.Waiting) -> dict[str, Any]:
    return {
        "brand": one.brand,
        "family": one.family,
        "source": one.source,
        "record": one.record,
        "external_id": one.external_id,
        "kind": one.kind,
        "value": one.value,
        "since": iso(one.since),
        "count": one.count,
    }


def link(out: Output, hub: Hub, kind: str, value: str, client: str, reason: str) -> None:
    """Have a reference mean a client.

    Raises:
        ConfigError: see :func:`state.links.link`; or the client or the reason is not given.
    """
    brand, colon, client_id = client.partition(":")
    if not colon or not client_id:
        raise ConfigError("give KIND VALUE BRAND:CLIENT, as in: client_id 4711 north:12")
    decision = _decision(hub, brand, kind, value, client_id, reason)
    with hub.store.transaction("link") as connection:
        count = links.link(connection, decision)
    _said(out, decision, count, f"{kind} {value} of {brand} now means {brand}:{client_id}")


def unlink(out: Output, hub: Hub, kind: str, value: str, brand: str, reason: str) -> None:
    """Take a link back.

    Raises:
        ConfigError: see :func:`state.links.unlink`.
    """
    decision = _decision(hub, brand, kind, value, "", reason)
    with hub.store.transaction("unlink") as connection:
        count = links.unlink(connection, decision)
    _said(out, decision, count, f"{kind} {value} of {brand} is decided by the sources again")


def _decision(
    hub: Hub, brand: str, kind: str, value: str, client_id: str, reason: str
) -> Decision:  # fmt: skip
    if brand not in hub.brands:
        known = ", ".join(sorted(hub.brands))
        raise ConfigError(f"no such brand {brand[:40]!r}; there is: {known}")
    if not reason.strip():
        raise ConfigError("say why with --reason: it is kept, and shown by `brokersync explain`")
    now = hub.clock.now_ms()
    return Decision(brand, kind, value, client_id, _user(), now, reason.strip()[:500], True)


def _user() -> str:
    """Who is at the keyboard, as the system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a name for its user
        return f"uid {os.getuid()}"


def _said(out: Output, decision: Decision, count: int, text: str) -> None:
    if out.as_json:
        out.object({"records": count, **shown(decision)})
    out.line(f"{text}: {count} records. The next sync works it out.")


def shown(decision: Decision) -> dict[str, Any]:
    """A decision as `explain` and `--json` show it."""
    return {
        "kind": decision.kind,
        "value": decision.value,
        "client": f"{decision.brand}:{decision.client_id}" if decision.client_id else None,
        "by": decision.by,
        "at": iso(decision.at),
        "reason": decision.reason,
        "standing": decision.standing and bool(decision.client_id),
    }
