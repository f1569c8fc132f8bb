"""Real servers started from what is installed, when no address is configured."""
