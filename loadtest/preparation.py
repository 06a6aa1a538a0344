"""What is needed before the first request: the model, the images, and the requests made of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from loadtest.apis import APIS, Request, make_requests
from loadtest.images import find_images
from loadtest.plan import LoadPlan
from loadtest.target import Target, find_target

_MIX = 1024
_MAX_REQUESTS = 128
_MAX_BYTES = 64 * 1024 * 1024
"""Of all prepared requests; large ones are fewer."""


@dataclass(frozen=True)
class Prepared:
    """A model and the requests to it, in the order in which they are sent, over and over.

    `source` says where the images are from, `labelled` whether their classes are known.
    """

    target: Target
    requests: Sequence[Request]
    source: str
    labelled: bool

    def cycle(self, begin: int = 0) -> Iterator[Request]:
        """The requests without end, from one of them on."""
        begin %= len(self.requests)
        return itertools.cycle([*self.requests[begin:], *self.requests[:begin]])

    def one_of_each_api(self) -> list[Request]:
        """For a look whether they are answered."""
        return list({request.api.name: request for request in self.requests}.values())


def prepare(plan: LoadPlan) -> Prepared:
    """Asks the server for its model, and makes requests for it.

    Raises:
        TargetError: no server, no such model, or one that these requests do not fit.
        UsageError: no such images, or a broken file.
    """
    target = find_target(plan.url, plan.model, plan.ca_file)
    images = find_images(target.input, data=plan.data, model=plan.model, seed=plan.seed)
    shares = plan.mix
    generator = np.random.default_rng(plan.seed)
    pools = {}
    for name in shares:
        (first,) = make_requests(APIS[name], target, images, plan.rows, 1)
        count = max(1, min(_MAX_REQUESTS, _MAX_BYTES // len(first.body)))
        pools[name] = itertools.cycle(make_requests(APIS[name], target, images, plan.rows, count))
    names = generator.choice(list(shares), _MIX, p=list(shares.values()))
    requests = [next(pools[str(name)]) for name in names]
    return Prepared(target, requests, images.source, images.labels is not None)
