"""The test world: a seeded brokerage, fake vendors, a fake CRM. Shares no code with the hub."""

from __future__ import annotations
