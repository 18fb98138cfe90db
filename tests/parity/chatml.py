"""ChatML sample -> ids and labels, written from the format's description.

For the HF layout, whose Python stack has no such function. cases_model.py compares it with boson_multimodal's
prepare_chatml_sample on every sample of the boson layout, so it is an oracle that is itself checked.
"""

IGNORE = -100


def contents_of(message):
    content = message["content"]
    parts = content if isinstance(content, list) else [content]
    return [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]


def tokenize(sample, tokenizer):
    """(ids, labels, clips' urls in order, speaker) of a sample."""
    ids, labels, urls = [], [], []
    start, messages = sample.get("start_index"), sample["messages"]

    def add(text, supervised):
        tokens = tokenizer.encode(text, add_special_tokens=False)
        ids.extend(tokens)
        labels.extend(tokens if supervised else [IGNORE] * len(tokens))

    for turn, message in enumerate(messages):
        role = message["role"]
        spoken = role == "assistant" and (start is None or turn >= start)
        add(("" if turn else "<|begin_of_text|>") + f"<|start_header_id|>{role}<|end_header_id|>\n\n", False)
        if message.get("recipient"):
            add(message["recipient"] + "<|recipient|>", True)
        for part in contents_of(message):
            if part.get("type") == "audio":
                urls.append(part["audio_url"])
                if role == "assistant":
                    add("<|audio_out_bos|><|AUDIO_OUT|><|audio_eos|>", spoken)
                elif role in ("user", "system"):
                    add("<|audio_bos|><|AUDIO|><|audio_eos|>", False)
            else:
                add(part["text"], spoken)
        another = turn + 1 < len(messages) and messages[turn + 1]["role"] == "assistant"
        add("<|eom_id|>" if role == "assistant" and another else "<|eot_id|>", spoken)
    speaker = sample.get("speaker")
    if speaker is None:
        speaker = (sample.get("misc") or {}).get("speaker")
    return ids, labels, urls, speaker


def prompt_of(sample):
    """The turns before the last assistant turn: what is given when that turn is generated."""
    last = max(i for i, message in enumerate(sample["messages"]) if message["role"] == "assistant")
    return {**sample, "messages": sample["messages"][:last]}


PROMPT_END = "<|start_header_id|>assistant<|end_header_id|>\n\n<|audio_out_bos|>"
