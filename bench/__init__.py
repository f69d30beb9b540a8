"""Measurements, always as ratios within one run: the machine's own speed drops out."""
