"""The operator's side: what may be ordered of the token-broker, the signed calls that carry it, and the command."""
