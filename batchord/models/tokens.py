"""Texts to token ids, and rows to micro-batches."""

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from batchord.core.errors import ConfigurationError
from batchord.models.tensors import notes

#: Where nothing says how long an input may be.
_USUAL_TOKENS = 512
#: Tokenizers write a huge number where they know no limit.
_NO_LIMIT = 1_000_000
#: A token rarely stands for more characters than this; see :meth:`Tokens.encode`.
_CHARACTERS_PER_TOKEN = 64
_SURROGATES = re.compile("[\ud800-\udfff]")


class Encoded(NamedTuple):
    """One text as the model reads it."""

    #: Input's name -> its values, one per token; what to pad with stands in :class:`Tokens`.
    inputs: dict[str, list[int]]
    truncated: bool

    @property
    def length(self) -> int:
        """Tokens."""
        return len(self.inputs["input_ids"])


class Tokens:
    """A model's tokenizer. Raises ConfigurationError when the folder has none that can be used."""

    def __init__(self, folder: Path, location: str, model: Any, *, max_tokens: int | None) -> None:
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, use_fast=True
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ConfigurationError(
                f"{location} has no usable tokenizer ({error}): save it there with tokenizer.save_pretrained."
            ) from error
        # Without any of these files transformers makes a tokenizer that knows no word, and says nothing.
        vocabularies = {"tokenizer.json", *tokenizer.vocab_files_names.values()}
        if not tokenizer.is_fast or not any((folder / name).is_file() for name in vocabularies):
            raise ConfigurationError(
                f"{location} has no tokenizer.json: save it there with tokenizer.save_pretrained of a fast tokenizer."
            )
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self.limit = _limit(tokenizer, model.config, folder, location, max_tokens)
        padding = _padding(tokenizer, model.config)
        # Decoders find a text's last token by it: with any other the outcome would depend on the batch.
        model.config.pad_token_id = padding
        self._padding = {"input_ids": padding, "token_type_ids": tokenizer.pad_token_type_id}
        self._blank = _first((tokenizer.bos_token_id, tokenizer.cls_token_id, tokenizer.eos_token_id), padding)

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Every text, cut to the limit. A very long one is not tokenised beyond what can matter."""
        longest = self.limit * _CHARACTERS_PER_TOKEN
        encoded = self._encode([text[:longest] for text in texts])
        # A cut text that yields no more tokens than the limit might have gone on: rare, so read whole.
        short = [row for row, text in enumerate(texts) if len(text) > longest and not encoded[row].truncated]
        for row in short:
            encoded[row] = self._encode([texts[row]])[0]
        return encoded

    def _encode(self, texts: Sequence[str]) -> list[Encoded]:
        # Half of a surrogate pair is no character; the tokenizers, written in Rust, refuse it.
        clean = [_SURROGATES.sub("\ufffd", text) for text in texts]
        with self._lock:  # setting the truncation is not safe in threads
            batch = self._tokenizer(clean, truncation=True, max_length=self.limit)
        rows = range(len(texts))
        cut = [bool(encoding.overflowing) for encoding in batch.encodings]
        inputs = [{name: values[row] for name, values in batch.data.items()} for row in rows]
        return [
            Encoded(each if each["input_ids"] else self._of_no_tokens(each), cut[row])
            for row, each in zip(rows, inputs, strict=True)
        ]

    def _of_no_tokens(self, inputs: dict[str, list[int]]) -> dict[str, list[int]]:
        """One token that begins or ends a text. Without any, a blank text fails alone, and beside others is padding."""
        values = {"input_ids": self._blank, "attention_mask": 1}
        return {name: [values.get(name, self._padding.get(name, 0))] for name in inputs}

    def padded(self, rows: Sequence[Encoded], device: str) -> dict[str, Any]:
        """Tensors of rows x tokens, padded on the right to the longest row."""
        import torch

        longest = max(row.length for row in rows)
        return {
            name: torch.tensor(
                [row.inputs[name] + [self._padding.get(name, 0)] * (longest - row.length) for row in rows]
            ).to(device)
            for name in rows[0].inputs
        }


def micro_batches(rows: Sequence[Encoded], budget: int) -> Iterator[list[int]]:
    """Row numbers, longest first, in groups of at most ``budget`` tokens with padding (or one row).

    Rows of like length share a group, so that little is computed for padding; the longest go first, so
    that a machine with too little memory fails at once and not at the end.
    """
    order = sorted(range(len(rows)), key=lambda row: rows[row].length, reverse=True)
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, rows[order[start]].length))
        yield order[start : start + size]
        start += size


def _padding(tokenizer: Any, config: Any) -> int:
    """The token that stands for none: the model's own word, since it looks for that one, then the tokenizer's."""
    known = getattr(config, "vocab_size", None) or _NO_LIMIT
    said = config.pad_token_id
    if isinstance(said, int) and 0 <= said < known:  # some files say -1
        return said
    return _first((tokenizer.pad_token_id, tokenizer.eos_token_id), 0)


def _first(tokens: Iterable[int | None], otherwise: int) -> int:
    return next((token for token in tokens if token is not None), otherwise)


def _limit(tokenizer: Any, config: Any, folder: Path, location: str, asked: int | None) -> int:
    """Tokens of the longest input: as asked, or as the folder says, within what the model has positions for."""
    # RoBERTa and its like keep the first positions, up to the padding's, for padding.
    positions = getattr(config, "max_position_embeddings", None) or _NO_LIMIT
    if config.model_type in ("camembert", "roberta", "xlm-roberta", "xlm-roberta-xl", "mpnet", "longformer"):
        positions -= (config.pad_token_id or 0) + 1
    if asked is not None:
        least = tokenizer.num_special_tokens_to_add() + 1
        if not least <= asked <= positions:
            raise ConfigurationError(
                f"max_tokens={asked}, but {location} takes between {least} and {positions} tokens: correct max_tokens."
            )
        return asked
    noted = (notes(folder, "sentence_bert_config.json", location) or {}).get("max_seq_length")
    known = min(noted or _NO_LIMIT, tokenizer.model_max_length, positions)
    return known if known < _NO_LIMIT else _USUAL_TOKENS
