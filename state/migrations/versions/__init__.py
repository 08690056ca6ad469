"""Alembic migrations of the hub's database."""

from __future__ import annotations
