"""Benchmarks: the numbers of DESIGN §10, measured on the real code."""

from __future__ import annotations
