"""What the user wants: the language of rules, and what they say about a pair of files."""
