"""Where the notifier meets SQL and WhatsApp."""
