"""The ways through a playbook: what can follow each step, what nobody can reach, where it goes round or stops.

Pure: it looks at a playbook that was read, and finds faults that single steps do not show.
"""

from __future__ import annotations

from collections.abc import Iterator

from console.guide.schema import Branch, Playbook, Step

END = ""  # the way out: a terminal step is done, or another playbook takes over


def following(playbook: Playbook, step: Step) -> tuple[str, ...]:
    """Ids of the steps that can come next, `END` where the way ends there."""
    if step.terminal:
        return (END,)
    after = _next_in_file(playbook, step)
    if step.type == "decision":
        ways = [_target(option.branch, after) for option in step.options]
        if step.deadline is not None:
            ways.append(_target(step.deadline.then, after))
        return tuple(dict.fromkeys(ways))
    ways = [_target(step.on_success or Branch(), after)]
    if step.on_failure is not None:
        ways.append(_target(step.on_failure, after))
    return tuple(dict.fromkeys(ways))


def branches(playbook: Playbook) -> bool:
    """True when any step leads anywhere but to the next one."""
    return any(
        step.on_success or step.on_failure or any(option.branch != Branch() for option in step.options)
        for step in playbook.steps
    )


def faults(playbook: Playbook) -> Iterator[tuple[Step, str]]:
    """Steps that are never reached, ways that end nowhere, and circles that cannot be left by going on."""
    if not playbook.steps:
        return
    ways = {step.id: following(playbook, step) for step in playbook.steps}
    reached: set[str] = set()
    open_ = [playbook.steps[0].id]
    while open_:
        id = open_.pop()
        if id not in reached and id in ways:
            reached.add(id)
            open_ += ways[id]
    for step in playbook.steps:
        if step.id not in reached:
            yield step, "no way through the playbook leads here"
    last = playbook.steps[-1]
    if branches(playbook) and not last.terminal and END in ways[last.id] and not _hands_over(last):
        yield last, "the way ends here without `terminal: true`"
    circle = _circle(playbook, ways)
    if circle:
        begin = next(step for step in playbook.steps if step.id == circle[0])
        yield begin, f"the steps go round in a circle: {' → '.join(circle)}"


def _next_in_file(playbook: Playbook, step: Step) -> str:
    ids = [other.id for other in playbook.steps]
    place = ids.index(step.id) + 1
    return ids[place] if place < len(ids) else END


def _target(branch: Branch, after: str) -> str:
    return END if branch.playbook else branch.goto or after


def _hands_over(step: Step) -> bool:
    return bool(step.options) and all(option.branch.playbook for option in step.options)


def _circle(playbook: Playbook, ways: dict[str, tuple[str, ...]]) -> list[str]:
    """The first circle there is, as ids from a step back to itself; empty when there is none."""
    done: set[str] = set()
    for start in (step.id for step in playbook.steps):
        trail: list[str] = []
        stack: list[tuple[str, Iterator[str]]] = []
        if start not in done:
            trail.append(start)
            stack.append((start, iter(ways[start])))
        while stack:
            _, rest = stack[-1]
            following_ = next((id for id in rest if id in ways), None)
            if following_ is None:
                done.add(trail.pop())
                stack.pop()
            elif following_ in trail:
                return [*trail[trail.index(following_) :], following_]
            elif following_ not in done:
                trail.append(following_)
                stack.append((following_, iter(ways[following_])))
    return []
