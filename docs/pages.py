"""The pages of the site that are not written by hand; hooks of MkDocs, and one of mkdocstrings."""

import fnmatch
import re

import griffe
import jupytext
from mkdocs.structure.files import File

TUTORIALS = "tutorials/*.py"


def on_files(files, config):
    """Adds a page per tutorial, and lists the pages that patterns in the navigation match."""
    for file in list(files):
        if fnmatch.fnmatch(file.src_uri, TUTORIALS):
            page = file.src_uri.removesuffix(".py") + ".md"
            files.append(File.generated(config, page, content=as_markdown(file.content_string)))
    pages = [file.src_uri for file in files if file.is_documentation_page()]
    config.nav = expanded(config.nav, pages)
    return files


def as_markdown(program):
    """A program in the percent format as Markdown: its prose, and its code in blocks."""
    cells = jupytext.reads(program, fmt="py:percent").cells
    return "\n\n".join(
        cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```"
        for cell in cells
    )


def expanded(nav, pages):
    """The navigation, in which a pattern has become the list of its pages, the index first.

    An entry whose pattern matches no page is left out.
    """
    entries = []
    for entry in nav:
        match entry:
            case dict():
                ((title, target),) = entry.items()
                target = expanded(target if isinstance(target, list) else [target], pages)
                if target:
                    entries.append({title: target if len(target) > 1 else target[0]})
            case str() if "*" in entry:
                entries += sorted(
                    fnmatch.filter(pages, entry),
                    key=lambda page: (not page.endswith("/index.md"), page),
                )
            case _:
                entries.append(entry)
    return entries


class Sections(griffe.Extension):
    """Docstrings of this project as Griffe's reader of Google's style takes them.

    It has no section "Example:", would take the words of "Returns:" before a colon for a type, and
    a shape or reference of two lines for a box with a title.
    """

    def on_object(self, *, obj, **_):
        if obj.docstring:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = PROSE.sub(_paragraph, text)


PROSE = re.compile(
    r"^(Returns|Input shape|Output shape|Reference):((?:.*\n?)(?:    .*\n?)*)", re.MULTILINE
)


def _paragraph(match):
    """`Returns:` and the indented lines below it as a paragraph of Markdown."""
    text = re.sub(r"^    ", "", match[2], flags=re.MULTILINE)
    return f"**{match[1]}:** {text.lstrip()}"
