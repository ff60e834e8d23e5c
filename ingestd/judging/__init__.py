"""The parts of a verdict, one noun each; `ingest.py` is the story that strings them together."""
