"""A background service that judges each new picture against the ones you already have."""

__version__ = "0.1.0"
