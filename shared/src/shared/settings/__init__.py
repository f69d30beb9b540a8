"""How a service is configured: building blocks, never a service's own settings and never an instance."""
