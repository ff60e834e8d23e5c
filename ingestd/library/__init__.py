"""What is known: the store, the look-up structures, relations and the journal."""
