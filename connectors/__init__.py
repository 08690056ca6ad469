"""The outside world: one folder a vendor, sources and CRMs alike."""

from __future__ import annotations
