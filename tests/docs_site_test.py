"""The documentation is whole: pages, images, files beside it. `mkdocs build` checks the links."""

import fnmatch
import pathlib
import re
import runpy

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
SETTINGS = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
WRITTEN = [ROOT / "README.md", *DOCS.rglob("*.md"), *DOCS.glob("tutorials/*.py")]


def pages(nav):
    """The pages and patterns of pages in a navigation."""
    if isinstance(nav, str):
        return [nav]
    return [
        page
        for entry in nav
        for page in pages(list(entry.values())[0] if isinstance(entry, dict) else entry)
    ]


def images_in(path):
    """The image files that a page shows, in Markdown's two ways to name them."""
    text = path.read_text(encoding="utf-8")
    names = re.findall(r"(?:\]\(|^(?:# )?\[\w+\]: )([^)\s]+\.(?:png|gif|svg))", text, re.MULTILINE)
    return {(path.parent / name).resolve() for name in names}


def test_every_page_of_the_navigation_exists():
    for page in pages(SETTINGS["nav"]):
        made_of = (DOCS / page).with_suffix(".py")  # a tutorial, of which the build makes a page
        assert "*" in page or (DOCS / page).is_file() or made_of.is_file(), page


def test_every_page_and_tutorial_is_in_the_navigation():
    listed = pages(SETTINGS["nav"])
    written = [
        *DOCS.rglob("*.md"),
        *(path.with_suffix(".md") for path in DOCS.glob("tutorials/*.py")),
    ]
    names = [path.relative_to(DOCS).as_posix() for path in written]
    assert not [name for name in names if not any(fnmatch.fnmatch(name, page) for page in listed)]


def test_every_image_that_is_shown_exists_and_every_image_is_shown():
    shown = set().union(*map(images_in, WRITTEN))
    assert not [path for path in shown if not path.is_file()]
    assert {path for path in DOCS.glob("images/**/*") if path.is_file()} <= shown


@pytest.fixture(scope="module")
def made_pages():
    """The names of docs/pages.py, which needs what builds the site."""
    pytest.importorskip("mkdocs")
    return runpy.run_path(str(DOCS / "pages.py"))


def test_a_pattern_of_the_navigation_becomes_its_pages_the_index_first(made_pages):
    nav = [{"Results": "results/*"}, {"Notes": "notes/*"}, {"API": ["api/index.md"]}, "index.md"]
    found = ["results/a.md", "results/index.md", "api/index.md", "index.md"]
    assert made_pages["expanded"](nav, found) == [
        {"Results": ["results/index.md", "results/a.md"]},
        {"API": "api/index.md"},
        "index.md",
    ]


def test_a_tutorial_becomes_prose_and_code(made_pages):
    program = "# %% [markdown]\n# # A title\n#\n# Words.\n\n# %%\nx = 1\n"
    assert made_pages["as_markdown"](program) == "# A title\n\nWords.\n\n```python\nx = 1\n```"


def test_docstrings_are_read_as_they_are_meant(made_pages):
    griffe = pytest.importorskip("griffe")
    text = "It adds.\n\nReturns:\n    Sums: one\n    per row.\n\nExample:\n    >>> add(1)\n"
    added = griffe.Function("add", docstring=griffe.Docstring(text))
    made_pages["Sections"]().on_object(obj=added)
    expected = "It adds.\n\n**Returns:** Sums: one\nper row.\n\nExamples:\n    >>> add(1)"
    assert added.docstring.value == expected


def test_links_of_contributing_lead_somewhere():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize(
    "path",
    re.findall(
        r"`((?:sen_tf|tests|docs|flags)/[\w/.]+\.\w+)`",
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
    ),
)
def test_files_that_contributing_names_exist(path):
    assert "NAME" in path or (ROOT / path).is_file()


def test_the_site_asks_no_other_host():
    assert SETTINGS["theme"]["font"] is False
    own = [*SETTINGS["extra_css"], *SETTINGS.get("extra_javascript", [])]
    assert all((DOCS / name).is_file() for name in own)


def test_citation_names_the_software_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    assert citation["title"] and citation["message"] and citation["authors"]
    version = re.search(r'__version__ = "(.*)"', (ROOT / "sen_tf" / "__init__.py").read_text())[1]
    assert citation["version"] == version
    paper = citation["preferred-citation"]
    names = ["Park", "Biza", "Zhao", "Meent", "Walters"]
    assert [author["family-names"] for author in paper["authors"]] == names
    assert "2204.11371" in paper["url"] and paper["year"] == 2022


def test_changelog_has_the_version_of_the_package():
    version = re.search(r'__version__ = "(.*)"', (ROOT / "sen_tf" / "__init__.py").read_text())[1]
    assert f"\n## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
