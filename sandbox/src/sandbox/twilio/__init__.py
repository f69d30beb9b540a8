"""The double of Twilio's Messages API for WhatsApp senders: sends, list, status callbacks and inbound messages."""
