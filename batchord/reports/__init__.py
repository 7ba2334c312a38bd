"""Read models: what the command line, the pages and the metrics show. Each question is answered here, once.

A report is a frozen dataclass; a function makes it from the ledger, or from the catalog. What a state means to people,
durations, rates and the order of things are decided here; who shows a report decides how it looks. The names of fields
are the contract for programs: fields may be added, none is renamed or removed.
"""
