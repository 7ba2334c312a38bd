"""Reports: what the command line, the pages and the metrics show. Each question has one report.

A report is a frozen dataclass; a function makes it from the ledger or from the catalog. Reports decide what a state
means to people, durations, rates and orders. Commands and pages decide how a report looks. The names of its fields are
the contract for programs: fields may be added, but none is renamed or removed.
"""
