"""Holds the Xero grants and hands out access tokens."""
