"""Processes that a model or a step starts: they work on workers as in this process, and end with their task."""

import json

import psutil

from tests.acceptance.cluster import Cluster
from tests.waiting import wait_until

_PIPELINES = """
    import subprocess
    import time
    from concurrent.futures import ProcessPoolExecutor
    from datetime import timedelta
    from multiprocessing import Pool, Process, get_context

    from batchord import FunctionModel, Pipeline, Python, SqlSource

    source = SqlSource("SELECT id, body FROM notes", key="id")
    kept = []

    def size(text):
        return len(text)

    def series(frame, values):
        import pandas as pd
        return pd.Series(list(values), index=frame.index)

    def forked(frame):
        with Pool(2) as pool:
            return series(frame, pool.map(size, frame["body"]))

    def spawned(frame):
        with get_context("spawn").Pool(2) as pool:
            return series(frame, pool.map(len, frame["body"]))

    def executed(frame):
        with ProcessPoolExecutor(2) as pool:
            return series(frame, pool.map(size, frame["body"]))

    def loaded(frame):
        from torch.utils.data import DataLoader
        batches = DataLoader(list(frame["body"]), batch_size=4, num_workers=2)
        return series(frame, [len(text) for batch in batches for text in batch])

    def joined(frame):
        from joblib import Parallel, delayed
        return series(frame, Parallel(n_jobs=2)(delayed(len)(text) for text in frame["body"]))

    def kept_open(frame):
        if not kept:
            kept.append(Pool(2))
        return series(frame, kept[0].map(size, frame["body"]))

    models = [
        Pipeline(f"inner-{function.__name__.replace('_', '-')}", source=source, model=FunctionModel(function))
        for function in (forked, spawned, executed, loaded, joined, kept_open)
    ]

    def step():
        with Pool(2) as pool:
            return pool.map(size, ["a", "bb"])

    def sleeps():
        time.sleep(600)

    def leaves():
        Process(target=sleeps, daemon=False).start()
        subprocess.Popen(["sleep", "601"])
        subprocess.Popen(["sleep", "602"], start_new_session=True)
        return "left"

    def hangs():
        leaves()
        time.sleep(600)

    def slow():
        with Pool(2) as pool:
            pool.map(time.sleep, [5, 5])

    late = Pipeline("inner-late", steps=[Python("go", hangs, time_limit=timedelta(seconds=4))])
    steps = [Pipeline(f"inner-{each.__name__}", steps=[Python("go", each)]) for each in (step, leaves, hangs, slow)]
"""
_MODELS = ("forked", "spawned", "executed", "loaded", "joined", "kept-open")


_CHILDREN = 2


def _children(cluster: Cluster) -> set[int]:
    """The children of the pool itself, without the short-lived processes that they start at first."""
    return {process.pid for process in cluster.process("worker").children()}


def _sleepers(cluster: Cluster) -> set[int]:
    """This cluster's: another may run the same pipeline at the same time."""
    found = set()
    for process in psutil.process_iter():
        try:
            if process.cmdline() in (["sleep", "601"], ["sleep", "602"]) and (
                process.environ().get("BATCHORD_HOME") == str(cluster.home)
            ):
                found.add(process.pid)
        except psutil.Error:
            continue
    return found


def test_processes_within_models_and_steps_work_on_workers(notes: Cluster) -> None:
    """Every usual way to start some; twice, since what is kept from one task must not stop the next.

    Over 30 seconds on a busy machine: ten runs, of which one loads torch in three processes.
    """
    notes.pipeline("inner", _PIPELINES)
    notes.insert_notes(9)
    notes.start("control", "worker")
    for name in _MODELS:
        ended = json.loads(notes.batchord("run", f"inner-{name}", "--wait", "--json", check=False).stdout)
        assert (name, ended["state"], ended["predicted"]) == (name, "succeeded", 9), ended["error"]
    notes.insert_notes(5)
    for name in ("forked", "kept-open", "joined"):
        ended = json.loads(notes.batchord("run", f"inner-{name}", "--wait", "--json", check=False).stdout)
        assert (name, ended["state"], ended["predicted"]) == (name, "succeeded", 5), ended["error"]
    ended = json.loads(notes.batchord("run", "inner-step", "--wait", "--json", check=False).stdout)
    assert ended["state"] == "succeeded", ended["error"]


def test_what_a_task_leaves_behind_ends_with_it(notes: Cluster) -> None:
    """Forked, started as a program, or in a session of its own; and the child that had them is replaced."""
    notes.pipeline("inner", _PIPELINES)
    notes.start("control", "worker")
    wait_until(lambda: len(_children(notes)) == _CHILDREN, description="the pool's children are there")
    before = _children(notes)

    ended = json.loads(notes.batchord("run", "inner-leaves", "--wait", "--json").stdout)

    assert ended["state"] == "succeeded", ended["error"]
    assert "The task left these processes behind, and the worker ends them" in notes.log("worker")
    wait_until(lambda: not _sleepers(notes), description="what the step left behind has ended", timeout=20)
    wait_until(
        lambda: len(after := {process.pid for process in notes.pool("worker")}) == _CHILDREN and after != before,
        description="a child was replaced, and no other process is left",
        timeout=20,
    )


def test_what_a_killed_child_started_ends_with_it(notes: Cluster) -> None:
    """Nobody in it can clean up any more."""
    notes.pipeline("inner", _PIPELINES)
    notes.start("control", "worker")
    notes.batchord("run", "inner-hangs")
    wait_until(lambda: len(_sleepers(notes)) == 2, description="the step has started its processes", timeout=30)
    (sleeper, *_) = _sleepers(notes)
    child = psutil.Process(sleeper).parent()
    assert child is not None
    started = [*child.children(recursive=True)]
    assert len(started) == 3

    child.kill()

    _, alive = psutil.wait_procs(started, timeout=20)
    assert not alive


def test_a_step_out_of_time_takes_its_processes_with_it(notes: Cluster) -> None:
    """The pool's parent ends the child without knowing the processes that the child started."""
    notes.pipeline("inner", _PIPELINES)
    notes.start("control", "worker")

    ended = json.loads(notes.batchord("run", "inner-late", "--wait", "--json", check=False).stdout)

    assert ended["state"] == "failed"
    assert "the step took too long, and Batchord ended it" in ended["error"]
    wait_until(lambda: not _sleepers(notes), description="what the step started has ended", timeout=20)


def test_a_lease_is_kept_while_processes_work(notes: Cluster) -> None:
    """The task waits for longer than a lease lasts. Its heartbeat still runs."""
    notes.pipeline("inner", _PIPELINES)
    notes.start("control", "worker", "beat")

    ended = json.loads(notes.batchord("run", "inner-slow", "--wait", "--json").stdout)

    assert ended["state"] == "succeeded", ended["error"]
    assert notes.sql("SELECT attempt, state FROM batchord.attempts WHERE step = 'go'") == [(1, "done")]
