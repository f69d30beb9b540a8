"""Runs Duebell: servers, processes and operator commands."""
