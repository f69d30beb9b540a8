"""Typed clients of a service's own interface."""
