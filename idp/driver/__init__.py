"""The few statements that every request sends, at the database driver's own speed.

SQLAlchemy writes their SQL and knows their types; it is only not asked again for each request. Everything that is not
hot (pages, consoles, refusals with their audit) stays on the ordinary sessions of `idp.database`. Why: decision 8.
"""
