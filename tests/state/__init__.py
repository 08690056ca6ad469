"""Tests of the hub's memory."""

from __future__ import annotations
