"""Tests of motion."""

from __future__ import annotations
