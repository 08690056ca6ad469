"""A HubSpot portal as its clients see it: `HubSpotFake` is a callable ``Request -> Response``.

Where a behaviour comes from is said at its place: "documented" (HubSpot's pages or API
specifications), "recorded" (payloads or figures taken from real portals by others), "assumed"
(nobody could be found who measured it; most of these can be switched).
"""

from __future__ import annotations

from simulator.hubspot.account import FakeOwner
from simulator.hubspot.fake import ALL_SCOPES, HubSpotFake
from simulator.hubspot.faults import Fault

__all__ = ["ALL_SCOPES", "FakeOwner", "Fault", "HubSpotFake"]
