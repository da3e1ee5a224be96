"""A sentence encoder of the kind of all-MiniLM-L6-v2 (Reimers and Gurevych 2019), which embeds words and texts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import BertModel

from backbone.retrieval.retriever import Array

BATCH = 256


class Encoder:
    """A BERT whose last states are averaged.

    Args:
        folder: With config.json, model.safetensors and tokenizer.json.
    """

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._model = BertModel.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True
        ).eval()

    def words(self) -> list[str]:
        """Return the vocabulary in its order, without the pieces that go on a word."""
        tokens = self._tokenizer.get_vocab()
        return [token for token in sorted(tokens, key=tokens.__getitem__) if not token.startswith("##")]

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> Array:
        """Return the embeddings of texts, (N, E)."""
        ids = [encoded.ids for encoded in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        found = np.zeros((len(ids), self._model.config.hidden_size), np.float32)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            longest = max(len(ids[row]) for row in rows)
            padded = torch.tensor([ids[row] + [0] * (longest - len(ids[row])) for row in rows])
            mask = torch.tensor([[1] * len(ids[row]) + [0] * (longest - len(ids[row])) for row in rows])
            states = self._model(input_ids=padded, attention_mask=mask).last_hidden_state
            found[rows] = ((states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)).numpy()
        return found
