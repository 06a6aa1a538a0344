"""What a request's headers say of its deadline, its priority and its client."""

from __future__ import annotations

import asyncio

import pytest

from serving.batching.terms import Priority, Terms
from serving.errors import InvalidInputError
from serving.frontends.request_terms import TermsReader

SCOPE = {"client": ("10.0.0.7", 40_000)}


def read(headers: dict[bytes, bytes], *, client_header: str = "") -> Terms:
    return TermsReader(client_header).read(SCOPE, headers)


def test_without_any_header_a_client_is_known_by_its_address() -> None:
    assert read({}) == Terms(None, Priority.HIGH, "10.0.0.7")


def test_a_socket_without_addresses_has_one_client() -> None:
    assert TermsReader("").read({"client": None}, {}).client == ""


def test_behind_a_proxy_a_header_tells_clients_apart() -> None:
    headers = {b"x-tenant": b"shop"}
    assert read(headers, client_header="X-Tenant").client == "shop"
    assert read(headers).client == "10.0.0.7"
    assert read({}, client_header="X-Tenant").client == "10.0.0.7"


def test_a_clients_name_takes_a_bounded_memory() -> None:
    assert len(read({b"x-tenant": b"a" * 10_000}, client_header="x-tenant").client) == 256


@pytest.mark.parametrize(
    ("value", "priority"), [(b"low", Priority.LOW), (b"high", Priority.HIGH), (b" Low ", Priority.LOW)]
)
def test_a_client_asks_for_its_priority(value: bytes, priority: Priority) -> None:
    assert read({b"x-atelier-priority": value}).priority is priority


def test_a_priority_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInputError) as caught:
        read({b"x-atelier-priority": b"urgent"})
    assert str(caught.value) == "x-atelier-priority: expected high or low, received 'urgent'"


async def test_grpcs_timeout_is_the_deadline() -> None:
    now = asyncio.get_running_loop().time()
    deadline = read({b"grpc-timeout": b"5S"}).deadline
    assert deadline is not None
    assert now + 5 <= deadline <= asyncio.get_running_loop().time() + 5
