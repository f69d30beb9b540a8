"""What a stolen service could try at the token-broker's queues, keys and tables."""

from collections.abc import Awaitable, Callable

import aiormq

from shared.contracts import ConnectionEstablishedV1, ConnectionLostV1
from shared.contracts.tokens import ConnectionsListRequest, TokenAccessRequest
from shared.topology import exchanges, queues
from shared.topology.delays import LADDER

OWNER = "token-broker"
ASKING = (exchanges.RPC, TokenAccessRequest.key)
ASK, LIST = f"publish {exchanges.RPC} {TokenAccessRequest.key}", f"publish {exchanges.RPC} {ConnectionsListRequest.key}"
ITS_QUEUES = (queues.TOKEN_BROKER_TOKEN_ACCESS.name, queues.TOKEN_BROKER_CONNECTIONS_LIST.name, f"{OWNER}.dead")

Attempt = Callable[[aiormq.abc.AbstractChannel], Awaitable[object]]


def at_the_broker(service: str) -> dict[str, Attempt]:
    """What ``service`` could try, each on a channel of its own."""
    addresses = [
        *((exchanges.RPC, key) for key in (TokenAccessRequest.key, ConnectionsListRequest.key)),
        *((exchanges.EVENTS, key) for key in (ConnectionEstablishedV1.key, ConnectionLostV1.key)),
        *((name, queue) for name in ("", *(rung.name for rung in LADDER)) for queue in ITS_QUEUES),
        *((f"amq.{kind}", TokenAccessRequest.key) for kind in ("direct", "fanout", "headers", "topic")),
        (exchanges.DEAD, OWNER),
    ]
    tried: dict[str, Attempt] = {
        "declare a queue": lambda channel: channel.queue_declare(f"{service}.copy"),
        "declare a queue of the token-broker": lambda channel: channel.queue_declare(f"{OWNER}.copy"),
        "declare an exchange": lambda channel: channel.exchange_declare("duebell.copy"),
        "delete an exchange": lambda channel: channel.exchange_delete(exchanges.RPC),
        "bind an exchange": lambda channel: channel.exchange_bind(exchanges.EVENTS, exchanges.RPC, routing_key="#"),
        "overhear questions": lambda channel: channel.queue_bind(f"{service}.dead", *ASKING),
    }
    for exchange, key in addresses:
        tried[f"publish {exchange} {key}"] = publishing(exchange, key)
    for queue in ITS_QUEUES:
        tried |= {f"{what} {queue}": attempt for what, attempt in _handling(queue).items()}
    return tried


def publishing(exchange: str, key: str) -> Attempt:
    return lambda channel: channel.basic_publish(b"{}", exchange=exchange, routing_key=key, timeout=10)


def _handling(queue: str) -> dict[str, Attempt]:
    async def hear(_: object) -> None:
        raise AssertionError("a message of the token-broker was delivered")

    return {
        "get": lambda channel: channel.basic_get(queue),
        "consume": lambda channel: channel.basic_consume(queue, hear),
        "purge": lambda channel: channel.queue_purge(queue),
        "delete": lambda channel: channel.queue_delete(queue),
        "bind": lambda channel: channel.queue_bind(queue, *ASKING),
        "unbind": lambda channel: channel.queue_unbind(queue, *ASKING),
    }


KEY, VALUE = "duebell:token-broker:refresh:grant-1", "the owner"
AT_A_KEY = """
get KEY|getex KEY|getdel KEY|getset KEY 1|set KEY 1|set KEY 1 XX|set KEY 1 NX PX 9|setex KEY 9 1|append KEY 1|strlen KEY
getrange KEY 0 9|setrange KEY 0 1|del KEY|unlink KEY|exists KEY|type KEY|touch KEY|ttl KEY|pttl KEY|expire KEY 1
pexpire KEY 1|persist KEY|rename KEY OWN|renamenx OWN KEY|copy KEY OWN|copy OWN KEY REPLACE|dump KEY|move KEY 1
restore KEY 0 x|object encoding KEY|object idletime KEY|memory usage KEY|mget OWN KEY|mset OWN 1 KEY 1|incr KEY
hgetall KEY|hset KEY a 1|zadd KEY 1 a|zrange KEY 0 9|lpush KEY 1|sadd KEY 1|bitop not OWN KEY|sort OWN STORE KEY
watch KEY|pfcount KEY|xadd KEY * a 1|lcs OWN KEY|evalsha LOCK 1 KEY|evalsha SNEAK 0 KEY|evalsha SNEAK 1 OWN KEY
eval SCRIPT 1 KEY|get duebell:token-broker:|get duebell:TOKEN-BROKER:a|get token-broker|get *|get duebell:*
""".replace("\n", "|").strip("|")
AT_THE_SERVER = """
keys *|scan 0|scan 0 MATCH duebell:token-broker:*|randomkey|dbsize|select 1|swapdb 0 1|flushdb|flushall|info|role
monitor|config get *|config set requirepass x|config rewrite|config resetstat|acl list|acl setuser SELF allkeys
acl whoami|acl save|acl getuser token-broker|client list|client kill TYPE normal|client pause 1|client no-evict on
client tracking on BCAST
debug object KEY|debug sleep 0|shutdown nosave|save|bgsave|bgrewriteaof|replicaof no one|psync ? -1|failover|lastsave
latency latest|slowlog get|module list|module load x|script flush|script kill|script debug yes|function flush
function list|function dump|pubsub channels|subscribe a|psubscribe *|publish a b|memory stats|memory purge|wait 0 1
migrate 127.0.0.1 1 KEY 0 9|command count|multi|object help|eval SCRIPT 0
""".replace("\n", "|").strip("|")
READ = "return redis.call('GET', KEYS[1])"
SNEAK = "return redis.call('GET', ARGV[1])"


def at_redis(service: str, shas: dict[str, str]) -> list[list[str]]:
    """Commands, word by word, as ``service`` could say them."""
    words = {"KEY": KEY, "OWN": f"duebell:{service}:a", "SELF": service, "SCRIPT": READ, **shas}
    lines = f"{AT_A_KEY}|{AT_THE_SERVER}".split("|")
    return [[words.get(word, word) for word in line.split(" ")] for line in lines]


IN_POSTGRESQL = (
    *("GRANT CONNECT ON DATABASE {foreign} TO {own}", "ALTER DATABASE {foreign} OWNER TO {own}", "SET ROLE {foreign}"),
    *("DROP DATABASE {foreign}", "CREATE DATABASE more TEMPLATE {foreign}", "ALTER ROLE {foreign} PASSWORD 'x'"),
    *(
        "GRANT {foreign} TO {own}",
        "ALTER ROLE {own} SUPERUSER",
        "CREATE ROLE more",
        "SET SESSION AUTHORIZATION {foreign}",
    ),
    *("SELECT rolpassword FROM pg_authid", "SELECT pg_read_file('PG_VERSION')", "COPY (SELECT 1) TO PROGRAM 'true'"),
    *("COPY (SELECT 1) TO '/tmp/x'", "SELECT pg_ls_dir('.')", "ALTER SYSTEM SET log_statement = 'all'"),
)
"""Statements that role ``{own}`` could try."""
