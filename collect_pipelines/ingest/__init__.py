"""Getting data into the Collect store: import and generate."""
