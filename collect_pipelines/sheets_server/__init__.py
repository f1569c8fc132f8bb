"""A local server that speaks Google Sheets v4 and the bit of Drive v3 we use."""
