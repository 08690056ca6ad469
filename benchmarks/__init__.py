"""Benchmarks: the numbers of DESIGN §10, measured on the real code. Run ``python -m benchmarks``."""

from __future__ import annotations
