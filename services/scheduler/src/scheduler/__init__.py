"""Says when a tenant's receivables are scanned."""
