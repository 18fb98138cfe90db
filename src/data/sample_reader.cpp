#include "sample_reader.h"

namespace higgs {
namespace {

constexpr std::size_t kMostAhead = std::size_t{8} << 20;  // bytes of samples

std::size_t num_bytes(const ReadLine& line) {
  std::size_t bytes = sizeof line + line.system.size() + 16 * line.tokens.input_ids.size();
  if (!line.sample) return bytes;
  for (const Codes& codes : line.sample->codes) bytes += sizeof codes + 2 * codes.values.size();
  return bytes + 16 * line.sample->input_ids.size();
}

}  // namespace

SampleReader::SampleReader(const fs::path& manifest, bool confine_paths, const Tokenizer& tokenizer,
                           CodeStore& store, const SpecialIds& ids, int num_workers)
    : manifest_(manifest, confine_paths),
      clips_(manifest_.clips()),
      tokenizer_(tokenizer),
      to_tokens_(tokenizer),
      store_(store),
      ids_(ids),
      lines_(
          {num_workers, kMostAhead}, [this] { return next_job(); },
          [this](const Job& job) { return read(job); }, num_bytes) {}

std::optional<SampleReader::Job> SampleReader::next_job() {
  if (at_end_) return std::nullopt;
  if (manifest_.next()) return Job{std::string(manifest_.line()), manifest_.where(), manifest_.number()};
  at_end_ = true;
  return Job{};
}

ReadLine SampleReader::read(const Job& job) const {
  ReadLine out;
  out.where = job.where;
  out.number = job.number;
  if (job.number == 0) return out;
  try {
    const ChatMLSample chat = parse_chatml(job.line, job.where);
    for (const Message& message : chat.messages) {
      for (const Content& content : message.contents) {
        if (message.role == "system" && !content.audio) out.system += content.text;
        if (message.role == "user" && !content.audio) {
          out.num_text_tokens += tokenizer_.encode(content.text).size();
        }
      }
    }
    out.speaker = chat.speaker.value_or("");
    out.language = chat.language.value_or("");
    TokenizedSample tokens = to_tokens_.tokenize(chat, job.where);
    out.sample = find_sample(tokens, store_, ids_, clips_, job.where);
    if (!out.sample) out.tokens = std::move(tokens);
  } catch (const UserError&) {
    out.error = std::current_exception();
  }
  return out;
}

std::optional<ReadLine> SampleReader::next() {
  ReadLine line = lines_.next();
  return line.number == 0 ? std::nullopt : std::optional(std::move(line));
}

}  // namespace higgs
