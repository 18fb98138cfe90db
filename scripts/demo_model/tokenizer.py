"""Writes a byte-level BPE of 512 tokens in the form of Llama 3's tokenizer.json.

usage: tokenizer.py FOLDER
"""

import json
import random
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from base_model import SCENE, SYSTEM
from texts import draw, written

SIZE = 512
SPECIAL = (["<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
            "<|finetune_right_pad_id|>", "<|recipient|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>",
            "<|eot_id|>", "<|python_tag|>", "<|audio_bos|>", "<|audio_eos|>", "<|audio_out_bos|>",
            "<|reserved_special_token_6|>", "<|AUDIO|>", "<|AUDIO_OUT|>", "<|scene_desc_start|>", "<|scene_desc_end|>",
            "<|audio_out_eos|>"] + [f"<|reserved_special_token_{i}|>" for i in range(7, 11)])
# How Llama 3 cuts a text into words.
WORDS = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
         r"\s+(?!\S)|\s+")
CHAT_TEMPLATE = (
    "{{- bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' }}"
    "{% for c in ([{'type': 'text', 'text': m['content']}] if m['content'] is string else [m['content']] if m['content'] "
    "is mapping else m['content']) %}{{ '<|audio_out_bos|><|AUDIO_OUT|><|audio_eos|>' if c['type'] == 'audio' else "
    "c['text'] }}{% endfor %}{{ '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n<|audio_out_bos|>' }}{% endif %}")


def make() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(WORDS), "isolated", False),
         pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    rng = random.Random(0)
    texts = [f"system\n\n{SYSTEM}", f"\n\n\n{SCENE}\n", "user\n\n", "assistant\n\n"] * 200
    texts += [written(draw(rng, False), rng) for _ in range(6000)]
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=SIZE - len(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=[],
        min_frequency=1))
    spare = SIZE - len(SPECIAL) - tokenizer.get_vocab_size()
    tokens = SPECIAL + [f"<|reserved_special_token_{11 + i}|>" for i in range(spare)]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens])
    begin = tokenizer.token_to_id("<|begin_of_text|>")
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=True),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|> $B",
                                      special_tokens=[("<|begin_of_text|>", begin)])])
    return tokenizer


def main():
    folder = sys.argv[1]
    tokenizer = make()
    tokenizer.save(f"{folder}/tokenizer.json")
    added = {str(i): dict(content=token.content, lstrip=False, normalized=False, rstrip=False, single_word=False,
                          special=True) for i, token in sorted(tokenizer.get_added_tokens_decoder().items())}
    with open(f"{folder}/tokenizer_config.json", "w", encoding="utf-8") as file:
        json.dump(dict(added_tokens_decoder=added, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>",
                       pad_token="<|end_of_text|>", clean_up_tokenization_spaces=True,
                       model_input_names=["input_ids", "attention_mask"], model_max_length=2048,
                       tokenizer_class="PreTrainedTokenizerFast", chat_template=CHAT_TEMPLATE), file, indent=1)


if __name__ == "__main__":
    main()
