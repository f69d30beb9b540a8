"""Reads changed invoices from Xero within its limits and publishes them enriched."""
