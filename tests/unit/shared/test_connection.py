"""How RabbitMQ is connected to."""

from shared.runtime.connection import with_heartbeat


def test_the_address_stays_as_it_is_but_for_the_heartbeat() -> None:
    url = with_heartbeat("amqps://fetcher:p%40ss%2Fword@rabbit.example:5671/%2Fduebell?heartbeat=600&cafile=/ca.pem")
    assert (url.user, url.password, url.host, url.port) == ("fetcher", "p@ss/word", "rabbit.example", 5671)
    assert url.raw_path == "/%2Fduebell"
    assert dict(url.query) == {"heartbeat": "10", "cafile": "/ca.pem"}
