"""Alembic's entry: the store hands over the connection it holds (indexer/store/migrate.py)."""

from alembic import context

from indexer.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
    transactional_ddl=True,  # a kill in the middle leaves the catalog as it was
)
with context.begin_transaction():
    context.run_migrations()
