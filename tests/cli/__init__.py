"""Tests of the door: the command line."""

from __future__ import annotations
