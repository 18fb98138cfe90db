// `inspect`: the program's window for checking. Each stage writes what the model sees as tensors whose names
// are a contract (docs/inspect.md).
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <cstring>
#include <optional>
#include <sstream>

#include "higgs/app/base_model.h"
#include "higgs/app/command_line.h"
#include "higgs/app/commands.h"
#include "higgs/audio/waveform.h"
#include "higgs/base/error.h"
#include "higgs/base/json.h"
#include "higgs/base/log.h"
#include "higgs/data/clip_file.h"
#include "higgs/data/manifest.h"
#include "higgs/model/adapter.h"
#include "higgs/train/objective.h"
#include "output_file.h"
#include "tensor_output.h"

namespace higgs {
namespace {

struct InspectOptions {
  BaseOptions base;
  std::string manifest, adapter, out, text_file, codes, codebook_reduction = "mean";
  std::int64_t batch_size = 0, line = 0;
  bool features = false, grads = false;

  FlagTable table() {
    FlagTable t;
    t.section("Result");
    t.add("out", out, "safetensors file to write").require();
    base.device = "cpu";
    t.section("Base, codec and device");
    base.describe(t);
    t.section("What is looked at");
    t.add("manifest", manifest, "JSONL ChatML (tokens, codes, collate, forward)");
    t.add("adapter", adapter, "PEFT folder (forward)");
    t.add("batch_size", batch_size, "the manifest's first so many lines; 0: all").range(0);
    t.add("line", line, "only this line of the manifest, counted from 1; 0: as batch_size says").range(0);
    t.add("text_file", text_file, "file of JSON strings, one a line (text)");
    t.add("codes", codes, "safetensors with codes [8, T] (decode)");
    t.section("What is written");
    t.add("features", features, "the codec's intermediate values too (codes)");
    t.add("grads", grads, "gradients of the loss for every adapter tensor (forward)");
    t.add("codebook_reduction", codebook_reduction, "of the codebooks' losses (forward)")
        .choose({"mean", "sum"});
    return t;
  }
};

void need(const std::string& value, const char* flag, const char* stage) {
  if (value.empty()) throw UserError(std::string("inspect ") + stage + " needs --" + flag);
}

struct ChosenSample {
  TokenizedSample tokens;
  std::string where;
};

// The manifest's samples that are asked for.
std::vector<ChosenSample> tokenized(const BaseModel& base, Manifest& manifest,
                                    const InspectOptions& options) {
  std::vector<ChosenSample> samples;
  const auto line = static_cast<std::uint64_t>(options.line),
             most = static_cast<std::uint64_t>(options.batch_size);
  while ((line > 0 || most == 0 || samples.size() < most) && manifest.next()) {
    if (line > 0 && manifest.number() != line) continue;
    const std::string where = manifest.where();
    samples.push_back({tokenize(parse_chatml(manifest.line(), where), base.tokenizer(), where), where});
  }
  if (samples.empty()) {
    throw UserError(manifest.path().string() + ": has no sample at line " + std::to_string(line));
  }
  return samples;
}

std::vector<EncodedSample> encoded(BaseModel& base, Manifest& manifest, const InspectOptions& options) {
  std::vector<EncodedSample> samples;
  for (ChosenSample& chosen : tokenized(base, manifest, options)) {
    samples.push_back(encode_sample(chosen.tokens, base.codes(), base.ids(), manifest.clips(), chosen.where));
  }
  return samples;
}

std::vector<const EncodedSample*> pointers(const std::vector<EncodedSample>& samples) {
  std::vector<const EncodedSample*> all;
  for (const EncodedSample& sample : samples) all.push_back(&sample);
  return all;
}

at::Tensor matrix(const IdMatrix& ids) {
  at::Tensor tensor = at::empty({ids.rows, ids.cols}, at::kLong);
  if (!ids.values.empty()) std::memcpy(tensor.mutable_data_ptr(), ids.values.data(), tensor.nbytes());
  return tensor;
}

void inspect_text(const InspectOptions& options, TensorOutput& out) {
  need(options.text_file, "text_file", "text");
  const BaseModel base(options.base);
  std::vector<std::int64_t> ids, starts;
  std::istringstream lines(read_file_or_pipe(options.text_file));
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = options.text_file + ":" + std::to_string(number);
    const Json text = parse_json(line, where);
    if (!text.is_string()) throw UserError(where + ": must be one JSON string");
    starts.push_back(static_cast<std::int64_t>(ids.size()));
    const auto encoded_text = base.tokenizer().encode(text.get<std::string>());
    ids.insert(ids.end(), encoded_text.begin(), encoded_text.end());
  }
  out.add("ids", ids);
  out.add("starts", starts);
}

void inspect_tokens(const InspectOptions& options, TensorOutput& out) {
  need(options.manifest, "manifest", "tokens");
  const BaseModel base(options.base);
  Manifest manifest(options.manifest, options.base.confine_paths);
  std::size_t i = 0;
  for (const ChosenSample& sample : tokenized(base, manifest, options)) {
    const std::string index = std::to_string(i++);
    out.add("input_ids." + index, sample.tokens.input_ids);
    out.add("label_ids." + index, sample.tokens.label_ids);
    if (sample.tokens.speaker) out.add_metadata("speaker." + index, *sample.tokens.speaker);
    Json urls = Json::array();
    for (const AudioContent& audio : sample.tokens.audios) urls.push_back(audio.audio_url);
    out.add_metadata("audio." + index, urls.dump());
  }
}

void add_features(const std::string& index, const CodecFeatures& features, TensorOutput& out) {
  out.add("wave24." + index, features.wave24);
  out.add("wave16." + index, features.wave16);
  out.add("semantic." + index, features.semantic);
  out.add("acoustic." + index, features.acoustic);
  out.add("margin." + index, features.margin);
}

at::Tensor codes_tensor(const Codes& codes) {
  IdMatrix ids(codes.num_codebooks, codes.num_frames);
  ids.values.assign(codes.values.begin(), codes.values.end());
  return matrix(ids);
}

// Clips in the order of their samples, numbered through.
void inspect_codes(const InspectOptions& options, TensorOutput& out) {
  need(options.manifest, "manifest", "codes");
  BaseModel base(options.base);
  Manifest manifest(options.manifest, options.base.confine_paths);
  std::size_t i = 0;
  for (const ChosenSample& sample : tokenized(base, manifest, options)) {
    for (const AudioContent& clip : sample.tokens.audios) {
      const std::string index = std::to_string(i++);
      const ClipFile file(clip, manifest.clips(), sample.where);
      if (options.features && !file.holds_codes()) {
        const Waveform wave =
            read_audio_bytes(file.bytes(), file.name(), {clip.offset, clip.duration}, sample.where);
        const AudioTokenizer& codec = base.codes().codec();
        CodecFeatures values;
        const auto samples = resample_soxr(wave.samples, wave.sample_rate, codec.sample_rate());
        out.add("codes." + index, codes_tensor(codec.encode(samples, sample.where, &values)));
        add_features(index, values, out);
      } else {
        out.add("codes." + index, codes_tensor(base.codes().codes(clip, manifest.clips(), sample.where)));
      }
      out.add_metadata("clip." + index, clip.audio_url);
    }
  }
}

void inspect_decode(const InspectOptions& options, TensorOutput& out) {
  need(options.codes, "codes", "decode");
  const BaseModel base(options.base);
  const std::vector<float> wave = base.open_codec()->decode(read_codes(options.codes));
  out.add("wave.0", at::tensor(wave));
}

void add_audio_features(const AudioFeatures& features, TensorOutput& out) {
  const auto chunks = static_cast<std::int64_t>(features.num_valid.size());
  at::Tensor values = at::empty({chunks, features.num_mels, features.num_frames}, at::kFloat);
  if (chunks > 0) std::memcpy(values.mutable_data_ptr(), features.values.data(), values.nbytes());
  out.add("audio_features", values);
  const at::Tensor frames = at::arange(features.num_frames).unsqueeze(0);
  out.add("audio_feature_attention_mask",
          frames.lt(at::tensor(features.num_valid, at::kLong).unsqueeze(1)).to(at::kInt));
}

void inspect_collate(const InspectOptions& options, TensorOutput& out) {
  need(options.manifest, "manifest", "collate");
  BaseModel base(options.base);
  Manifest manifest(options.manifest, options.base.confine_paths);
  const auto samples = encoded(base, manifest, options);
  const auto all = pointers(samples);
  const CollatedBatch batch = collate(all, collate_options(base.ids()));
  out.add("input_ids", matrix(batch.input_ids));
  out.add("attention_mask", matrix(batch.attention_mask));
  if (batch.label_ids) out.add("label_ids", matrix(*batch.label_ids));
  out.add("audio_out_ids", matrix(batch.audio_out_ids));
  out.add("audio_out_ids_start", batch.audio_out_ids_start);
  if (batch.audio_out_ids_start_group_loc)
    out.add("audio_out_ids_start_group_loc", *batch.audio_out_ids_start_group_loc);
  if (batch.audio_in_ids) out.add("audio_in_ids", matrix(*batch.audio_in_ids));
  if (batch.audio_in_ids_start) out.add("audio_in_ids_start", *batch.audio_in_ids_start);
  if (batch.label_audio_ids) out.add("label_audio_ids", matrix(*batch.label_audio_ids));
  if (batch.audio_features) add_audio_features(*batch.audio_features, out);
}

void inspect_forward(const InspectOptions& options, TensorOutput& out) {
  need(options.manifest, "manifest", "forward");
  if (options.grads) need(options.adapter, "adapter", "forward --grads");
  BaseModel base(options.base);
  Manifest manifest(options.manifest, options.base.confine_paths);
  HiggsModel& model = base.model();
  std::optional<Adapter> adapter;  // before the clips are encoded: it may not fit
  if (!options.adapter.empty()) adapter.emplace(model, fs::path(options.adapter));
  if (options.grads) adapter->train_saved_modules();
  const auto samples = encoded(base, manifest, options);
  const auto all = pointers(samples);
  const PackedBatch batch = make_batch(all, base.ids()).to(base.device());

  const at::AutoGradMode grad_mode(options.grads);
  ObjectiveOptions objective;
  objective.sum_codebooks = options.codebook_reduction == "sum";
  TargetCounts counts(base.ids().num_codebooks);
  counts.add(batch);
  const at::Tensor hidden = model.forward(batch);
  const LossSums sums = loss_sums(model, batch, hidden, model.has_text_head());
  if (options.grads) {
    // Lines that supervise nothing have a loss of zero and no gradient.
    const at::Tensor loss = total_loss(sums, counts, objective);
    if (loss.requires_grad()) loss.backward();
    for (const AdapterTensor& tensor : adapter->tensors()) out.add("grad." + tensor.key, tensor.grad);
  }
  LossMeter meter(base.ids().num_codebooks, base.device());
  meter.add(sums);
  const LossValues loss = meter.values(counts, objective);
  out.add("hidden", hidden);
  if (model.has_text_head()) out.add("text_logits", model.text_logits(hidden));
  out.add("audio_logits", model.audio_logits(hidden.index_select(0, batch.audio_out_rows)));
  out.add("kind", batch.kind.to(at::kLong));
  out.add("text_labels", batch.text_labels);
  out.add("audio_labels", batch.audio_labels);
  out.add("loss", at::tensor(loss.total, at::kFloat).squeeze());
  out.add("loss_text", at::tensor(loss.text, at::kFloat).squeeze());
  out.add("loss_audio", at::tensor(loss.codebooks, at::kDouble).to(at::kFloat));
}

}  // namespace

int inspect_command(const std::vector<std::string>& arguments) {
  InspectOptions options;
  FlagTable table = options.table();
  Positional stage{"STAGE", "what to write", {"text", "tokens", "codes", "decode", "collate", "forward"}, ""};
  const CommandText text{"inspect", "Writes what the model sees at one stage as tensors; dropout off.",
                         "forward --manifest train.jsonl --base_ckpt BASE --line 1 --out a.safetensors"};
  if (!parse_command_line(text, arguments, table, &stage)) return 0;
  check_output_file(options.out, "--out");

  TensorOutput out;
  if (stage.value == "text") inspect_text(options, out);
  if (stage.value == "tokens") inspect_tokens(options, out);
  if (stage.value == "codes") inspect_codes(options, out);
  if (stage.value == "decode") inspect_decode(options, out);
  if (stage.value == "collate") inspect_collate(options, out);
  if (stage.value == "forward") inspect_forward(options, out);
  make_folder_for(options.out);
  out.write(options.out);
  log::info(options.out + ": " + std::to_string(out.size()) + " tensors");
  return 0;
}

}  // namespace higgs
