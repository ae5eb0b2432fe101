"""Durable jobs on Dramatiq: the database row is the job, a RabbitMQ message is a hint. See README.md in this folder."""
