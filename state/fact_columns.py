"""Columns of the fact table for facts that were declared after the database was made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.engine import Connection

from mapping.facts import CATALOGUE
from state import intake, schema


def missing(connection: Connection) -> list[str]:
    """Facts of the catalogue for which the table has no column."""
    there = {column["name"] for column in sa.inspect(connection).get_columns(schema.fact.name)}
    return [definition.name for definition in CATALOGUE if definition.name not in there]


def add_missing(connection: Connection) -> list[str]:
    """Add those columns; if there were any, every client is to be computed again.

    Returns:
        The facts whose columns were added.
    """
    names = missing(connection)
    operations = Operations(MigrationContext.configure(connection))
    for name in names:
        operations.add_column(schema.fact.name, sa.Column(name, schema.fact.c[name].type))
    if names:
        intake.touch_all(connection)
    return names
