"""Meaning: records, facts, rules, stages, states, playbooks and fields. Pure: no I/O, no clock."""

from __future__ import annotations
