"""The public door: verifies webhooks and publishes raw events."""
