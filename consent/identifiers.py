"""How ids are written."""

from uuid import UUID


def is_id(text: str) -> bool:
    """Whether it is written as ids are. PostgreSQL answers anything else with an error instead of with no row."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
