"""Images by the names that Compose files give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def image_ids(images: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Every name of every image of GET /images/json -> its id."""
    found: dict[str, str] = {}
    for image in images:
        ident = str(image.get("Id", ""))
        for name in (*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ()), ident):
            found[str(name)] = ident
    return found


def image_id(known: Mapping[str, str], image: str) -> str:
    """The id of an image by the name a Compose file gives it: without a tag it means `latest`.

    >>> image_id({"shop/app:latest": "sha256:1"}, "shop/app"), image_id({}, "shop/app:2")
    ('sha256:1', '')
    """
    plain = image.removeprefix("docker.io/library/").removeprefix("docker.io/")
    tagged = plain if ":" in plain.rpartition("/")[2] or "@" in plain else f"{plain}:latest"
    name, at, digest = tagged.partition("@")
    by_digest = f"{name.rpartition(':')[0] or name}@{digest}" if at and ":" in name.rpartition("/")[2] else tagged
    return known.get(image) or known.get(tagged) or known.get(by_digest) or ""
