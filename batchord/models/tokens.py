"""Turns texts into token ids, and rows into micro-batches."""

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from batchord.core.errors import ConfigurationError
from batchord.models.tensors import notes

#: The limit of an input if neither the model nor its folder has one.
_USUAL_TOKENS = 512
#: A tokenizer without a limit has a huge number instead.
_NO_LIMIT = 1_000_000
#: A token rarely stands for more characters than this; see :meth:`Tokens.encode`.
_CHARACTERS_PER_TOKEN = 64
_SURROGATES = re.compile("[\ud800-\udfff]")


class Encoded(NamedTuple):
    """One text as the model reads it."""

    #: The name of an input -> its values, one per token. :class:`Tokens` knows the padding values.
    inputs: dict[str, list[int]]
    truncated: bool

    @property
    def length(self) -> int:
        """How many tokens the text has."""
        return len(self.inputs["input_ids"])


class Tokens:
    """A model's tokenizer. Raises ConfigurationError if the folder has no usable one."""

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
        # If none of these files exists, transformers silently makes a tokenizer that knows no words.
        vocabularies = {"tokenizer.json", *tokenizer.vocab_files_names.values()}
        if not tokenizer.is_fast or not any((folder / name).is_file() for name in vocabularies):
            raise ConfigurationError(
                f"{location} has no tokenizer.json: save it there with tokenizer.save_pretrained of a fast tokenizer."
            )
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self.limit = _limit(tokenizer, model.config, folder, location, max_tokens)
        padding = _padding(tokenizer, model.config)
        # Decoders use it to find a text's last token. With another value, the output would depend on the batch.
        model.config.pad_token_id = padding
        self._padding = {"input_ids": padding, "token_type_ids": tokenizer.pad_token_type_id}
        self._blank = _first((tokenizer.bos_token_id, tokenizer.cls_token_id, tokenizer.eos_token_id), padding)

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """All texts, cut to the limit. Of a very long text, only as much is tokenised as can matter."""
        longest = self.limit * _CHARACTERS_PER_TOKEN
        encoded = self._encode([text[:longest] for text in texts])
        # If a shortened text gives no more tokens than the limit, its rest might matter. This is rare: read it whole.
        too_short = [row for row, text in enumerate(texts) if len(text) > longest and not encoded[row].truncated]
        for row in too_short:
            encoded[row] = self._encode([texts[row]])[0]
        return encoded

    def _encode(self, texts: Sequence[str]) -> list[Encoded]:
        # The tokenizers, which are written in Rust, refuse half of a surrogate pair: it is not a character.
        clean = [_SURROGATES.sub("\ufffd", text) for text in texts]
        with self._lock:  # setting the truncation is not thread-safe
            batch = self._tokenizer(clean, truncation=True, max_length=self.limit)
        rows = range(len(texts))
        cut = [bool(encoding.overflowing) for encoding in batch.encodings]
        inputs = [{name: values[row] for name, values in batch.data.items()} for row in rows]
        return [
            Encoded(values if values["input_ids"] else self._blank_inputs(values), cut[row])
            for row, values in zip(rows, inputs, strict=True)
        ]

    def _blank_inputs(self, inputs: dict[str, list[int]]) -> dict[str, list[int]]:
        """The inputs of a text without tokens: one token that begins or ends a text.

        Without any token, a text would fail if it were alone, and would be nothing but padding among others.
        """
        values = {"input_ids": self._blank, "attention_mask": 1}
        return {name: [values.get(name, self._padding.get(name, 0))] for name in inputs}

    def padded(self, rows: Sequence[Encoded], device: str) -> dict[str, Any]:
        """Tensors of rows x tokens, padded on the right to the length of the longest row."""
        import torch

        longest = max(row.length for row in rows)
        return {
            name: torch.tensor(
                [row.inputs[name] + [self._padding.get(name, 0)] * (longest - row.length) for row in rows]
            ).to(device)
            for name in rows[0].inputs
        }


def micro_batches(rows: Sequence[Encoded], budget: int) -> Iterator[list[int]]:
    """Row numbers in groups of one row, or of at most ``budget`` tokens with padding.

    Rows of similar length share a group, so that little is computed for padding. The longest rows come first, so that a
    machine with too little memory fails at once and not at the end.
    """
    order = sorted(range(len(rows)), key=lambda row: rows[row].length, reverse=True)
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, rows[order[start]].length))
        yield order[start : start + size]
        start += size


def _padding(tokenizer: Any, config: Any) -> int:
    """The padding token: the one of the model's config, which the model looks for, or else the tokenizer's."""
    vocabulary_size = getattr(config, "vocab_size", None) or _NO_LIMIT
    token = config.pad_token_id
    if isinstance(token, int) and 0 <= token < vocabulary_size:  # some files have -1
        return token
    return _first((tokenizer.pad_token_id, tokenizer.eos_token_id), 0)


def _first(tokens: Iterable[int | None], otherwise: int) -> int:
    return next((token for token in tokens if token is not None), otherwise)


def _limit(tokenizer: Any, config: Any, folder: Path, location: str, max_tokens: int | None) -> int:
    """Tokens of the longest input: ``max_tokens``, or what the folder says, but not more than the model's positions."""
    # RoBERTa and similar models keep the first positions, up to that of the padding token, for padding.
    positions = getattr(config, "max_position_embeddings", None) or _NO_LIMIT
    if config.model_type in ("camembert", "roberta", "xlm-roberta", "xlm-roberta-xl", "mpnet", "longformer"):
        positions -= (config.pad_token_id or 0) + 1
    if max_tokens is not None:
        least = tokenizer.num_special_tokens_to_add() + 1
        if not least <= max_tokens <= positions:
            raise ConfigurationError(
                f"max_tokens={max_tokens}, but {location} takes between {least} and {positions} tokens: correct "
                "max_tokens."
            )
        return max_tokens
    noted = (notes(folder, "sentence_bert_config.json", location) or {}).get("max_seq_length")
    limit = min(noted or _NO_LIMIT, tokenizer.model_max_length, positions)
    return limit if limit < _NO_LIMIT else _USUAL_TOKENS
