"""One Python for all blocks of a page that are a session."""

import json
import subprocess
from pathlib import Path

from tests.pages.shell import Ended, Shell

_SESSION = Path(__file__).with_name("session.py")


class Interpreter:
    """The Python that the shell finds, with the shell's folder and variables at this moment."""

    def __init__(self, shell: Shell) -> None:
        environment = shell.environment()
        self._process = subprocess.Popen(
            [shell.run("command -v python").output.strip(), "-P", str(_SESSION)],
            cwd=shell.folder(),
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def run(self, code: str, place: str) -> Ended:
        """Executes a block; the exit code is 1 when it raises."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"code": code, "place": place}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise ChildProcessError(f"{place} ended its Python with exit code {self._process.wait()}")
        answer = json.loads(line)
        return Ended(command=code, output=answer["output"], errors="", exit_code=int(answer["failed"]))

    def close(self) -> None:
        """Ends the Python."""
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
