"""Edits are taken up while a process runs; what an edit breaks goes on as it was."""

import time
import traceback
from pathlib import Path

import pytest

from batchord.catalog import LiveCatalog, live, trial
from tests.unit.catalog.live_catalog import Open, call, scoring
from tests.unit.catalog.pipeline_files import Write, sound

_ROOT = Path(__file__).parents[3]


def test_changed_new_and_removed_files_are_taken_up(catalog: Open, write: Write, tmp_path: Path) -> None:
    """By a process that runs, whatever it had before."""
    write("a.py", scoring("a", "1"))
    write("gone.py", sound("gone"))
    running = catalog()
    before = running.snapshot()
    assert (running.names(), call(running, "a")) == (["a", "gone"], 1)

    write("a.py", scoring("a", "2"))
    write("new.py", sound("new"))
    (tmp_path / "gone.py").unlink()

    assert (running.names(), call(running, "a")) == (["a", "new"], 2)
    # A process that is running a pipeline keeps the version with which it began.
    assert (before.names(), call(before, "a")) == (["a", "gone"], 1)


def test_nothing_is_loaded_anew_when_nothing_changed(catalog: Open, write: Write) -> None:
    """The same pipelines, and one load."""
    write("a.py", scoring("a", "1"))
    running = catalog()

    assert running.get("a") is running.get("a")
    assert (running.loads, running.stale) == (1, False)


@pytest.mark.parametrize("place", ["features.py", "_features.py", "shop/features.py", "elsewhere"])
def test_a_changed_module_of_the_author_is_taken_up(
    catalog: Open, write: Write, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Beside the pipelines, in a package, or anywhere else that Python finds it."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.syspath_prepend(str(elsewhere))
    module = "live_test_elsewhere" if place == "elsewhere" else place.removesuffix(".py").replace("/", ".")
    file = elsewhere / "live_test_elsewhere.py" if place == "elsewhere" else write(place, "")
    if "/" in place:
        write("shop/__init__.py", "")
    file.write_text("VALUE = 1\n", encoding="utf-8")
    write("a.py", scoring("a", "VALUE", head=f"from {module} import VALUE"))
    running = catalog()
    version = running.get("a").predict_steps[0].declared_model.code_digest  # type: ignore[attr-defined]
    assert call(running, "a") == 1

    file.write_text("VALUE = 2\n", encoding="utf-8")

    assert call(running, "a") == 2
    assert running.get("a").predict_steps[0].declared_model.code_digest != version  # type: ignore[attr-defined]


@pytest.mark.parametrize("place", ["_later.py", "elsewhere"])
def test_a_module_that_a_function_imports_when_it_is_called_is_taken_up(
    catalog: Open, write: Write, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Also the module that it imports in turn; and before it was ever called, the text is that of the load."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.syspath_prepend(str(elsewhere))
    file = write(place, "") if place == "_later.py" else elsewhere / "live_test_later.py"
    file.write_text("def value():\n    import live_test_deeper\n    return live_test_deeper.VALUE\n")
    deeper = elsewhere / "live_test_deeper.py"
    deeper.write_text("VALUE = 1\n")
    write("a.py", scoring("a", "value()", head=f"def value():\n    from {file.stem} import value\n    return value()"))
    running = catalog()
    before = running.snapshot()
    digest = running.get("a").predict_steps[0].declared_model.code_digest  # type: ignore[attr-defined]

    deeper.write_text("VALUE = 2\n")

    assert call(before, "a") == 1
    assert call(running, "a") == 2
    assert running.get("a").predict_steps[0].declared_model.code_digest != digest  # type: ignore[attr-defined]


def test_an_edit_that_breaks_a_module_of_later_holds_its_file_back(catalog: Open, write: Write) -> None:
    """Before a record meets it; the problem names the module and its line."""
    write("_later.py", "VALUE = 1")
    write("a.py", scoring("a", "value()", head="def value():\n    from _later import VALUE\n    return VALUE"))
    running = catalog()
    assert call(running, "a") == 1

    write("_later.py", "VALUE = (")

    assert call(running, "a") == 1
    (problem,) = running.problems
    assert (problem.file, "_later.py line 1: SyntaxError" in problem.what) == ("a.py", True)


@pytest.mark.parametrize(
    "broken",
    [
        "def model(:",
        "raise ValueError('no')",
        "import no_such_module_anywhere",
        "from batchord import Pipeline\npipeline = Pipeline('a')",
        "import os; os._exit(3)",
        "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "raise KeyboardInterrupt",
        "class Mute(Exception):\n    def __str__(self):\n        raise RuntimeError('no')\nraise Mute",
    ],
)
def test_a_file_that_an_edit_breaks_goes_on_as_it_was(catalog: Open, write: Write, broken: str) -> None:
    """In a process that has it, and in one that begins after the edit; its neighbours are taken up."""
    write("a.py", scoring("a", "1"))
    write("b.py", scoring("b", "1"))
    running = catalog()
    assert call(running, "a") == 1

    write("a.py", broken)
    write("b.py", scoring("b", "2"))

    for each in (running, catalog()):
        assert (call(each, "a"), call(each, "b")) == (1, 2)
        (problem,) = each.problems
        assert problem.file == "a.py"
        assert "runs use its last good version until you fix the file" in problem.what

    write("a.py", scoring("a", "3"))

    assert (call(running, "a"), running.problems) == (3, [])


def test_a_file_that_never_ends_is_a_problem_of_its_own(
    catalog: Open, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading it ends after a limit, at the first load and after an edit."""
    sound_file = write("b.py", sound("b"))
    began = time.monotonic()
    trial.try_files(tmp_path, ["b.py"], {str(sound_file): sound_file.read_bytes()})
    # Several times what a sound file takes on this machine now.
    seconds = max(3.0, 6 * (time.monotonic() - began))
    monkeypatch.setattr(trial, "TRIAL_SECONDS", seconds)
    monkeypatch.setattr("batchord.catalog.takeup.try_files", lambda *args: trial.try_files(*args, seconds=seconds))
    write("a.py", "while True:\n    pass\n")

    running = catalog()

    assert running.names() == ["b"]
    assert f"did not end within {seconds:g} s" in running.problems[0].what


def test_many_slow_files_are_not_taken_for_one_that_never_ends(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is for each file: together they take much longer."""
    sound_file = write("a.py", sound("a"))
    began = time.monotonic()
    trial.try_files(tmp_path, ["a.py"], {str(sound_file): sound_file.read_bytes()})
    seconds = 2 * (time.monotonic() - began) + 1.0
    monkeypatch.setattr(trial, "_LOOK_SECONDS", 0.1)
    slow = f"import time\nend = time.monotonic() + {seconds / 2}\nwhile time.monotonic() < end:\n    pass\n"
    paths = [write(f"slow{number}.py", slow) for number in range(5)]

    tried = trial.try_files(
        tmp_path, [path.name for path in paths], {str(path): path.read_bytes() for path in paths}, seconds=seconds
    )

    assert tried.problems == []
    assert sorted(tried.closures) == [path.name for path in paths]


def test_a_command_tries_a_broken_file_once(
    write: Write, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks for the pipelines several times, and a look may take seconds."""
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.0)
    tries: list[list[str]] = []

    def counted(folder: Path, files: list[str], texts: dict[str, bytes]) -> trial.TrialResult:
        tries.append(files)
        return trial.try_files(folder, files, texts)

    monkeypatch.setattr("batchord.catalog.takeup.try_files", counted)
    write("a.py", sound("a"))
    write("broken.py", "broken(")
    command = LiveCatalog(tmp_path, tmp_path_factory.mktemp("home"))

    for _ in range(3):
        assert command.names() == ["a"]
        assert [problem.file for problem in command.problems] == ["broken.py"]

    assert tries == [["a.py", "broken.py"]]


def test_a_module_that_an_edit_breaks_holds_back_all_that_share_it(catalog: Open, write: Write) -> None:
    """Nothing mixes two versions: a good edit of a file that shares the broken one's module waits with it."""
    write("features.py", "VALUE = 1\n")
    write("a.py", scoring("a", "(1, VALUE)", head="from features import VALUE"))
    write("b.py", scoring("b", "(1, VALUE)", head="from features import VALUE"))
    write("c.py", scoring("c", "1"))
    running = catalog()
    assert call(running, "a") == (1, 1)

    write("features.py", "VALUE = 2\n")
    write("a.py", "broken(")
    write("b.py", scoring("b", "(2, VALUE)", head="from features import VALUE"))
    write("c.py", scoring("c", "2"))

    assert (call(running, "a"), call(running, "b"), call(running, "c")) == ((1, 1), (1, 1), 2)

    write("a.py", scoring("a", "(2, VALUE)", head="from features import VALUE"))

    assert (call(running, "a"), call(running, "b")) == ((2, 2), (2, 2))


def test_a_module_that_was_removed_is_kept_for_those_that_need_it(catalog: Open, write: Write, tmp_path: Path) -> None:
    """Its text is kept, not only the file's that imports it."""
    write("features.py", "VALUE = 1\n")
    write("a.py", scoring("a", "VALUE", head="from features import VALUE"))
    assert call(catalog(), "a") == 1

    (tmp_path / "features.py").unlink()

    later = catalog()
    assert call(later, "a") == 1
    assert "No module named 'features'" in later.problems[0].what


def test_a_folder_that_is_away_for_a_while_ends_no_pipeline(catalog: Open, write: Write, tmp_path: Path) -> None:
    """For example while its disk is mounted again. The log says so."""
    write("a.py", scoring("a", "1"))
    running = catalog()
    assert running.names() == ["a"]

    away = tmp_path.rename(tmp_path.with_name("away"))
    for each in (running, catalog()):
        assert call(each, "a") == 1
        assert "this folder does not exist" in each.problems[0].what

    away.rename(tmp_path)
    assert (running.names(), running.problems) == (["a"], [])


def test_a_copy_of_a_file_takes_nothing_from_it(catalog: Open, write: Write) -> None:
    """The copy has the pipeline's name, and is refused; what was there goes on."""
    write("a.py", scoring("a", "1"))
    running = catalog()
    assert running.names() == ["a"]

    write("a copy.py", scoring("a", "2"))

    assert call(running, "a") == 1
    assert "2 pipelines have this name" in " ".join(map(str, running.problems))


def test_errors_show_the_lines_that_ran(catalog: Open, write: Write, tmp_path: Path) -> None:
    """Under the file's own name, though the file says something else by now."""
    path = write("a.py", scoring("a", "1 / 0"))
    running = catalog().snapshot()
    write("a.py", "\n\n\n\n\n\n# nothing of the kind\n")

    with pytest.raises(ZeroDivisionError) as raised:
        call(running, "a")

    last = traceback.extract_tb(raised.value.__traceback__)[-1]
    assert (last.filename, last.line) == (str(path.resolve()), "return 1 / 0")
    assert tmp_path in path.parents
