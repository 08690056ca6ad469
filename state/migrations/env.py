"""Alembic's entry: the connection is handed in by :meth:`state.store.Store.migrate`."""

from __future__ import annotations

from alembic import context

from state.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
