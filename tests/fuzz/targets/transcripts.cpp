// Transcripts and tables that `prepare` reads, and the cutting of what they say.
#include "higgs/corpus/transcripts.h"
#include "../fuzz_target.h"
#include "higgs/corpus/cut.h"
#include "higgs/corpus/delimited.h"
#include "higgs/corpus/plain_text.h"

namespace higgs::fuzz {
namespace {

void cut_pieces(const std::vector<Segment>& segments, Findings& findings) {
  constexpr double kSeconds = 600.0;
  for (const bool across_speakers : {false, true}) {
    CutOptions options;
    options.across_speakers = across_speakers;
    const auto find_quiet = [](double begin, double end) { return QuietPlace{(begin + end) / 2, 0.5}; };
    for (const Piece& piece : cut_at_pauses(segments, kSeconds, options, find_quiet, findings)) {
      require(piece.begin >= 0.0 && piece.begin < piece.end && piece.end <= kSeconds,
              "a piece out of its recording", piece.where);
      require(piece.end - piece.begin <= options.max_seconds + 1e-3, "a piece too long", piece.where);
      for (const Turn& turn : piece.turns) require(!turn.text.empty(), "a turn without a text", piece.where);
    }
  }
}

void read_rows(std::string_view text) {
  const std::string name = "a.csv";
  for (const auto quotes :
       {DelimitedText::Quotes::kNone, DelimitedText::Quotes::kOneLine, DelimitedText::Quotes::kRfc4180}) {
    DelimitedText rows(text, quotes == DelimitedText::Quotes::kOneLine ? '\t' : ',', quotes, name);
    bool is_left = true;
    std::size_t last = 0;
    while (is_left) {
      TableRow row;
      refused([&] {
        is_left = rows.next(row);
        for (const std::string& field : row.fields) touch(field);
        require(!is_left || row.line > last, "a row of a line that was read");
        last = row.line;
      });
    }
  }
}

}  // namespace

void fuzz_transcripts(std::string_view bytes) {
  std::string text;
  if (refused([&] { text = decode_text(bytes, "a"); })) return;
  // One line for a terminal, whatever the file says.
  Findings findings([](Findings::Kind, const std::string& line) { refused([&] { throw UserError(line); }); });
  std::vector<Segment> segments;
  refused([&] { segments = parse_subtitles(text, "a.vtt", findings); });
  cut_pieces(segments, findings);
  segments.clear();
  refused([&] { segments = parse_text_grid(text, "a.TextGrid", "", findings); });
  cut_pieces(segments, findings);
  segments.clear();
  refused([&] { segments = parse_whisper_json(text, "a.json", findings); });
  cut_pieces(segments, findings);
  read_rows(text);
  keep(sentence_key(text));
  keep(ends_sentence(text));
}

}  // namespace higgs::fuzz
