"""The examples at the end of each command's ``--help``. A test parses each of them as the command does."""

#: Command → two examples, each with what it does.
EXAMPLES = {
    "new": (
        ("batchord new reviews", "a file that runs as it stands"),
        ("batchord new churn --kind sklearn --table public.customers", "over a table of yours"),
    ),
    "up": (
        ("batchord up", "start everything"),
        ("BATCHORD_PARALLELISM=4 batchord up", "with four worker processes"),
    ),
    "down": (
        ("batchord down", "stop everything; the data stay"),
        ("batchord down --json", "for a program"),
    ),
    "status": (
        ("batchord status", "what runs, and where"),
        ("batchord status --password", "also Flower's login"),
    ),
    "migrate": (
        ("batchord migrate", "at each deploy, before the workers start"),
        ("batchord migrate --json", "for a program"),
    ),
    "config": (
        ("batchord config", "what is set, and where"),
        ("batchord config --all", "also the defaults"),
    ),
    "completion": (
        ("batchord completion bash > ~/.batchord-completion", "for one user"),
        ("batchord completion fish | source", "for this shell"),
    ),
    "pipelines": (
        ("batchord pipelines", "all pipelines and problems"),
        ("batchord pipelines --json", "for a program"),
    ),
    "check": (
        ("batchord check", "all files, and their SQL"),
        ("batchord check pipelines/reviews.py --models --format github", "in a workflow on GitHub"),
    ),
    "trust": (
        ("batchord trust model.joblib", "what it imports, and the line"),
        ("batchord trust s3://models/churn.pkl --json", "for a program"),
    ),
    "convert": (
        ("batchord convert model.joblib -o model.skops", "shows the imports, and asks"),
        ("batchord convert model.pkl -o model.skops --trust sha256:9f2c…", "in a script"),
    ),
    "plan": (
        ("batchord plan reviews", "what a run would predict"),
        ("batchord plan reviews --json", "for a program"),
    ),
    "try": (
        ("batchord try reviews --limit 3", "three records, here and now"),
        ("batchord try reviews --where \"country = 'DE'\" --json", "chosen by SQL, for a program"),
    ),
    "run": (
        ("batchord run reviews --wait", "on the workers, up to its end"),
        ("batchord run reviews --local --param region=north", "here, with a parameter"),
    ),
    "top": (
        ("batchord top", "until q or Ctrl-C"),
        ("batchord top --once", "print it once"),
    ),
    "runs": (
        ("batchord runs --limit 5", "the five newest"),
        ("batchord runs --pipeline reviews --state failed", "what failed"),
    ),
    "show": (
        ("batchord show 01976f3a", "the first characters are enough"),
        ("batchord show 01976f3a --json", "for a program"),
    ),
    "report": (
        ("batchord report 01976f3a -o report.html", "one file, to be sent"),
        ("batchord report reviews > report.html", "of the newest run of a pipeline"),
    ),
    "export": (
        ("batchord export reviews -o reviews.parquet", "what is served now"),
        ("batchord export reviews -o - --format csv --where 'score >= 0.9' | head", "to a program"),
    ),
    "rejections": (
        ("batchord rejections --pipeline reviews", "of one pipeline"),
        ("batchord rejections --run 01976f3a --reason empty-text", "of a run"),
    ),
    "logs": (
        ("batchord logs 01976f3a --follow", "up to the run's end"),
        ("batchord logs 01976f3a --step predict --shard 7", "one shard"),
    ),
    "retry": (
        ("batchord retry reviews --reason missing-object", "after a fix"),
        ("batchord retry reviews --key 17 --key 23", "two records"),
    ),
    "rerun": (
        ("batchord rerun 01976f3a --failed", "what failed"),
        ("batchord rerun 01976f3a --from report", "from one step on"),
    ),
    "why": (
        ("batchord why reviews 17", "what became of record 17"),
        ("batchord why reviews 17 --step mood --json", "in one step, for a program"),
    ),
    "reset": (
        ("batchord reset reviews", "shows what goes, and asks"),
        ("batchord reset reviews --step mood --yes", "one step, without a question"),
    ),
    "cancel": (
        ("batchord cancel 01976f3a", "its predictions stay"),
        ("batchord cancel 01976f3a --json", "for a program"),
    ),
    "pause": (
        ("batchord pause reviews", "no runs by schedule or event"),
        ("batchord pause reviews --json", "for a program"),
    ),
    "resume": (
        ("batchord resume reviews", "runs by schedule and event again"),
        ("batchord resume reviews --json", "for a program"),
    ),
    "schedule": (
        ("batchord schedule", "when each pipeline runs next"),
        ("batchord schedule reviews --cron '0 6 * * 1-5' --tz Europe/Berlin", "change it"),
    ),
    "history": (
        ("batchord history --pipeline reviews", "of one pipeline"),
        ("batchord history --run 01976f3a", "of one run"),
    ),
    "alerts": (
        ("batchord alerts --limit 5", "the five newest"),
        ("batchord alerts --test", "reach every receiver now"),
    ),
    "metrics": (
        ("batchord metrics", "all metrics, once"),
        ("batchord metrics | grep pending", "the backlogs"),
    ),
    "prune": (
        ("batchord prune", "what the settings do not keep"),
        ("BATCHORD_KEEP_RUNS_DAYS=90 batchord prune", "keep less"),
    ),
    "audit": (
        ("batchord audit", "all pipelines"),
        ("batchord audit reviews --repair", "predict what is missing"),
    ),
    "audits": (
        ("batchord audits --pipeline reviews", "of one pipeline"),
        ("batchord audits --limit 5 --json", "the five newest, for a program"),
    ),
}
#: The width of a help page without its margin, and that of the gap before what an example does.
_WIDTH, _GAP = 76, 2


def epilog(name: str) -> str | None:
    """The end of the command's help page; None if it has no examples."""
    if name not in EXAMPLES:
        return None
    examples = EXAMPLES[name]
    column = max(len(command) for command, _ in examples) + _GAP
    lines = [
        f"{command:<{column}}{what}" if column + len(what) <= _WIDTH else f"{command}\n    {what}"
        for command, what in examples
    ]
    # \b: click leaves the ends of these lines as they are.
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
