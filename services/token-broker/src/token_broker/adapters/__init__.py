"""What reaches outside: Xero, the database and Redis."""
