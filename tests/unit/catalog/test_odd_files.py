"""A file that does what no file should costs itself, and no other."""

import subprocess
import sys
from pathlib import Path

import pytest

from batchord.catalog import load
from tests.unit.catalog.pipeline_files import Write, sound

_ROOT = Path(__file__).parents[3]
_MAIN = "from batchord.app.cli import main; main()"

_MUTE = """
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no")
"""


@pytest.mark.parametrize(
    "code",
    [
        "raise Mute()",
        "raise Mute() from Mute()",
        "raise SystemExit(Mute())",
        "class Worse(BaseException):\n    __str__ = Mute.__str__\nraise Worse()",
        "class Leaves(Exception):\n    def __str__(self):\n        raise SystemExit(1)\nraise Leaves()",
        # Pipelines that cannot be looked at.
        "from batchord import Pipeline\nclass Name:\n    __str__ = Mute.__str__\npipeline = Pipeline(Name())",
        "class Many(dict):\n    def values(self):\n        raise Mute()\nmany = Many()",
        "class Many(list):\n    def __iter__(self):\n        raise Mute()\nmany = Many()",
    ],
)
def test_a_file_that_fails_in_an_odd_way_is_a_problem_of_its_own(tmp_path: Path, write: Write, code: str) -> None:
    """Its neighbours are there."""
    path = write("odd.py", _MUTE)
    path.write_text(path.read_text(encoding="utf-8") + code, encoding="utf-8")
    write("sound.py", sound("sound"))

    loaded = load(tmp_path)

    assert list(loaded.pipelines) == ["sound"]
    assert [problem.file for problem in loaded.problems] == ["odd.py"]
    assert str(loaded.problems[0])


def test_a_value_whose_repr_raises_is_a_problem_of_its_pipeline(tmp_path: Path, write: Write) -> None:
    """A problem quotes the wrong value, and quoting calls its repr."""
    write("odd.py", _MUTE)
    declared = """
        class Silent:
            __repr__ = Mute.__str__
        from batchord import *
        odd = Pipeline("odd", source=SqlSource("SELECT 1", key="id"), model=len, overlap=Silent())
    """
    path = tmp_path / "odd.py"
    write("odd.py", path.read_text(encoding="utf-8") + declared.replace("        ", ""))
    write("sound.py", sound("sound"))

    loaded = load(tmp_path)

    assert list(loaded.pipelines) == ["sound"]
    assert {problem.pipeline for problem in loaded.problems} == {"odd"}


def test_a_proxy_that_stands_for_nothing_is_no_pipeline(tmp_path: Path, write: Write) -> None:
    """Frameworks have such objects, which raise when they are asked for their class outside of a request."""
    proxy = """
        class Proxy:
            @property
            def __class__(self):
                raise RuntimeError("outside of a request")

        current = Proxy()
    """
    write("proxied.py", proxy)
    path = tmp_path / "proxied.py"
    path.write_text(path.read_text(encoding="utf-8") + sound("proxied").replace("\n    ", "\n"), encoding="utf-8")

    loaded = load(tmp_path)

    assert (list(loaded.pipelines), loaded.problems) == (["proxied"], [])


def test_folders_of_other_tools_are_passed_over(tmp_path: Path, write: Write) -> None:
    """Notebooks keep copies of edited files, and version control systems keep files of their own."""
    for folder in (".ipynb_checkpoints", "__pycache__", ".git/hooks", "_old", "shop/.ipynb_checkpoints", ".venv/lib"):
        write(f"{folder}/sound-checkpoint.py", sound("sound"))
    write("_draft.py", sound("sound"))
    write("shop/_draft.py", sound("sound"))
    write("sound.py", sound("sound"))

    loaded = load(tmp_path)

    assert (list(loaded.pipelines), loaded.problems) == (["sound"], [])


@pytest.mark.parametrize(
    "call",
    [
        "subprocess.run([sys.executable, '-c', MAIN, 'pipelines'], **kept)",
        "subprocess.run(f'nohup {sys.executable} -c \"{MAIN}\" pipelines & wait', shell=True, **kept)",
        "subprocess.run([sys.executable, '-m', 'celery', '-A', 'app', 'report'], **kept)",
    ],
)
def test_a_command_that_a_file_starts_while_it_is_loaded_refuses(tmp_path: Path, write: Write, call: str) -> None:
    """It would load the file again, which would start it again: hundreds of processes within minutes."""
    code = f"""
        import subprocess, sys
        MAIN = {_MAIN!r}
        kept = dict(cwd={str(_ROOT)!r}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        ended = {call}
    """
    write("calls.py", code)
    path = tmp_path / "calls.py"
    path.write_text(path.read_text(encoding="utf-8") + "raise RuntimeError(ended.stdout)\n", encoding="utf-8")

    (problem,) = load(tmp_path).problems

    assert "does not start" in str(problem)
    assert f"{path} calls it while the file is being loaded" in str(problem)


def test_a_command_that_a_file_calls_in_its_own_process_refuses(tmp_path: Path, write: Write) -> None:
    """The same, without another process."""
    write("calls.py", "from batchord.app.cli import batchord\nbatchord(['pipelines'], standalone_mode=False)\n")
    write("sound.py", sound("sound"))

    loaded = load(tmp_path)

    assert list(loaded.pipelines) == ["sound"]
    assert "`batchord` does not start" in str(loaded.problems[0])


def test_a_command_may_be_started_once_the_files_are_loaded(tmp_path: Path, write: Write) -> None:
    """The mark is gone with the load, also after an error."""
    write("broken.py", "raise RuntimeError('no')")
    load(tmp_path)

    command = [sys.executable, "-c", _MAIN, "pipelines", "--help"]
    ended = subprocess.run(command, cwd=_ROOT, capture_output=True, timeout=60, check=False)

    assert ended.returncode == 0
