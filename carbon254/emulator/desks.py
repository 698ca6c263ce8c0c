"""Which module answers for which provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from .world import Answer, Ask, World

PROVIDERS = ("caiso", "miso", "spp", "nyiso", "pjm", "ercot", "isone", "eia", "nws")

Desk = Callable[[Ask, World], Answer]


def desk(provider: str) -> Desk:
    """The function that answers for a provider. Raises KeyError naming those there are."""
    if provider not in PROVIDERS:
        raise KeyError(f"the emulator has no {provider!r}; it has {', '.join(PROVIDERS)}")
    return import_module(f"{__package__}.{provider}").answer


def all_desks() -> Mapping[str, Desk]:
    return {provider: desk(provider) for provider in PROVIDERS}
