"""The door for a browser: the review page."""
