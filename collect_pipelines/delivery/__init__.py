"""Getting responses of a table to a destination: planning is pure, sending is thin."""
