"""What stands in RabbitMQ: exchanges, queues, the delay ladder, and who may do what."""
