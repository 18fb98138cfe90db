"""What the audio tokenizer leaves of speech: codec_errors.py CORPUS.npz CODEC_FOLDER

Digit errors of held-out clips before and after it, of the voices it was trained on and of one that it was not;
and after it without its semantic branch.
"""

import sys

import torch
from transformers import HiggsAudioV2TokenizerModel

import codec  # noqa: F401: its kernels replace slower ones
from clips import Corpus, frames_of
from measures import edits, recognize
from voices import RATE


def main():
    corpus = Corpus(sys.argv[1])
    model = HiggsAudioV2TokenizerModel.from_pretrained(sys.argv[2], dtype=torch.float32).eval()
    muted = HiggsAudioV2TokenizerModel.from_pretrained(sys.argv[2], dtype=torch.float32).eval()
    with torch.no_grad():
        muted.fc.weight[:, muted.config.acoustic_model_config.hidden_size:] = 0
    for part in ("test", "stranger"):
        clips = corpus.part(part)
        errors, digits, changed, codes = [0, 0, 0], 0, 0, 0
        for i in clips:
            said, signal = corpus.meta[i]["text"].split(), frames_of(corpus.clip(i))
            digits += len(said)
            wave = torch.from_numpy(signal)[None, None]
            with torch.no_grad():
                ours, without = model.encode(wave).audio_codes, muted.encode(wave).audio_codes
                made = [signal, model.decode(ours).audio_values[0, 0].numpy(), model.decode(without).audio_values[0, 0].numpy()]
            changed, codes = changed + (ours != without).sum().item(), codes + ours.numel()
            for k, wave in enumerate(made):
                errors[k] += edits(said, recognize(wave, RATE))
        rates = [f"{100 * e / digits:.1f} %" for e in errors]
        print(f"{part}: {len(clips)} clips, {digits} digits; misheard {rates[0]} before the tokenizer, {rates[1]} after it, "
              f"{rates[2]} after it without the semantic branch, which changes {100 * changed / codes:.0f} % of the codes", flush=True)


if __name__ == "__main__":
    main()
