"""A reader who follows pages from the first line to the last, in one shell, in an empty home."""

import os
import re
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.pages.expected import comes_in
from tests.pages.interpreter import Interpreter
from tests.pages.marks import Mark, Verb
from tests.pages.page import Block, blocks_and_marks
from tests.pages.shell import Ended, Shell, commands

#: What marks may call besides everything that a reader has, and files with what pages presume.
PROGRAMS, PRESUMED = (Path(__file__).with_name(name) for name in ("programs", "presumed"))
_KEPT = ("LANG", "LC_ALL", "TZ", "TMPDIR")
_SHELL = frozenset({"bash", "sh"})
#: The language of a block that shows what the commands before it print.
_SHOWN = "text"
#: What a command says that starts PostgreSQL by itself. It is no warning.
_STARTED = re.compile(r"PostgreSQL was started in .* \([0-9.]+ s\)\. It stops by itself\.\n")


class Journey:
    """Executes pages. Each begins where the one before it ended: the folder, the variables, the stack."""

    def __init__(self, home: Path, scratch: Path, environment: Mapping[str, str]) -> None:
        self._home = home
        programs = f"{PROGRAMS}{os.pathsep}{Path(sys.prefix, 'bin')}"
        inherited = {name: value for name, value in os.environ.items() if name in _KEPT}
        self._shell = Shell(
            {
                **inherited,
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                "VIRTUAL_ENV": sys.prefix,
                "HOME": str(home),
                "USER": "reader",
                "PRESUMED": str(PRESUMED),
                "OMP_NUM_THREADS": "1",
                **environment,
            },
            home,
            scratch,
        )

    def read(self, page: str, text: str | None = None) -> None:
        """Executes a page, or ``text`` in its place. Raises AssertionError with the line of what is not as it says."""
        with ExitStack() as closing:
            reading = _Reading(self._shell, self._home, closing)
            for entry in blocks_and_marks(page, text):
                reading.follow(entry)

    def close(self) -> None:
        """Ends the shell; what the pages started and did not stop, the caller stops."""
        self._shell.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Reading:
    """One page."""

    def __init__(self, shell: Shell, home: Path, closing: ExitStack) -> None:
        self._shell = shell
        self._home = home
        self._closing = closing
        self._interpreter: Interpreter | None = None
        #: Words of the page → the command that prints what the reader types in their place.
        self._words: dict[str, str] = {}
        #: What the newest block that was executed has printed, and the marks behind it.
        self._output = ""

    def follow(self, entry: Block | Mark) -> None:
        """Does what the block or the mark says."""
        match entry:
            case Mark(verb=Verb.RUNS):
                self._output += self._run(entry.text, entry.place)
            case Mark(verb=Verb.REPLACES):
                word, by, command = entry.text.partition(" by ")
                assert by, f"{entry.place}: write <!-- reader replaces: WORD by COMMAND -->"
                self._words[word] = command
            case Mark():
                self._compare(entry.text, entry.place)
            case Block() if entry.mark(Verb.SKIPS):
                self._output = ""
            case Block() if entry.file:
                self._save(entry.file, entry.code)
            case Block() if entry.language == _SHOWN:
                self._compare(entry.code, entry.place)
            case Block():
                self._output = self._executed(entry)

    def _executed(self, block: Block) -> str:
        code, fails = block.code, block.mark(Verb.FAILS) is not None
        if (into := block.mark(Verb.TYPES)) is not None:
            return self._run(into.text, block.place, typed=code, fails=fails)
        if block.language in _SHELL:
            return self._run(code, block.place, fails=fails)
        if block.language == "sql":
            return self._run("author-psql", block.place, typed=code, fails=fails)
        if block.language == "python":
            if self._interpreter is None:
                self._interpreter = Interpreter(self._shell)
                self._closing.callback(self._interpreter.close)
            return _checked(self._interpreter.run(code, block.place), block.place, fails=fails)
        raise AssertionError(f"{block.place}: say as which file the {block.language} is saved, or skip it by a mark")

    def _run(self, code: str, place: str, *, typed: str = "", fails: bool = False) -> str:
        """What the commands print together. Only the last one may fail, and must if ``fails``."""
        output = ""
        *others, last = commands(code)
        for command in others:
            output += _checked(self._shell.run(self._replaced(command), typed), place)
        return output + _checked(self._shell.run(self._replaced(last), typed), place, fails=fails)

    def _save(self, name: str, code: str) -> None:
        file = self._shell.folder() / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code, encoding="utf-8")

    def _compare(self, shown: str, place: str) -> None:
        assert self._output, f"{place}: no block before this one has printed anything; skip it by a mark"
        seen = comes_in(shown, self._output, home=str(self._home))
        assert seen, f"{place}: this was not printed:\n{shown}\nThe block before it printed:\n{self._output}"

    def _replaced(self, command: str) -> str:
        """The command with what the reader types for the words in it: the newest run now, not when the page began."""
        for word, by in self._words.items():
            pattern = rf"(?<!\w){re.escape(word)}(?!\w)" if word.isalnum() else re.escape(word)
            if re.search(pattern, command):
                typed = _checked(self._shell.run(by), by).strip()
                command = re.sub(pattern, lambda _, typed=typed: typed, command)
        return command


def _checked(ended: Ended, place: str, *, fails: bool = False) -> str:
    """The output of a command that ended as its page wants."""
    command, printed = f"{place}: {ended.command.rstrip()}", f"printed:\n{ended.output}{ended.errors}"
    assert (ended.exit_code != 0) == fails, f"{command}\nended with exit code {ended.exit_code}, and {printed}"
    errors = _STARTED.sub("", ended.errors)
    quiet = not errors or ended.exit_code != 0 or not ended.command.startswith("batchord")
    assert quiet, f"{command}\nsucceeded, but warned, and {printed}"
    return ended.output + ended.errors
