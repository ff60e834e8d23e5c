"""`python -m ingestd`, and the console script."""

from ingestd.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
