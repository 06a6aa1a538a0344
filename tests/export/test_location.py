"""Addresses of stores, and what is said about those that cannot be used."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from export.errors import ExportError, WrongUseError
from export.location import is_remote, parse_location, store_sentences


@pytest.mark.parametrize("address", ["models", "/srv/models", "file:///srv/models"])
def test_a_path_and_a_file_address_are_folders_of_this_machine(address: str) -> None:
    location = parse_location(address)

    assert not is_remote(location)
    assert location == Path(address.removeprefix("file://"))


def test_an_address_of_a_store_answers_like_a_path() -> None:
    location = parse_location("memory://location-test/models")
    (location / "clothes" / "3" / "file").write_bytes(b"12")

    assert is_remote(location)
    assert [entry.name for entry in (location / "clothes").iterdir()] == ["3"]
    assert (location / "clothes" / "3" / "file").stat().st_size == 2
    assert str(location / "clothes") == "memory://location-test/models/clothes"


@pytest.mark.parametrize(("scheme", "extra"), [("s3", "s3"), ("gs", "gs"), ("gcs", "gs")])
def test_what_to_install_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch, scheme: str, extra: str) -> None:
    monkeypatch.setitem(sys.modules, "upath", None)

    with pytest.raises(WrongUseError) as refused:
        parse_location(f"{scheme}://bucket/models")

    assert str(refused.value) == (
        f'{scheme}:// addresses cannot be used yet: pip install ".[{extra}]" in a checkout of Atelier'
    )


def test_for_other_stores_fsspec_names_the_package() -> None:
    with pytest.raises(WrongUseError, match=r"az:// addresses cannot be used yet: Install adlfs"):
        parse_location("az://container/models")


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(WrongUseError, match="no store is known for nowhere://"):
        parse_location("nowhere://bucket/models")


def test_an_address_without_a_bucket_is_refused() -> None:
    with pytest.raises(WrongUseError, match="s3:///models names no bucket: expected an address such as s3://bucket"):
        parse_location("s3:///models")


def test_what_a_store_raises_becomes_a_sentence_and_a_mistake_of_ours_does_not() -> None:
    remote = parse_location("memory://location-test/models")

    with pytest.raises(ExportError, match=r"location-test/models cannot be used: Denied"), store_sentences(remote):
        raise PermissionError("Denied")
    with pytest.raises(KeyError), store_sentences(remote):
        raise KeyError("ours")
    with pytest.raises(FileNotFoundError), store_sentences(Path("here")):
        raise FileNotFoundError("local")
