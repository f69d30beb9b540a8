"""`make chaos`: the whole installation under load while faults are injected, judged by what the sandbox saw."""
