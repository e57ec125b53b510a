"""What a server imports: `idp.asgi:make` builds the application from the environment."""

from fastapi import FastAPI

from idp.app import create_app
from idp.logs import configure_logs
from idp.settings import Settings


def make() -> FastAPI:
    """The provider of the settings in the environment."""
    settings = Settings.from_environment()
    configure_logs()
    return create_app(settings)
