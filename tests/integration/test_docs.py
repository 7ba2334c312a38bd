"""README and docs are true: examples are declared without problems, links lead somewhere."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

from batchord.catalog import Catalog
from batchord.models.skops_import import import_skops
from batchord.sources.sql import SqlSource

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def blocks(page: str, language: str = "python") -> list[str]:
    """The code of a page's fenced blocks, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [dedent(code) for code in re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)]


#: What examples import of their page, by name.
MODULES = {
    name: code
    for page in PAGES
    for name, code in re.findall(
        r"^`pipelines/(\w+)\.py`:\n\n```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
}
EXAMPLES = [
    pytest.param(code, id=f"{page.relative_to(ROOT)}:{number}")
    for page in PAGES
    for number, code in enumerate(blocks(str(page.relative_to(ROOT))))
]


@pytest.mark.parametrize("code", EXAMPLES)
def test_examples_are_declared_without_problems(code: str, tmp_path: Path) -> None:
    """A pipeline file loads through the catalog; any other declaration has no problems of its own."""
    if "skops" in code:
        import_skops()  # the example's own import would bring torch into this process
    if "Pipeline(" in code:
        for name, module in MODULES.items():
            if f"from {name} import" in code:
                (tmp_path / f"{name}.py").write_text(module, encoding="utf-8")
        (tmp_path / "example.py").write_text(code, encoding="utf-8")
        catalog = Catalog(tmp_path)
        assert catalog.problems == []
        assert len(catalog.names()) == 1
    elif "SqlSource(" in code:
        values: dict[str, object] = {}
        exec(compile(code, "example", "exec"), values)  # noqa: S102 -- our own pages
        sources = [value for value in values.values() if isinstance(value, SqlSource)]
        assert [source.problems() for source in sources] == [[]]
    else:
        compile(code, "example", "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Files exist, and so do the headings that links name."""
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text("utf-8")):
        linked = (page.parent / target).resolve() if target else page
        assert linked.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/decisions/0*.md")), ids=lambda page: page.stem)
def test_decisions_have_one_form(page: Path) -> None:
    """Context, decision, consequences, alternatives; and the index names each."""
    text = page.read_text("utf-8")

    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        "Context",
        "Decision",
        "Consequences",
        "Alternatives rejected",
    ]
    assert f"({page.name})" in (page.parent / "README.md").read_text("utf-8")
