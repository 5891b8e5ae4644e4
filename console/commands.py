"""The one table of commands: key bindings, footer, palette, help screen and docs/keys.md are made from it.

It knows nothing of terminals. `where` names the screens a command applies to ("" means all of them).
"""

from __future__ import annotations

from dataclasses import dataclass

from console.errors import Problem

SCREENS = ("dashboard", "diagnosis", "container", "logs", "incident", "recovery", "containment", "help")


@dataclass(frozen=True, slots=True)
class Command:
    """One thing a person can ask for. `key` may list alternatives, comma separated; the first is shown."""

    id: str
    key: str
    label: str  # one or two words for the footer
    help: str  # one sentence
    where: tuple[str, ...] = ()
    footer: int = 0  # place in the footer, 1 first; 0: not there
    shown: str = ""  # how the footer writes the key, when not as itself

    @property
    def display(self) -> str:
        return self.shown or self.key.split(",")[0]


_ANY: tuple[str, ...] = ()
_D = ("dashboard",)
_L = ("logs",)
_I = ("incident",)
_R = ("recovery",)
_C = ("container",)
_H = ("containment",)
_W = ("diagnosis",)

COMMANDS: tuple[Command, ...] = (
    # everywhere
    Command("app.help", "question_mark,f1", "keys", "All keys of this screen and what they do.", _ANY, 98, "?"),
    Command("app.palette", "colon,ctrl+p", "palette", "Find any command by typing its name.", _ANY, 0, ":"),
    Command("app.back", "escape", "back", "Leave this screen or close what is open.", _ANY, 0, "Esc"),
    Command(
        "app.quit",
        "q",
        "quit",
        "Leave sevdeck. What is recorded stays; a running recovery goes on.",
        _ANY,
        99,
    ),
    Command("app.theme", "T", "theme", "Next theme: dark, light, high-contrast, ansi.", _ANY),
    Command(
        "app.dashboard",
        "h",
        "dashboard",
        "The dashboard.",
        ("container", "logs", "incident", "recovery", "containment", "diagnosis"),
    ),
    Command("incident.declare", "D", "declare", "Declare an incident.", _ANY, 6),
    Command("incident.open", "I", "incident", "The incident: checklist and timeline.", _D + _C + _L + _R + _H + _W, 7),
    Command(
        "record.elsewhere",
        "ctrl+w",
        "elsewhere",
        "While the disk is full: record in a spare place from now on.",
        _ANY,
        0,
        "^W",
    ),
    Command("recovery.open", "R", "recover", "What each recovery level would do now.", _D + _C + _L + _I + _H + _W, 5),
    Command("containment.open", "C", "contain", "Temporary measures: what is in force, and how to undo it.", _ANY, 26),
    Command(
        "logs.open",
        "L",
        "logs",
        "Logs, full screen.",
        ("dashboard", "container", "incident", "recovery", "containment", "diagnosis"),
        23,
    ),
    Command(
        "finding.why",
        "i,G",
        "why",
        "Diagnosis: what is wrong and why, what to do, and all checks run anew.",
        _D + _C + _L + _I + _R + _H,
        11,
    ),
    Command("watch.pause", "space", "pause", "Stop refreshing; press again to go on.", _D + _C, 24),
    Command("watch.slower", "minus", "slower", "Refresh less often: 1, 2, 5 seconds.", _D + _C, 0, "-"),
    Command("watch.faster", "plus,equals_sign", "faster", "Refresh more often: 5, 2, 1 seconds.", _D + _C, 0, "+"),
    # dashboard
    Command("pane.host", "1", "Host", "Go to the host pane.", _D, 1),
    Command("pane.containers", "2", "Containers", "Go to the containers pane.", _D, 2),
    Command("pane.business", "3", "Business", "Go to the business pane: metrics and probes.", _D, 3),
    Command("pane.logs", "4", "Logs", "Go to the log pane.", _D, 4),
    Command("pane.zoom", "z", "zoom", "Give the pane the whole screen; press again to go back.", _D, 8),
    Command("list.filter", "slash", "filter", "Show only rows that contain what you type.", _D, 9, "/"),
    Command("list.sort", "s", "sort", "Next order: worst first, name, cpu, memory.", _D, 10),
    Command("list.open", "enter", "details", "Details of the selected container.", _D, 0, "Enter"),
    # diagnosis
    Command("diagnosis.enter", "enter", "open", "Read what is selected whole; on → go where it leads.", _W, 1, "Enter"),
    Command(
        "diagnosis.act",
        "a",
        "act",
        "Do what the sentence on top proposes: opens the screen where it is planned.",
        _W,
        2,
    ),
    Command("diagnosis.again", "r", "again", "Run the checks of the selected group again.", _W, 3),
    Command("diagnosis.all", "A", "all again", "Run all checks again.", _W, 4),
    # incident
    Command("step.tick", "space", "tick", "Mark the selected step as done.", _I, 1),
    Command("step.run", "enter", "run", "Run the step's command or open its details.", _I, 2, "Enter"),
    Command("step.skip", "s", "skip", "Skip the step, with a reason.", _I, 4),
    Command("step.claim", "c", "claim", "Say that you are on this step.", _I, 0),
    Command("incident.note", "n", "note", "Write a note; on a step it belongs to the step.", _I, 4),
    Command("incident.playbook", "b", "playbook", "Start another checklist.", _I, 6),
    Command("incident.severity", "V", "severity", "Change the severity, with a reason.", _I, 6),
    Command("incident.role", "o", "roles", "Who is what: commander, operations, communications, scribe.", _I, 0),
    Command("incident.handover", "H", "hand over", "Hand the command to somebody, with a brief.", _I, 7),
    Command(
        "incident.update",
        "U",
        "update",
        "Record that people were informed; sets the next update's time.",
        _I,
        8,
    ),
    Command(
        "incident.status",
        "S",
        "status",
        "Contained, mitigated, monitoring, resolved, closed, reopened.",
        _I,
        9,
    ),
    Command("incident.attach", "a", "attach", "Attach a file as evidence, hashed and masked.", _I, 0),
    Command("incident.bundle", "B", "bundle", "Collect what this host looks like, masked, and attach it.", _I + _W, 0),
    Command("timeline.pin", "p", "pin", "Pin the selected event for the post-mortem.", _I, 0),
    Command(
        "timeline.amend",
        "e",
        "amend",
        "Correct the selected event by a later one; the original stays.",
        _I,
        0,
    ),
    Command("timeline.filter", "f", "filter", "Next filter: all, people, automatic, pinned.", _I, 0),
    Command("timeline.search", "slash", "search", "Show only events that contain what you type.", _I, 0, "/"),
    Command("incident.export", "E", "export", "Write the post-mortem: Markdown, HTML or JSON.", _I, 10),
    Command("incident.edit", "ctrl+e", "editor", "Open the exported post-mortem in $EDITOR.", _I, 0, "^E"),
    Command("incident.switch", "w", "which", "Choose another incident.", _I, 0),
    Command("incident.pane", "tab", "pane", "Between checklist and timeline.", _I, 3, "Tab"),
    # recovery
    Command("recovery.plan", "enter", "plan", "Plan the selected level for the selected service.", _R, 1, "Enter"),
    Command("recovery.service", "s", "service", "Next service for level 1.", _R, 2),
    Command("recovery.refresh", "r", "refresh", "Look again and judge anew.", _R, 3),
    Command("recovery.attach", "a", "attach", "Follow a run that is under way or was the last.", _R, 4),
    Command("recovery.cancel", "x", "cancel", "Ask the running recovery to stop after its present step.", _R, 5),
    # containment
    Command("containment.choose", "enter", "choose", "Plan the selected measure, or undo it.", _H, 1, "Enter"),
    Command("containment.undo", "u", "undo", "Take the selected measure back.", _H, 2),
    Command("containment.lasts", "t", "time", "How long the next measure may last: 15, 30, 60, 120 minutes.", _H, 3),
    Command("containment.refresh", "r", "refresh", "Look whether what is in force still is.", _H, 4),
    # logs (also in the dashboard's log pane while it has the focus)
    Command("log.follow", "f,end", "follow", "Go to the newest line and follow.", _L, 1),
    Command("log.pause", "p", "pause", "Hold the view still; lines go on being read.", _L, 2),
    Command("log.search", "slash", "search", "Search, also in what is only on disk.", _L, 3, "/"),
    Command("log.next", "n", "older hit", "The next older hit, or line of the chosen pattern.", _L, 4),
    Command("log.previous", "N", "newer hit", "The next newer hit, or line of the chosen pattern.", _L, 0),
    Command("log.level", "l", "level", "Next lowest level shown.", _L, 8),
    Command("log.source", "s", "source", "Next source, or all.", _L, 9),
    Command("log.ask_source", "S", "source by name", "Show the source whose name you type.", _L, 0),
    Command("log.text", "ampersand", "only with", "Show only lines that contain what you type.", _L, 10, "&"),
    Command("log.patterns", "P", "patterns", "Show or hide the patterns beside the lines.", _L, 5),
    Command("log.only", "x", "its pattern", "Only lines of the selected line's pattern; again: all.", _L, 6),
    Command("log.time", "t", "time", "Jump to a time: 03:12, or -5m.", _L, 11),
    Command("log.wrap", "w", "wrap", "Wrap long lines, or cut them.", _L, 12),
    Command("log.copy", "y", "copy", "Copy the selected lines to the terminal's clipboard.", _L, 13),
    Command("log.write", "W", "to file", "Write the selected lines to a file.", _L, 0),
    Command("log.open", "enter", "whole line", "Read the selected line whole.", _L, 14, "Enter"),
    Command("log.reveal", "u", "unmask", "The selected line unmasked for 30 s; it is recorded.", _L, 0),
    Command("log.up", "up,k", "up", "One line up.", _L),
    Command("log.down", "down,j", "down", "One line down.", _L),
    Command("log.extend_up", "shift+up", "select up", "Select one more line upwards.", _L),
    Command("log.extend_down", "shift+down", "select down", "Select one more line downwards.", _L),
    Command("log.page_up", "pageup,ctrl+u", "page up", "One page up, into the file where there is one.", _L),
    Command("log.page_down", "pagedown,ctrl+d", "page down", "One page down.", _L),
    Command("log.oldest", "home,g", "oldest", "The oldest line.", _L),
    # container
    Command("container.logs", "l", "its logs", "Only this container's logs, full screen.", _C, 1),
    Command("container.refresh", "r", "refresh", "Read the details again.", _C, 2),
    Command("container.restart", "R", "recover", "Recovery, with this service selected.", _C, 3),
)


def on_screen(screen: str) -> list[Command]:
    """Commands of one screen: its own first, then those of every screen whose keys it does not use itself."""
    own = [c for c in COMMANDS if screen in c.where]
    taken = {key for c in own for key in c.key.split(",")}
    shared = [c for c in COMMANDS if not c.where and not taken & set(c.key.split(","))]
    return own + shared


def footer(screen: str) -> list[Command]:
    """Commands of the screen's footer, in order."""
    return sorted((c for c in on_screen(screen) if c.footer), key=lambda c: c.footer)


def keymap(keys: dict[str, str], file: str = "sevdeck.toml") -> tuple[dict[str, str], list[Problem]]:
    """The user's `[keys]` table as id -> key, and what is wrong with it (unknown ids, keys that clash)."""
    known = {c.id: c for c in COMMANDS}
    problems = [
        Problem(file, f"keys.{id}", "no such command; `sevdeck` shows all ids in docs/keys.md")
        for id in keys
        if id not in known
    ]
    mapped = {id: key for id, key in keys.items() if id in known}
    for screen in SCREENS:
        seen: dict[str, str] = {}
        for command in on_screen(screen):
            for key in mapped.get(command.id, command.key).split(","):
                if key in seen and {command.id, seen[key]} & mapped.keys():
                    problems.append(
                        Problem(file, f"keys.{command.id}", f"{key!r} is also {seen[key]} on the {screen} screen")
                    )
                seen.setdefault(key, command.id)
    return mapped, problems


def keys_markdown() -> str:
    """docs/keys.md: every command of every screen."""
    out = [
        "# Keys",
        "",
        "Made from `console/commands.py` by `make docs`. Any key can be changed in `sevdeck.toml`:",
        "",
    ]
    out += ["```toml", "[keys]", '"pane.zoom" = "f11"', "```", ""]
    out += ["Arrow keys, `j`/`k`, Page Up/Down, Home and End move in every list. The mouse is optional.", ""]
    for title, commands in [("Everywhere", [c for c in COMMANDS if not c.where])] + [
        (screen.capitalize(), [c for c in COMMANDS if screen in c.where]) for screen in SCREENS
    ]:
        if commands:
            out += [f"## {title}", "", "| key | command | what it does | id |", "|---|---|---|---|"]
            out += [f"| `{_keys_text(c)}` | {c.label} | {c.help} | `{c.id}` |" for c in commands]
            out.append("")
    return "\n".join(out)


def _keys_text(command: Command) -> str:
    return command.shown or command.key.split(",")[0].replace("space", "Space")
