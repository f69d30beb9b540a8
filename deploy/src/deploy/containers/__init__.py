"""What runs once beside the containers of the servers and services, and the sandbox in a container."""
