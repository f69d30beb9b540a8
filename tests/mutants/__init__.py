"""Known mistakes, each a patch, and what must notice it."""
