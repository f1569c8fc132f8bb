"""The web pages people use: forms, responses, downloads, health."""
