#include "higgs/app/base_model.h"

#include "higgs/base/error.h"
#include "higgs/base/json.h"
#include "higgs/base/log.h"
#include "higgs/formats/hub.h"
#include "higgs/kernels/device.h"
#include "higgs/model/special_ids.h"

namespace higgs {
namespace {

constexpr const char* kDefaultCodec = "bosonai/higgs-audio-v2-tokenizer";

bool is_codec_folder(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  if (!fs::exists(path)) return false;
  const Json document = read_json_file(path);
  const JsonObject fields(document, path.string());
  return fields.string("model_type", "") == "higgs_audio_v2_tokenizer" || fs::exists(folder / "model.pth");
}

// The codec's folder or hub id as transformers' processor writes it; "" when there is none.
std::string codec_of_processor(const fs::path& base) {
  const fs::path path = base / "processor_config.json";
  if (!fs::exists(path)) return "";
  const Json document = read_json_file(path);
  const JsonObject fields(document, path.string());
  return fields.has("audio_tokenizer")
             ? fields.object("audio_tokenizer").string("audio_tokenizer_name_or_path", "")
             : "";
}

at::ScalarType dtype_for(const std::string& name, at::Device device) {
  if (name == "bf16") return at::kBFloat16;
  if (name == "fp32") return at::kFloat;
  return device.is_cuda() ? at::kBFloat16 : at::kFloat;
}

}  // namespace

void BaseOptions::describe_clips(FlagTable& table) {
  table.add("confine_paths", confine_paths,
            "refuse clips outside the manifest's folder: absolute paths, \"..\", links that lead out");
  table.add("audio_tokenizer", audio_tokenizer,
            "codec folder or id; default: beside the base, or as the base names it");
  table
      .add("codec_rule", codec_rule,
           "zeros around clips whose frame counts differ: as the codec's layout, or one of the two")
      .choose({"auto", "boson", "hf"});
}

void BaseOptions::describe(FlagTable& table) {
  table
      .add("base_ckpt", base_ckpt, "base checkpoint: a folder, or a Hugging Face id found in the local cache")
      .require();
  describe_clips(table);
  table.add("cache_dir", cache_dir, "where codes of clips are kept; default: ~/.cache/higgs_train/codes");
  table.add("dtype", dtype, "of the base and its activations; auto: bf16 on a GPU, fp32 on the CPU")
      .choose({"auto", "bf16", "fp32"});
  table
      .add("base_dtype", base_dtype,
           "nf4 keeps the decoder's linear maps in four bits: a third of the memory, for cards of 12 to 16 "
           "GB, at some "
           "cost in accuracy")
      .choose({"auto", "nf4"});
  table.add("device", device, "auto takes a GPU when there is one").choose({"auto", "cpu", "cuda"});
}

fs::path find_codec(const std::string& flag, const fs::path& base) {
  if (!flag.empty()) return resolve_checkpoint(flag, "--audio_tokenizer");
  const fs::path beside = fs::absolute(base).lexically_normal().parent_path();
  for (const fs::path& root : {base, fs::path(beside)}) {
    for (const char* name : {"codec", "audio_tokenizer", "tokenizer_codec"}) {
      if (is_codec_folder(root / name)) return root / name;
    }
  }
  const std::string named = codec_of_processor(base);
  if (!named.empty() && is_codec_folder(base / named)) return base / named;
  const std::string id = named.empty() ? kDefaultCodec : named;
  try {
    return resolve_checkpoint(id, "--audio_tokenizer");
  } catch (const UserError&) {
    throw UserError("no audio tokenizer found for " + base.string() +
                    "; give --audio_tokenizer FOLDER, or run: hf download " + std::string(kDefaultCodec));
  }
}

BaseModel::BaseModel(const BaseOptions& options, int local_rank)
    : options_(options),
      device_(open_device(options.device, local_rank)),
      dtype_(dtype_for(options.dtype, device_)),
      folder_(resolve_checkpoint(options.base_ckpt, "--base_ckpt")),
      config_(read_model_config(folder_)),
      tokenizer_(load_tokenizer(folder_)),
      ids_(special_ids(config_, *tokenizer_)) {
  if (!config_.encode_audio_in_tokens && !config_.audio_tower) {
    log::warn_once(folder_.string() +
                   ": encode_audio_in_tokens is false and the audio tower is skipped: clips in user and "
                   "system turns are not seen");
  }
}

HiggsModel& BaseModel::model() {
  if (!model_) model_ = std::make_unique<HiggsModel>(folder_, dtype_, device_, options_.base_dtype == "nf4");
  return *model_;
}

std::unique_ptr<AudioTokenizer> BaseModel::open_codec() const {
  auto codec = std::make_unique<AudioTokenizer>(find_codec(options_.audio_tokenizer, folder_), device_);
  if (options_.codec_rule != "auto") {
    codec->set_rule(options_.codec_rule == "hf" ? CodecRule::kHf : CodecRule::kBoson);
  }
  return codec;
}

CodeStore& BaseModel::codes() {
  if (!codes_) {
    const fs::path cache = options_.cache_dir.empty() ? default_code_cache() : fs::path(options_.cache_dir);
    codes_ = std::make_unique<CodeStore>([this] { return open_codec(); }, cache, ids_.num_codebooks,
                                         ids_.codebook_size);
  }
  return *codes_;
}

}  // namespace higgs
