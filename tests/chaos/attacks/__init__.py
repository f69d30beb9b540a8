"""What a hostile client does to the door; played in a process of its own, so that it costs others only the door."""
