"""Private RabbitMQ, Redis and PostgreSQL servers: own ports on the loopback address, own folders, own users."""
