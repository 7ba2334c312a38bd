"""Tiny models with random or quickly fitted weights, made in seconds and stored as real ones are."""

import hashlib
import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchord.models.skops_import import import_skops

if TYPE_CHECKING:
    import pandas as pd

WORDS = ("good", "great", "fine", "bad", "awful", "poor", "film", "book", "food", "the", "a", "was", "very", "not")


def save_text_classifier(folder: Path, *, seed: int = 0) -> Path:
    """A BERT of 2 layers over a WordPiece vocabulary, with labels ``bad`` and ``good``."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = save_tokenizer(folder)
    torch.manual_seed(seed)
    config = _bert(len(tokenizer)) | {"id2label": {0: "bad", 1: "good"}, "label2id": {"bad": 0, "good": 1}}
    BertForSequenceClassification(BertConfig(**config)).save_pretrained(folder)
    return folder


def save_text_embedder(folder: Path, *, seed: int = 0) -> Path:
    """The same network without a head."""
    import torch
    from transformers import BertConfig, BertModel

    tokenizer = save_tokenizer(folder)
    torch.manual_seed(seed)
    BertModel(BertConfig(**_bert(len(tokenizer))), add_pooling_layer=False).save_pretrained(folder)
    return folder


def save_decoder(folder: Path, *, seed: int = 0, head: bool = True) -> Path:
    """A GPT-2 of 2 layers with a byte-level tokenizer, which adds no token to a text and has none for padding."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2ForSequenceClassification, GPT2Model, PreTrainedTokenizerFast

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    end = "<|endoftext|>"
    trained.train_from_iterator(
        [" ".join(WORDS)] * 3, trainers.BpeTrainer(vocab_size=300, special_tokens=[end], initial_alphabet=alphabet)
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=trained, bos_token=end, eos_token=end, model_max_length=32)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    kind = GPT2ForSequenceClassification if head else GPT2Model
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=64, num_labels=2, initializer_range=0.5
    )
    kind(config).save_pretrained(folder)
    return folder


def save_tokenizer(folder: Path) -> Any:
    """A WordPiece tokenizer, trained on :data:`WORDS`."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertTokenizerFast

    trained = BertWordPieceTokenizer()
    trained.train_from_iterator([" ".join(WORDS)] * 3, vocab_size=200, show_progress=False)
    folder.mkdir(parents=True, exist_ok=True)
    trained.save(str(folder / "tokenizer.json"))
    tokenizer = BertTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), model_max_length=32)
    tokenizer.save_pretrained(folder)
    return tokenizer


def save_image_classifier(folder: Path, *, seed: int = 0) -> Path:
    """A MobileNetV2 of a quarter's width, on 32 x 32 pixels, with three labels."""
    import torch
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    save_image_processor(folder)
    torch.manual_seed(seed)
    config = MobileNetV2Config(
        image_size=32, depth_multiplier=0.25, tf_padding=False, id2label={0: "cat", 1: "dog", 2: "palace"}
    )
    model = MobileNetV2ForImageClassification(config)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight)  # as initialised, every picture gets the same score
    model.save_pretrained(folder)
    return folder


def save_image_embedder(folder: Path, *, seed: int = 0) -> Path:
    """A ViT of 2 layers, on 32 x 32 pixels."""
    import torch
    from transformers import ViTConfig, ViTModel

    save_image_processor(folder)
    torch.manual_seed(seed)
    config = ViTConfig(
        image_size=32, patch_size=8, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def save_image_processor(folder: Path) -> None:
    """What resizes to 32 x 32 pixels and normalises."""
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)


def save_sklearn_classifier(file: Path, *, seed: int = 0) -> Path:
    """TF-IDF and a logistic regression over texts, with classes 0 and 1."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = [f"{word} {other}" for word in WORDS for other in WORDS]
    classes = [int(word in ("good", "great", "fine")) for word in WORDS for _ in WORDS]
    return save_estimator(file, make_pipeline(TfidfVectorizer(), LogisticRegression(C=1 + seed)).fit(texts, classes))


def save_sklearn_regressor(file: Path, *, seed: int = 0) -> Path:
    """A forest over the columns ``rooms`` and ``area``."""
    from sklearn.ensemble import RandomForestRegressor

    frame = _rooms(seed)
    forest = RandomForestRegressor(n_estimators=5, random_state=seed, n_jobs=2)
    return save_estimator(file, forest.fit(frame, frame.to_numpy().sum(axis=1)))


def _rooms(seed: int) -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    return pd.DataFrame(np.random.default_rng(seed).uniform(1, 10, size=(60, 2)), columns=["rooms", "area"])


def save_xgboost_regressor(file: Path, *, seed: int = 0) -> Path:
    """Five trees over the columns ``rooms`` and ``area``."""
    import xgboost

    file.parent.mkdir(parents=True, exist_ok=True)
    frame = _rooms(seed)
    xgboost.XGBRegressor(n_estimators=5, n_jobs=1).fit(frame, frame.sum(axis=1)).save_model(file)
    return file


def save_catboost_classifier(file: Path, *, seed: int = 0) -> Path:
    """Five trees over the columns ``rooms`` and ``area``, with classes ``small`` and ``large``."""
    import catboost

    file.parent.mkdir(parents=True, exist_ok=True)
    frame = _rooms(seed)
    sizes = (frame["area"] > 5).map({True: "large", False: "small"})
    fitted = catboost.CatBoostClassifier(iterations=5, verbose=0, thread_count=1, allow_writing_files=False)
    fitted.fit(frame, sizes).save_model(str(file))
    return file


def save_onnx_classifier(file: Path, *, seed: int = 0) -> Path:
    """A logistic regression over two columns of numbers, with classes 0 and 1, as skl2onnx writes it."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.linear_model import LogisticRegression

    file.parent.mkdir(parents=True, exist_ok=True)
    frame = _rooms(seed) * [1, 20]
    fitted = LogisticRegression(C=0.001).fit(frame.to_numpy(), (frame["area"] > 100).astype(int))
    graph = to_onnx(fitted, initial_types=[("X", FloatTensorType([None, 2]))])
    file.write_bytes(graph.SerializeToString())
    return file


def save_estimator(file: Path, estimator: Any) -> Path:
    """Stores any estimator: with skops, joblib or pickle, by the file's ending."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".joblib":
        import joblib

        joblib.dump(estimator, file)
    elif file.suffix == ".skops":
        import_skops().dump(estimator, file)
    else:
        file.write_bytes(pickle.dumps(estimator))
    return file


def digest_of(file: Path | str) -> str:
    """What `trust_pickle=` names."""
    return f"sha256:{hashlib.sha256(Path(file).read_bytes()).hexdigest()}"


class _Writing:
    """Calls ``os.mkdir`` when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self._proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._proof),)


def save_malicious(file: Path, proof: Path) -> Path:
    """A pickle that makes ``proof``, a folder, when it is loaded."""
    file.write_bytes(pickle.dumps({"model": _Writing(proof)}))
    return file


def _bert(vocabulary: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "initializer_range": 0.5,  # random weights of the usual size would give every text the same score
    }
