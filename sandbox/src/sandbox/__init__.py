"""Working doubles of Xero and of WhatsApp's Cloud API, for trying, testing and judging."""
