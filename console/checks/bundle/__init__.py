"""The evidence bundle: what this host looks like now, collected at once, masked, and kept as plain files.

It changes nothing. `collect` asks everything, each part under a deadline of its own, and gives a `Bundle`, also when
most of it failed; `preview` counts what is in it before it is shared; `write` and `packed` make files of it.
"""

from __future__ import annotations

from console.checks.bundle.collect import collect
from console.checks.bundle.files import Written, name_of, packed, packed_within, write
from console.checks.bundle.items import Bundle, Item
from console.checks.bundle.preview import preview

__all__ = ["Bundle", "Item", "Written", "collect", "name_of", "packed", "packed_within", "preview", "write"]
