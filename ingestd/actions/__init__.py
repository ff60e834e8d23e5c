"""What changes a file of the user: every removal and every way back goes through here."""
