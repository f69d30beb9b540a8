"""The exchanges, all durable topic exchanges, so that permissions can name the routing keys."""

EVENTS = "duebell.events"
RPC = "duebell.rpc"
DEAD = "duebell.dead"
"""Routing key: the service whose dead letter it is."""
