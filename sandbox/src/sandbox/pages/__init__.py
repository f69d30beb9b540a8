"""The sandbox's few HTML pages."""
