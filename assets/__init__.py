"""What gets materialised: the response tables and one file per integration. Adding a file here registers it."""
