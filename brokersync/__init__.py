"""The door: command line and bootstrap."""

from __future__ import annotations
