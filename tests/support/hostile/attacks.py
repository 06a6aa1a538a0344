"""All of them by name: how many of each, and what each is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tests.support.hostile import bodies, connections, http2
from tests.support.hostile.forms import FORMS
from tests.support.hostile.raw import CLOSED, Address, ask

CALM = "goaway 11"
"""Why a connection over HTTP/2 is closed (ENHANCE_YOUR_CALM), where the client reads that."""


class Attack(NamedTuple):
    """`run` is given where the gateway listens and how often; `few` is for tests, `many` for the table.

    `told` is all that it may be told; empty where that is nothing or does not matter.
    """

    run: Callable[[Address, int], Counter[str]]
    few: int
    many: int
    told: frozenset[str] = frozenset()


def odd_forms(address: Address, count: int) -> Counter[str]:
    """Every form of HTTP/1 that two servers might read differently; what is answered otherwise than it should."""

    def one(name: str) -> str:
        expected = [*filter(None, [FORMS[name].status]), CLOSED]
        answers = ask(address, FORMS[name].request)
        return "as expected" if answers == expected else f"{name}: {answers}"

    with ThreadPoolExecutor(len(FORMS)) as threads:
        return Counter(threads.map(one, list(FORMS) * count))


ATTACKS = {
    "slow bodies, a byte a second": Attack(connections.trickle_bodies, 20, 500, frozenset({f"408 {CLOSED}"})),
    "slow headers, a byte a second": Attack(connections.trickle_headers, 20, 500, frozenset({f"408 {CLOSED}"})),
    "answers that nobody reads": Attack(connections.never_read, 3, 100, frozenset({"not read"})),
    "aborted uploads": Attack(connections.abort_uploads, 50, 2_000),
    "uploads of large JSON, and gone": Attack(connections.upload_and_leave, 20, 500),
    "connections opened and dropped": Attack(connections.open_and_drop, 300, 10_000),
    "odd forms of HTTP/1.1": Attack(odd_forms, 1, 20, frozenset({"as expected"})),
    "HTTP/2: rapid reset": Attack(http2.reset_rapidly, 5_000, 100_000, frozenset({CLOSED})),
    "HTTP/2: calls without a message": Attack(http2.open_streams, 2_000, 100_000, frozenset({"reset", CLOSED})),
    "HTTP/2: headers that never end": Attack(http2.continue_forever, 5_000, 200_000, frozenset({"reset", CLOSED})),
    "HTTP/2: empty continuations": Attack(http2.continue_with_nothing, 50_000, 1_000_000, frozenset({CLOSED})),
    "HTTP/2: settings": Attack(http2.flood(http2.SETTINGS), 50_000, 1_000_000, frozenset({CLOSED})),
    "HTTP/2: pings": Attack(http2.flood(http2.PING, bytes(8)), 50_000, 1_000_000, frozenset({CLOSED})),
    "HTTP/2: priorities": Attack(http2.flood(http2.PRIORITY, bytes(5), 1), 50_000, 1_000_000, frozenset({CLOSED})),
    "HTTP/2: window updates": Attack(
        http2.flood(http2.WINDOW_UPDATE, b"\0\0\0\1", 1), 50_000, 1_000_000, frozenset({CLOSED})
    ),
    "HTTP/2: empty data": Attack(http2.flood(http2.DATA, b"", 1), 50_000, 1_000_000, frozenset({CLOSED})),
    "gRPC: 100,000 entries of metadata": Attack(http2.metadata_of(100_000), 1, 20, frozenset({"reset", CLOSED})),
    "gRPC: one value for 120 million": Attack(bodies.one_value_for_all, 2, 50, frozenset({"answered"})),
    "gRPC: two values for 120 million": Attack(bodies.two_values_for_all, 2, 50, frozenset({"answered"})),
    **{f"gRPC: {name}": Attack(bodies.send_message(name), 1, 20, frozenset({"answered"})) for name in bodies.MESSAGES},
    "gRPC: a tensor of 10,000 sizes": Attack(bodies.many_sizes, 2, 50, frozenset({"answered"})),
    "gRPC: 400,000 inputs": Attack(bodies.many_inputs, 1, 20, frozenset({"answered"})),
    "gRPC: gzip bombs": Attack(bodies.gzip_bombs, 1, 20, frozenset({"answered"})),
    "gRPC: gzip bombs on a stream": Attack(bodies.gzip_bombs_on_a_stream, 1, 20, frozenset({"answered", "reset"})),
    **{
        f"REST: {name}": Attack(bodies.send_body(name), 1, 10, frozenset({f"{status} {CLOSED}"}))
        for name, (_, status) in bodies.REQUESTS.items()
    },
}
