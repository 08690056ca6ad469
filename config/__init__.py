"""Choice: settings and the shipped defaults. Read by ``brokersync/bootstrap.py`` alone."""

from __future__ import annotations
