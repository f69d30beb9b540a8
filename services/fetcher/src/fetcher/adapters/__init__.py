"""The fetcher's effects: Xero's API, the call limiter, tokens, and what it keeps in Redis."""
