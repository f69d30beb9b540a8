"""What Duebell's services agree on, and the plumbing under them."""
