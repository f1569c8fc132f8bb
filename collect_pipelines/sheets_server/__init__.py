"""A Google Sheets server of our own: Sheets v4 and the bit of Drive v3 that people use, on this machine, over HTTP.

The embedded default where no Google account is configured, and the real server of the tests.
`python -m collect_pipelines.sheets_server --folder F --port P` starts it; `in_thread.running_server` does so in a test.
"""
