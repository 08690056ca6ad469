"""Tests of meaning."""

from __future__ import annotations
