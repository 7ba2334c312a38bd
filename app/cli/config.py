"""``batchord config``: the settings, and where each comes from."""

import os
import sys

import click

from batchord.core.text.counts import counted
from batchord.core.text.visible import as_one_entry
from batchord.reports.settings import SettingsReport, settings_here

from .output import console, json_option, print_json, table
from .terminal import foreign, text


@click.command()
@click.option("--all", "with_defaults", is_flag=True, help="Also show the settings that have their default.")
@json_option
def config(*, with_defaults: bool, as_json: bool) -> None:
    """Show the settings that you have given and where each comes from. Secrets are masked.

    The exit code is 1 when a setting is wrong. Then no other command works.
    """
    report = settings_here(os.environ)
    if as_json:
        print_json(report.as_json(with_defaults=with_defaults))
    else:
        _print(report, with_defaults=with_defaults)
    if report.problems:
        sys.exit(1)


def _print(report: SettingsReport, *, with_defaults: bool) -> None:
    shown = report.settings if with_defaults else report.given
    file = report.project_file
    console.print(f"Settings file: {foreign(file)}" if file else "No batchord.toml here or in a folder above.")
    if shown:
        rows = [(each.name, _value(each.value), each.origin) for each in shown]
        table("Settings", ("setting", "value", "origin"), rows, empty="")
    if hidden := len(report.settings) - len(shown):
        others = counted(hidden, "setting has its default", plural="settings have their defaults")
        console.print(text((f"{others}. `batchord config --all` shows them.", "dim")))
    for remark in report.remarks:
        console.print(text(("!", "yellow"), f" {foreign(remark)}"))
    for problem in report.problems:
        console.print(text(("✗", "red"), f" {as_one_entry(problem)}"))


def _value(value: str | float | None) -> str:
    # Numbers as one writes them in the file.
    return "-" if value is None else foreign(value)
