"""Outside services: Google Sheets and Drive, and the quota they grant."""
