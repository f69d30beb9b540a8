"""Working doubles of Xero and of WhatsApp's Cloud API."""
