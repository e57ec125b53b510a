"""Runs revisions on the connection that `idp.migrate` hands over. Nothing else configures Alembic."""

from alembic import context

from idp.migrate import comparison

connection = context.config.attributes["connection"]
context.configure(connection=connection, **comparison(connection))
with context.begin_transaction():
    context.run_migrations()
