"""Renders one notebook as HTML. Stand-alone: nbconvert and bleach; a process of its own with limits, because it reads what analysts wrote.

Reads JSON on standard input: cells with their kind, text and outputs, each output a text, a PNG or a note. Writes HTML that has neither
scripts, styles, links, addresses nor pictures but those PNGs; markup that the analyst wrote stands in it as text.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from importlib import import_module
from typing import Any

CLASSES = {"class"}
TAGS = frozenset(
    [
        "div",
        "span",
        "pre",
        "code",
        "p",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "li",
        "strong",
        "em",
        "del",
        "blockquote",
        "hr",
        "br",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "img",
    ]
)
MAX_JOB = 64 * 1024 * 1024


def html_of(cells: list[dict[str, Any]]) -> str:
    """What nbconvert makes of the cells, without whatever a browser would run or fetch."""
    bleach = import_module("bleach")
    config = import_module("traitlets.config").Config()
    exporter = import_module("nbconvert.exporters").HTMLExporter(
        config=config, template_name="basic", sanitize_html=False
    )
    exporter.register_filter("markdown2html", markdown)
    body, _ = exporter.from_notebook_node(notebook(cells))
    return str(bleach.clean(body, tags=TAGS, attributes=allowed, protocols={"data"}, strip=True, strip_comments=True))


def markdown(source: str) -> str:
    """Markdown as HTML; HTML in it is text, and a picture in it is its words: no address of the analyst's is decoded or fetched."""
    from html import escape

    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Plain(IPythonRenderer):
        def image(self, text: str, url: str, title: str | None = None) -> str:
            return f"<em>[{escape(text)}]</em>"

    return str(MarkdownWithMath(renderer=Plain(escape=True, exclude_anchor_links=True)).render(source))


def allowed(tag: str, name: str, value: str) -> bool:
    """A class, and the address of a picture that stands in the page itself."""
    if tag == "img":
        return name == "alt" or (name == "src" and value.startswith("data:image/png;base64,"))
    return name in CLASSES


def notebook(cells: list[dict[str, Any]]) -> Any:
    """Written anew, so that nothing reaches nbconvert but texts and pictures."""
    v4 = import_module("nbformat.v4")
    made = v4.new_notebook(metadata={"language_info": {"name": "python", "pygments_lexer": "python"}})
    for number, cell in enumerate(cells, 1):
        if cell["kind"] == "markdown":
            made.cells.append(v4.new_markdown_cell(cell["source"]))
            continue
        outputs = [output(one) for one in cell["outputs"]]
        made.cells.append(v4.new_code_cell(cell["source"], execution_count=number, outputs=outputs))
    return made


def output(one: dict[str, str]) -> Any:
    v4 = import_module("nbformat.v4")
    if one.get("png"):
        return v4.new_output("display_data", data={"image/png": one["png"]})
    return v4.new_output("stream", name="stderr" if one.get("note") else "stdout", text=one.get("note") or one["text"])


def main() -> int:
    seconds, memory = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ.update(HOME="/nonexistent", JUPYTER_NO_CONFIG="1", JUPYTER_PLATFORM_DIRS="1")
    job = sys.stdin.buffer.read(MAX_JOB + 1)
    if len(job) > MAX_JOB:
        return 1
    sys.stdout.buffer.write(html_of(json.loads(job)["cells"]).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
