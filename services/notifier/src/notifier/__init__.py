"""Decides, records and sends the WhatsApp messages."""
