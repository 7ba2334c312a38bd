"""Pipeline files that make their model in every way that Python has. The numbers in them mark what a test edits."""


def file(declared: str, code: str = "") -> dict[str, str]:
    """A pipeline file with ``code`` and the model ``declared``."""
    head = "import functools\nfrom batchord import FunctionModel, Pipeline, SqlSource\n"
    last = f'\npipeline = Pipeline("reviews", source=SqlSource("SELECT 1 AS id", key="id"), model={declared})\n'
    return {"reviews.py": head + code + last}


def decorated(n: int, m: int) -> str:
    """A decorator of the file's own, and its function."""
    return f"""
def twice(function):
    @functools.wraps(function)
    def wrapper(frame):
        return function(frame) * {n}
    return wrapper

@twice
def score(frame):
    return frame["x"] + {m}
"""


def factory(m: int) -> str:
    """A function that makes the model."""
    return f"""
def make(k):
    def inner(frame):
        return frame["x"] * k + {m}
    return inner
"""


def made_class(m: int) -> str:
    """An object that is called, or one of its methods."""
    return f"""
class Scorer:
    def __init__(self, k):
        self.k = k
    def __call__(self, frame):
        return frame["x"] * self.k + {m}
    def predict(self, frame):
        return self(frame)
"""


def set_later(m: int) -> str:
    """A name that a function sets."""
    return f"""
LIMIT = None
def prepare():
    global LIMIT
    LIMIT = {m}
prepare()
def score(frame):
    return frame["x"] > LIMIT
"""


def in_blocks(m: int) -> str:
    """Names that are set in blocks."""
    return f"""
try:
    import no_such_library
except ImportError:
    FALLBACK = {m}
for value in range(9):
    LAST = value
if (n := 9):
    pass
def score(frame):
    return frame["x"] + FALLBACK + LAST + n
"""


def dynamic(m: int) -> str:
    """A name that no statement sets."""
    return f"""
globals()["LIMIT"] = {m}
def score(frame):
    return frame["x"] > LIMIT
"""


def by_text(m: int) -> str:
    """A name that the function looks up by its text."""
    return f"""
LIMIT = {m}
def score(frame):
    return frame["x"] > globals()["LIMIT"]
"""


PAIR = "K = (lambda f: f['x'], lambda f: f['{}'])"
