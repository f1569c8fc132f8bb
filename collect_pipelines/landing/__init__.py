"""From the store into response tables: what is marked in the journal, and whole forms when asked for."""
