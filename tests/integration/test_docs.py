"""README and docs are true: examples run as written, links lead somewhere."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import psycopg
import pytest
from pydantic import SecretStr

from app.localstack import Servers
from batchord.catalog import Catalog
from batchord.core.declared.sources import SourceContext
from batchord.core.run.runs import Run, RunState
from batchord.core.secrets.patterns import masked
from batchord.flow.local import run_local
from batchord.flow.parts import Parts
from batchord.ledger import Ledger
from batchord.models.library import ModelLibrary
from batchord.models.skops_import import import_skops
from batchord.people import AppriseNotifier
from batchord.queue.switchboard import Switchboard
from batchord.settings import Settings
from batchord.sources.sql import SqlSource
from batchord.sources.sql.engine import dispose_engines
from batchord.storage.images import ImageReader
from batchord.storage.objects import Objects
from tests.contracts import small_models

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
#: Runs the pipeline of an example in a database of its own, and returns the run.
RunExample = Callable[[str], Run]


def blocks(page: str, language: str = "python") -> list[str]:
    """The code of a page's fenced blocks, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [dedent(code) for code in re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)]


def block(page: str, part: str, language: str = "python") -> str:
    """The only block of a page that holds ``part``."""
    (found,) = (code for code in blocks(page, language) if part in code)
    return found


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


@pytest.fixture
def run_example(
    servers: Servers, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunExample]:
    """See :data:`RunExample`. Examples run in an empty folder, as in a reader's."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "pipelines"
    folder.mkdir()
    objects = Objects(
        endpoint_url=servers.s3_endpoint_url,
        access_key_id=SecretStr(servers.s3_access_key_id or ""),
        secret_access_key=SecretStr(servers.s3_secret_access_key or ""),
    )
    with closing(Ledger(database_url)) as ledger:

        def run(code: str) -> Run:
            (folder / "example.py").write_text(code, encoding="utf-8")
            catalog = Catalog(folder)
            parts = Parts(
                settings=Settings(database_url=SecretStr(database_url), home=tmp_path, pipelines=folder),
                catalog=catalog,
                ledger=ledger,
                open_source=lambda declared, window: declared.open(
                    SourceContext(window=window, database_url=database_url)
                ),
                models=ModelLibrary(home=tmp_path, objects=objects),
                images=ImageReader(objects),
                author_url=database_url,
                logs=ledger.logs,
                notifier=AppriseNotifier(),
                switchboard=Switchboard(None),
                environment={},
                mask=masked,
                worker="docs",
            )
            (name,) = catalog.names()
            return run_local(parts, pipeline=name)

        yield run
    dispose_engines()


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


@pytest.mark.torch
def test_the_pipeline_of_the_readme_runs(
    run_example: RunExample, database_url: str, s3: "S3Client", tmp_path: Path
) -> None:
    """Texts from PostgreSQL, a transformers model from S3, as the first page says."""
    s3.create_bucket(Bucket="models")
    for file in small_models.save_text_classifier(tmp_path / "small").iterdir():
        s3.upload_file(str(file), "models", f"sentiment/7/{file.name}")
    with psycopg.connect(database_url) as connection:
        connection.execute(block("docs/quickstart.md", "CREATE TABLE", "sql"))

    run = run_example(block("README.md", "Pipeline("))

    assert (run.state, run.discovered, run.predicted, run.rejected) == (RunState.SUCCEEDED, 4, 2, 2)
    assert run.models["predict"].startswith("sentiment-7@")


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
