"""What every service runs on: broker connections, consumers, HTTP, database, Redis, start and stop."""
