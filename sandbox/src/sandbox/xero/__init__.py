"""The double of Xero: login page, identity, accounting API and webhook sender."""
