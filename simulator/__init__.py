"""The test world: a seeded brokerage with fake vendors and a fake CRM. Shares no code with the hub."""

from __future__ import annotations
