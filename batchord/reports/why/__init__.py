"""Why a record has the outcome that it has, or has none yet."""
