"""The vision-language engine and its tools, run with small random models in the format of transformers."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoProcessor,
    CLIPImageProcessor,
    CLIPVisionConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessor,
    Idefics3Processor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from tests.engines.helpers import TINY, add_weights, noise
from tools.ask import ask
from tools.caption import caption
from tools.core.errors import ToolError, WeightsMissing
from tools.engines import vision_language
from tools.runtime.execute import call
from tools.runtime.model_cache import evict_idle, loaded
from tools.storage.store import Store
from tools.values import Text
from tools.weights import weights

# The template of SmolVLM, as it is published with the weights.
TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
SPECIAL = [
    "<|im_start|>",
    "<|im_end|>",
    "<image>",
    "<fake_token_around_image>",
    "<end_of_utterance>",
    "<global-img>",
    *(f"<row_{i}_col_{j}>" for i in range(1, 7) for j in range(1, 7)),
]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def store(offline_store: Store) -> Store:
    return offline_store


def tokenizer() -> PreTrainedTokenizerFast:
    """Every byte is a token."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    words.add_special_tokens(SPECIAL)
    return PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<|im_start|>", eos_token="<end_of_utterance>", pad_token="<|im_end|>"
    )


def text_config(words: PreTrainedTokenizerFast) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(words),
        **TINY,
        num_key_value_heads=1,
        max_position_embeddings=4096,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )


@pytest.fixture(scope="module")
def smolvlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model of SmolVLM's kind, with a chat template, in bfloat16 as it is published."""
    words = tokenizer()
    torch.manual_seed(0)
    model = Idefics3ForConditionalGeneration(
        Idefics3Config(
            vision_config={**TINY, "image_size": 32, "patch_size": 8},
            text_config=text_config(words).to_dict(),
            scale_factor=2,
            pad_token_id=words.pad_token_id,
            image_token_id=words.convert_tokens_to_ids("<image>"),
        )
    )
    with torch.no_grad():  # more spread out than a fresh model, so that answers depend on what is asked
        for weight in model.parameters():
            weight.mul_(4)
    folder = tmp_path_factory.mktemp("weights") / "smolvlm"
    model.to(torch.bfloat16).save_pretrained(folder)
    pictures = Idefics3ImageProcessor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    Idefics3Processor(pictures, words, image_seq_len=4, chat_template=TEMPLATE).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model without a chat template."""
    words = tokenizer()
    torch.manual_seed(0)
    vision = CLIPVisionConfig(**{**TINY, "num_hidden_layers": 2}, image_size=32, patch_size=16)
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=vision, text_config=text_config(words), image_token_id=words.convert_tokens_to_ids("<image>")
        )
    )
    folder = tmp_path_factory.mktemp("weights") / "llava"
    model.save_pretrained(folder)
    pictures = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    LlavaProcessor(
        pictures, words, patch_size=16, vision_feature_select_strategy="default", num_additional_image_tokens=1
    ).save_pretrained(folder)
    assert not AutoProcessor.from_pretrained(folder).chat_template
    return folder


def take(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str = "tiny-vlm") -> str:
    """Add weights and give them both roles."""
    return add_weights(monkeypatch, name, folder, "caption", "ask")


def test_the_tools_have_the_declared_parameters() -> None:
    assert list(inspect.signature(caption.fn).parameters) == ["image"]
    assert list(inspect.signature(ask.fn).parameters) == ["image", "question"]
    assert caption.read_only and ask.read_only
    assert caption.returns.kind == ask.returns.kind == "Text"


@pytest.mark.parametrize("kind", ["smolvlm", "llava"])
def test_ask_answers_with_its_provenance(
    store: Store, kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(monkeypatch, request.getfixturevalue(kind))
    given = store.put(noise(70, 40))
    ref: Any = call(ask, {"image": given, "question": "Is the door open?"}, store, "s1")
    answer = store.get(ref)
    assert isinstance(answer, Text) and answer.text and "door" not in answer.text
    assert "Assistant" not in answer.text and "Answer" not in answer.text
    assert ref["provenance"]["weights"] == [
        {"id": "tiny-vlm", "sha256": weights.verify("tiny-vlm"), "licence": "CC0-1.0"}
    ]
    assert ref["provenance"]["args"] == {"question": "Is the door open?"}
    assert ref["provenance"]["inputs"] == [given["sha256"]]


def test_caption_describes_and_both_share_one_model(
    store: Store, smolvlm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evict_idle()
    take(monkeypatch, smolvlm)
    given = store.put(noise(70, 40))
    described: Any = call(caption, {"image": given}, store)
    call(ask, {"image": given, "question": "What is it?"}, store)
    assert isinstance(store.get(described), Text)
    (model,) = loaded()
    numbers = sum(p.numel() for p in Idefics3ForConditionalGeneration.from_pretrained(smolvlm).parameters())
    assert model.bytes == pytest.approx(4 * numbers, rel=0.01)  # in float32, though the file has half of that


def test_answers_depend_on_picture_and_question_and_on_nothing_else(
    store: Store, smolvlm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(monkeypatch, smolvlm)

    def answer(seed: int, question: str) -> str:
        ref: Any = call(ask, {"image": store.put(noise(64, 64, seed)), "question": question}, store)
        return str(ref["sha256"])

    first = answer(0, "What is it?")
    torch.manual_seed(99)
    assert answer(0, "What is it?") == first == answer(0, "  What is it?\n")
    evict_idle()
    assert answer(0, "What is it?") == first
    assert len({first, answer(0, "How many?"), answer(1, "What is it?")}) > 1


@pytest.mark.parametrize("kind", ["smolvlm", "llava"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 3), (1, 5000), (333, 77), (3000, 2001)])
def test_pictures_of_any_size(
    store: Store, kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, width: int, height: int
) -> None:
    name = take(monkeypatch, request.getfixturevalue(kind))
    assert vision_language.answer(noise(width, height), "What is it?", name, longest=8).text


def test_pictures_are_brought_into_the_range_of_sizes() -> None:
    assert vision_language._resized(noise(100, 50)).size == (100, 50)
    assert vision_language._resized(noise(1, 1)).size == (32, 32)
    assert vision_language._resized(noise(4096, 1024)).size == (2048, 512)
    assert vision_language._resized(noise(10, 4096)).size == (32, 2048)


@pytest.mark.parametrize("kind", ["smolvlm", "llava"])
def test_marks_of_the_model_in_a_question_are_taken_out(
    store: Store, kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = take(monkeypatch, request.getfixturevalue(kind))
    given = noise(64, 64)
    plain = vision_language.answer(given, "What is it?", name, longest=8)
    marked = "What <image>is<end_of_utterance> it?<ima<image>ge>"
    assert vision_language.answer(given, marked, name, longest=8) == plain


@pytest.mark.parametrize("question", ["", " \n"])
def test_no_question_is_refused_before_a_model_is_loaded(store: Store, question: str) -> None:
    with pytest.raises(ToolError, match="question is empty"):
        call(ask, {"image": store.put(noise(8, 8)), "question": question}, store)


def test_missing_weights_name_the_command(store: Store) -> None:
    with pytest.raises(WeightsMissing, match="superlink models pull smolvlm-256m"):
        caption(noise(8, 8))
    with pytest.raises(ToolError, match=r"ask \(step s1\).*superlink models pull smolvlm-256m"):
        call(ask, {"image": store.put(noise(8, 8)), "question": "What is it?"}, store, "s1")


def test_weights_of_another_kind_are_refused(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import LlamaForCausalLM

    words = tokenizer()
    LlamaForCausalLM(text_config(words)).save_pretrained(tmp_path / "words-only")
    words.save_pretrained(tmp_path / "words-only")
    take(monkeypatch, tmp_path / "words-only", "words-only")
    with pytest.raises(ToolError, match="words-only.*cannot be loaded as a vision-language model"):
        call(caption, {"image": store.put(noise(8, 8))}, store)


def test_an_answer_that_is_cut_short_keeps_its_whole_sentences() -> None:
    whole = vision_language._whole_sentences
    assert whole("A dog. It sits on a so") == "A dog."
    assert whole("A dog sits on a so") == "A dog sits on a so"
    assert whole("A dog. It sits.") == "A dog. It sits."
    assert whole("Is it? Yes! At 3.5 m") == "Is it? Yes!"
