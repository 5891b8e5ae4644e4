"""Makes docs/console.svg, the README's picture: the real console over live sources, drawn without a terminal.

    .venv/bin/python docs/picture.py --config sevdeck.toml --data-dir DIR

It shows the host as it is when it runs, incident included. The host name is replaced, and the links to web fonts
that Textual puts into its pictures are taken out, so that the picture asks nobody for anything.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

SIZE = (120, 40)
HOST = "web1"  # shown instead of this machine's name


async def picture(config: Path | None, data_dir: Path, seconds: float, only: str) -> str:
    """The dashboard as SVG, after it has looked for so long; `only` is typed into the containers' filter."""
    from console.app import Sevdeck
    from console.config import load
    from console.watch.live import LiveSources

    settings = load(config)
    app = Sevdeck(settings, data_dir, LiveSources(settings), "sevdeck-dark")
    async with app.run_test(size=SIZE) as pilot:
        if only:
            await pilot.press("slash", *only, "enter")
        await pilot.pause(seconds)
        return app.export_screenshot(title="sevdeck")


def without_links(svg: str) -> str:
    """The picture with fonts of the reader's own machine only."""
    svg = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code, monospace", "Menlo, Consolas, DejaVu Sans Mono, monospace").replace(
        "font-family: Fira Code", "font-family: Menlo, Consolas, DejaVu Sans Mono"
    )
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE).strip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the README's picture of the console.")
    parser.add_argument("--config", type=Path, help="a sevdeck.toml; found as sevdeck finds it when left out")
    parser.add_argument("--data-dir", type=Path, required=True, help="where the incident is recorded")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to look before it is drawn")
    parser.add_argument("--only", default="", help="show only containers whose name contains this")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "console.svg")
    asked = parser.parse_args()
    there = os.uname()
    os.uname = lambda: os.uname_result((there.sysname, HOST, there.release, there.version, there.machine))
    svg = asyncio.run(picture(asked.config, asked.data_dir, asked.seconds, asked.only))
    asked.output.write_text(without_links(svg), encoding="utf-8")
    sys.stdout.write(f"wrote {asked.output}\n")


if __name__ == "__main__":
    main()
