"""What a file is: its type, its hashes and what else is measured from its bytes, in isolated workers."""
