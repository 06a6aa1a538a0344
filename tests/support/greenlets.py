"""A process like Locust's: greenlets that send at the same time.

    python greenlets.py URL GRPC_ADDRESS API COUNT TIMEOUT_S

Prints one line for each request, an answer's length or what went wrong. Everything is one process with one thread, so
that a call that blocked would stop the others. It is a process of its own because gRPC cannot be told to forget gevent.
"""

from __future__ import annotations

import sys

import gevent
import gevent.monkey

gevent.monkey.patch_all()

from loadtest.apis import APIS, make_requests  # noqa: E402 -- after gevent's patch
from loadtest.images import random_images  # noqa: E402 -- after gevent's patch
from loadtest.plan import plan_of  # noqa: E402 -- after gevent's patch
from loadtest.sending import SendError, open_senders  # noqa: E402 -- after gevent's patch
from loadtest.target import Target  # noqa: E402 -- after gevent's patch
from serving.signatures import TensorSpec  # noqa: E402 -- after gevent's patch


def main(url: str, grpc_address: str, api: str, count: int, timeout_s: float) -> None:
    target = Target("m", TensorSpec("x", "uint8", (None, 2, 2)), TensorSpec("y", "float32", (None, 1)))
    plan = plan_of({"url": url, "grpc_address": grpc_address, "api": api, "connections": count})
    (request,) = make_requests(APIS[api], target, random_images(target.input, 0), 1, 1)
    (sender,) = open_senders(plan, target).values()

    def send() -> str:
        try:
            return str(len(sender.send(request, timeout_s)))
        except SendError as error:
            return f"{error.kind}: {error}"

    for greenlet in gevent.joinall([gevent.spawn(send) for _ in range(count)]):
        print(greenlet.value)
    sender.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
