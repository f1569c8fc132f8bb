"""The Collect store and change capture: everything that speaks to MongoDB."""
