"""Memory: tables, journal, outbox. The only place with SQL on the hub's own database."""

from __future__ import annotations
