"""The reader of the pages notices what a person would notice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages.journey import Journey
from tests.pages.page import blocks_and_marks


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Journey]:
    """Somebody in an empty home."""
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.mkdir()
    scratch.mkdir()
    with Journey(home, scratch, {}) as reader:
        yield reader


def test_blocks_share_a_shell_and_a_python(reader: Journey, tmp_path: Path) -> None:
    """Folders, variables and names stay; files are saved where the shell is, as the page has them."""
    reader.read(
        "page.md",
        "```bash\nmkdir shop\ncd shop\nexport WORD=fine\n```\n"
        "Save this as `pipelines/a.py`:\n\n```python\nvalue = 'RUN'\n```\n"
        "```python\nimport os\nfrom pathlib import Path\nvalue = 6\n```\n"
        "- In a list:\n\n  ```python\n  (value * 7, os.environ['WORD'], Path.cwd().name)\n  ```\n\n"
        "  ```text\n  (42, 'fine', 'shop')\n  ```\n"
        "And indented:\n\n    cat pipelines/a.py\n\n<!-- reader sees: value = 'RUN' -->\n",
    )

    assert (tmp_path / "home/shop/pipelines/a.py").read_text() == "value = 'RUN'\n"


def test_a_command_of_several_lines_is_one(reader: Journey) -> None:
    """With a backslash, a quote or a text that follows."""
    reader.read(
        "page.md",
        "```bash\n# a comment\necho one \\\n  two\ncat <<'END'\n  three\nEND\necho 'four\nfive'\n```\n"
        "```text\none two\nthree\nfour\nfive\n```\n",
    )


def test_marks(reader: Journey) -> None:
    """Each does what CONTRIBUTING says of it."""
    reader.read(
        "page.md",
        "<!-- reader runs:\necho 1 >count\necho two -->\n<!-- reader sees: two -->\n"
        "<!-- reader replaces: RUN by cat count -->\n```bash\necho 'run RUN of BATCHORD_RUN_ID'\n```\n"
        "<!-- reader sees: run 1 of BATCHORD_RUN_ID -->\n"
        "<!-- reader saves: a/b.txt -->\n```python\nnot Python\n```\n"
        "<!-- reader types: sort -->\n```sql\nb\na\n```\n```text\na\nb\n```\n"
        "<!-- reader fails: there is no such file -->\n```bash\ncat nothing\n```\n"
        "<!-- reader skips: needs Docker -->\n```bash\nexit 3\n```\n",
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# A\n\n```bash\ntrue\nfalse  # here\n```\n", "page.md:3: false  # here\n *ended with exit code 1"),
        ("```bash\necho one\n```\n```text\ntwo\n```\n", "page.md:4: this was not printed:\n *two"),
        ("```text\ntwo\n```\n", "no block before this one has printed anything"),
        ("```python\n1 / 0\n```\n", "ZeroDivisionError"),
        ("<!-- reader fails: it must -->\n```bash\ntrue\n```\n", "ended with exit code 0"),
        ("```yaml\na: 1\n```\n", "say as which file the yaml is saved"),
        ("```bash\nbatchord() { echo warned >&2; }\nbatchord up\n```\n", "succeeded, but warned"),
    ],
)
def test_what_is_not_as_the_page_says_is_told(reader: Journey, text: str, told: str) -> None:
    """With the page's line, the command and what it printed."""
    with pytest.raises(AssertionError, match=told):
        reader.read("page.md", text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<!-- reader skip: needs Docker -->\n```bash\na\n```\n", "is no mark; write"),
        ("<!-- reader skips: -->\n```bash\na\n```\n", "is no mark; write"),
        ("<!-- a comment -->\n", "is no mark; write"),
        ("<!-- reader skips: needs Docker -->\n\nText.\n\n```bash\na\n```\n", "page.md:1: no block follows this mark"),
        ("```\na\n```\n", "page.md:1: this fence names no language"),
    ],
)
def test_a_page_that_cannot_be_read_is_refused(text: str, told: str) -> None:
    """So that a slip in a mark skips no block."""
    with pytest.raises(ValueError, match=told):
        list(blocks_and_marks("page.md", text))
