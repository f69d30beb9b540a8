"""The closed list of variables, so that a misspelt one is noticed by whichever service sees it first.

A test holds it to what the services' settings classes declare.
"""

KNOWN_VARIABLES: frozenset[str] = frozenset(
    {
        "DUEBELL_ADMIN_SECRET",
        "DUEBELL_AMQP_URL",
        "DUEBELL_FETCHER_PORT",
        "DUEBELL_HOST",
        "DUEBELL_INGRESS_PORT",
        "DUEBELL_LOG_LEVEL",
        "DUEBELL_NOTIFIER_DATABASE_URL",
        "DUEBELL_NOTIFIER_PORT",
        "DUEBELL_POLICY_FILE",
        "DUEBELL_REDIS_URL",
        "DUEBELL_SCHEDULER_PORT",
        "DUEBELL_TOKEN_BROKER_DATABASE_URL",
        "DUEBELL_TOKEN_BROKER_PORT",
        "DUEBELL_TOKEN_KEYS",
        "DUEBELL_WHATSAPP_ACCESS_TOKEN",
        "DUEBELL_WHATSAPP_API_URL",
        "DUEBELL_WHATSAPP_API_VERSION",
        "DUEBELL_WHATSAPP_APP_SECRET",
        "DUEBELL_WHATSAPP_PHONE_NUMBER_ID",
        "DUEBELL_WHATSAPP_VERIFY_TOKEN",
        "DUEBELL_XERO_API_URL",
        "DUEBELL_XERO_CALLS_PER_DAY",
        "DUEBELL_XERO_CALLS_PER_MINUTE",
        "DUEBELL_XERO_CLIENT_ID",
        "DUEBELL_XERO_CLIENT_SECRET",
        "DUEBELL_XERO_CONCURRENT_CALLS",
        "DUEBELL_XERO_IDENTITY_URL",
        "DUEBELL_XERO_LOGIN_URL",
        "DUEBELL_XERO_REDIRECT_URI",
        "DUEBELL_XERO_REFRESH_GRACE_SECONDS",
        "DUEBELL_XERO_SCOPES",
        "DUEBELL_XERO_WEBHOOK_KEYS",
    }
)
