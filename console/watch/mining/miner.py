"""Groups messages into patterns while they stream by.

A signature that is known costs one look-up. Only for a new one the miner asks, for every constant word, how many
other words were seen in that place: where there are enough, the place is a variable and the patterns become one.
It is never a variable across a level, or where the words decide about good and bad. A merged pattern keeps the
number and the id of the oldest. Everything is bounded: what does not fit any more goes to patterns of fewer words.

For one thread.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from console.redact import redact
from console.watch.mining.masks import LIMIT, WILD, normal, signature
from console.watch.mining.places import (
    DECISIVE,
    ENOUGH,
    ENOUGH_WITH_VALUES,
    Signature,
    blanked,
    covers,
    enough_words,
    free_places,
    may_vary,
)

Form = tuple[Signature, bool]  # and whether it covers other words, too
Room = tuple[str, str | None]  # source and level: patterns of two rooms are never one

ENOUGH_TWINS = 7  # others that differ in the same two places
CROWD = 48  # patterns that begin alike before they are looked at together, and again at each doubling
CROWD_ENOUGH = 16  # of those, how many must agree in all other words
MOST_SIGNATURES = 5000
MOST_SLOTS = 8000
MOST_KNOWN = 5000
MOST_WORDS = 8000
_SPARE = 500  # signatures of common words that are taken when all is full
_MOST_TRIED = 200
_MOST_TWINS = 64
COMMON = 3  # signatures that a word must be in to be kept once all is full


@dataclass(slots=True)
class Template:
    """One pattern of the miner. `number` lasts while the miner does; `id` is the same in every process."""

    number: int
    id: str
    room: Room
    signature: Signature
    signatures: set[Signature] = field(default_factory=set)  # that lead here


@dataclass(slots=True)
class _Slot:
    """A place in otherwise equal signatures. `words` leads from each word seen there to its pattern."""

    enough: int
    words: dict[str, int]
    values: bool  # a masked value was seen there


class Miner:
    """`add` gives a pattern's number for a message; `on_merge(kept, gone)` is told of patterns that became one."""

    def __init__(self, on_merge: Callable[[int, int], None] | None = None) -> None:
        self.templates: dict[int, Template] = {}
        self._on_merge = on_merge
        self._next = 0
        self._into: dict[int, int] = {}
        self._known: dict[Room, dict[str, int]] = {}
        self._known_size = 0
        self._ids: dict[tuple[Room, Signature], int] = {}
        self._slots: dict[int, _Slot] = {}
        self._crowds: dict[tuple[Room, int, str], dict[Signature, int]] = {}
        self._merged: dict[tuple[Room, int], list[Signature]] = {}
        self._words: dict[str, int] = {}

    def add(self, message: str, level: str | None = None, source: str = "") -> int:
        """The number of the message's pattern; `final` tells what became of it later."""
        room = (source, level)
        form = normal(message)
        known = self._known.get(room)
        if known is None:
            known = self._known[room] = {}
        number = known.get(form)
        if number is not None:
            return number
        safe = redact(message[:LIMIT])
        if safe != message[:LIMIT]:  # what holds a secret is not remembered as it stands
            return self.final(self._find(room, signature(normal(safe))))
        number = self.final(self._find(room, signature(form)))
        if self._known_size >= MOST_KNOWN:
            self._forget_known()
            known = self._known.setdefault(room, {})
        known[form] = number
        self._known_size += 1
        return number

    def find(self, message: str, level: str | None = None, source: str = "") -> int | None:
        """The number of the pattern that a message is of; None where it would begin one. Nothing is learnt."""
        room, form = (source, level), normal(message)
        number = self._known.get(room, {}).get(form)
        if number is None:
            safe = redact(message[:LIMIT])
            words = signature(form if safe == message[:LIMIT] else normal(safe))
            number = self._ids.get((room, words))
            if number is None:
                number = self._covered(room, words)
        return None if number is None else self.final(number)

    def final(self, number: int) -> int:
        """The number of the pattern that this one became part of; itself when it was never merged."""
        into = self._into
        while number in into:
            following = into[number]
            if following in into:
                into[number] = into[following]
            number = following
        return number

    def forms(self, number: int) -> list[Form]:
        """A pattern's signatures, the one it is shown by first."""
        template = self.templates[number]
        own = [template.signature, *sorted(template.signatures - {template.signature})]
        return [(words, words in self._merged.get((template.room, len(words)), ())) for words in own]

    def restore(self, room: Room, id_: str, forms: Sequence[Form]) -> int:
        """Bring back a pattern of an earlier process under the id it had. Raises ValueError without a form."""
        if not forms:
            raise ValueError("a pattern has no words")
        known = self._ids.get((room, forms[0][0]))
        template = self.templates[known] if known is not None else self._create(room, forms[0][0], id_)
        for words, merged in forms:
            if self._ids.setdefault((room, words), template.number) == template.number:
                template.signatures.add(words)
                listed = self._merged.setdefault((room, len(words)), [])
                if merged and words not in listed:
                    listed.append(words)
        return template.number

    def drop(self, numbers: Iterable[int]) -> None:
        """Forget patterns, and all numbers that are not final. Messages like theirs begin new patterns, which have the
        same ids unless they had been merged."""
        for number in list(numbers):
            template = self.templates.pop(number)
            for words in template.signatures:
                self._unlist(template.room, words)
        rooms = ((room, self._kept(known)) for room, known in self._known.items())
        self._known = {room: known for room, known in rooms if known}
        self._known_size = sum(map(len, self._known.values()))
        for key, slot in list(self._slots.items()):
            slot.words = self._kept(slot.words)
            if not slot.words:
                del self._slots[key]
        self._into.clear()
        self._crowds = {key: crowd for key, crowd in self._crowds.items() if crowd}
        self._merged = {key: listed for key, listed in self._merged.items() if listed}
        self._words = dict(Counter(word for _, words in self._ids for word in set(words)).most_common(MOST_WORDS))

    def _kept(self, numbers: dict[str, int]) -> dict[str, int]:
        """What leads to patterns that are still there, to their final numbers."""
        return {key: final for key, number in numbers.items() if (final := self.final(number)) in self.templates}

    @property
    def full(self) -> bool:
        """Whether new patterns must give up words to fit."""
        return len(self._ids) >= MOST_SIGNATURES

    # -- a signature that is new, or was

    def _find(self, room: Room, words: Signature) -> int:
        number = self._ids.get((room, words))
        if number is not None:
            return number
        number = self._covered(room, words)
        if number is not None:
            return number
        if self.full:
            words = self._fewer(words) if len(self._ids) < MOST_SIGNATURES + _SPARE else (WILD,)
            number = self._ids.get((room, words))
            if number is not None:
                return number
        return self._create(room, words, "").number

    def _covered(self, room: Room, words: Signature) -> int | None:
        """The merged pattern whose variables these words fit."""
        for merged in self._merged.get((room, len(words)), ())[-_MOST_TRIED:]:
            if covers(merged, words):
                return self._ids[(room, merged)]
        for place in free_places(words):
            blank = blanked(words, place)
            if blank in self._merged.get((room, len(blank)), ()):
                return self._ids[(room, blank)]
        return None

    def _create(self, room: Room, words: Signature, id_: str) -> Template:
        number = self._next
        self._next += 1
        template = Template(number, id_ or _id(room, words), room, words, {words})
        self.templates[number] = template
        self._ids[(room, words)] = number
        for word in set(words):
            if word in self._words or len(self._words) < MOST_WORDS:
                self._words[word] = self._words.get(word, 0) + 1
        self._compare(template)
        self._crowd(template)
        return template

    def _compare(self, template: Template) -> None:
        """Tell the places of this signature that its words were seen there, and merge where that was the last."""
        room, words, number = template.room, template.signature, template.number
        own = self._slots.get(hash((room, words)))
        if own is not None:  # a value stands where others have a word
            own.values = True
            self._settle(room, words, own, number)
        constants = sum(word != WILD for word in words)
        for place in free_places(words):
            blank = blanked(words, place)
            key = hash((room, blank))
            slot = self._slots.get(key)
            if slot is None:
                enough = enough_words(words, place, constants - 1)
                if enough is None:
                    continue
                if len(self._slots) >= MOST_SLOTS:
                    for old in list(islice(self._slots, MOST_SLOTS // 8)):
                        del self._slots[old]
                slot = self._slots[key] = _Slot(enough, {}, (room, blank) in self._ids)
            slot.words.setdefault(words[place], number)
            self._settle(room, blank, slot, number)

    def _settle(self, room: Room, blank: Signature, slot: _Slot, number: int) -> None:
        enough = slot.enough
        if slot.values and enough <= ENOUGH:
            # A word that is more than letters beside values is a value, too.
            enough = ENOUGH_WITH_VALUES if all(map(str.isalpha, slot.words)) else 1
        if len(slot.words) < enough:
            return
        together = {self.final(n) for n in (*slot.words.values(), number)}
        own = self._ids.get((room, blank))
        if own is not None:
            together.add(self.final(own))
        together = {n for n in together if n in self.templates}
        if len(together) > 1 or own is None:
            self._merge(room, blank, together)

    def _merge(self, room: Room, blank: Signature, together: set[int]) -> None:
        """Make one pattern, called after the oldest, of all these and of those that `blank` covers as well."""
        if not together:
            return
        kept = self.templates[min(together)]
        crowds = [self._crowds.get((room, len(blank), blank[0]), {})]
        if blank[0] == WILD:
            crowds = [crowd for (where, size, _), crowd in self._crowds.items() if (where, size) == (room, len(blank))]
        covered = [words for crowd in crowds for words in crowd if covers(blank, words)]
        together |= {n for words in covered if (n := self.final(self._ids[(room, words)])) in self.templates}
        for number in sorted(together - {kept.number}):
            gone = self.templates.pop(number)
            self._into[number] = kept.number
            kept.signatures |= gone.signatures
            if self._on_merge is not None:
                self._on_merge(kept.number, number)
        for words in [words for words in kept.signatures if words != blank and covers(blank, words)]:
            self._unlist(room, words)
            kept.signatures.discard(words)
        for words in kept.signatures:
            self._ids[(room, words)] = kept.number
        kept.signatures.add(blank)
        kept.signature = blank
        self._ids[(room, blank)] = kept.number
        listed = self._merged.setdefault((room, len(blank)), [])
        if blank not in listed:
            listed.append(blank)
            self._compare(kept)

    def _unlist(self, room: Room, words: Signature) -> None:
        self._ids.pop((room, words), None)
        if words:
            self._crowds.get((room, len(words), words[0]), {}).pop(words, None)
        listed = self._merged.get((room, len(words)), [])
        if words in listed:
            listed.remove(words)

    # -- many at once

    def _crowd(self, template: Template) -> None:
        """Where very many signatures begin alike and two places vary at once, no single place can tell: look at all."""
        words = template.signature
        if not words:
            return
        crowd = self._crowds.setdefault((template.room, len(words), words[0]), {})
        self._twins(template, list(islice(reversed(crowd), _MOST_TWINS)))
        if self.final(template.number) != template.number or words not in template.signatures:
            return
        crowd[words] = template.number
        size = len(crowd)
        if size < CROWD or (size & (size - 1) and size != CROWD):
            return
        seen: list[dict[str, int]] = [{} for _ in words]
        for other in crowd:
            for place, word in enumerate(other):
                seen[place][word] = seen[place].get(word, 0) + 1
        varied = [place for place in range(1, len(words)) if len(seen[place]) > size // 3]
        groups: dict[Signature, list[int]] = {}
        for other, number in list(crowd.items()):
            blank = other
            for place in reversed(varied):
                if may_vary(other, place):
                    blank = blanked(blank, place)
            if sum(word != WILD for word in blank) >= 2 and blank != other:
                groups.setdefault(blank, []).append(number)
        for blank, numbers in groups.items():
            together = {n for n in map(self.final, numbers) if n in self.templates}
            if len(numbers) >= CROWD_ENOUGH and together:
                self._merge(template.room, blank, together)

    def _twins(self, template: Template, others: Sequence[Signature]) -> None:
        """Merge where many signatures differ from this one in the same two places, and both held many words."""
        words = template.signature
        if sum(word != WILD for word in words) < 5:
            return
        alike: dict[tuple[int, ...], list[Signature]] = {}
        for other in others:
            places = tuple(place for place, word in enumerate(words) if word != other[place])
            if len(places) == 2 and all(may_vary(words, at) and may_vary(other, at) for at in places):
                alike.setdefault(places, []).append(other)
        for places, found in alike.items():
            if len(found) >= ENOUGH_TWINS and all(
                len({other[at] for other in found} | {words[at]}) >= ENOUGH for at in places
            ):
                blank = blanked(blanked(words, places[1]), places[0])
                numbers = {self.final(self._ids[(template.room, other)]) for other in found}
                self._merge(template.room, blank, {template.number, *numbers} & self.templates.keys())
                return

    def _fewer(self, words: Signature) -> Signature:
        """All is full: only words that are common stay."""
        kept: list[str] = []
        for word in words:
            common = self._words.get(word, 0) >= COMMON or word.lower() in DECISIVE
            kept.append(word if common else WILD)
        return tuple(word for place, word in enumerate(kept) if word != WILD or place == 0 or kept[place - 1] != WILD)

    def _forget_known(self) -> None:
        """Drop the older half of the remembered forms of each room."""
        for room, known in list(self._known.items()):
            for form in list(islice(known, len(known) // 2 + 1)):
                del known[form]
            if not known:
                del self._known[room]
        self._known_size = sum(map(len, self._known.values()))


def _id(room: Room, words: Signature) -> str:
    text = "\0".join((room[0], room[1] or "", *words))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
