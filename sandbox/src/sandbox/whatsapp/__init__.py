"""The double of WhatsApp's Cloud API: messages, media, templates and webhook sender."""
