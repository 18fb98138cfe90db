// The parts of SampleChecker::check(): each looks at one side of a sample and adds what it finds.
#pragma once

#include "higgs/base/format.h"
#include "higgs/data/sample_check.h"

namespace higgs {

std::string seconds_text(double value);

void add_warning(CheckedSample& out, const char* kind, std::string message);
void add_error(CheckedSample& out, const char* kind, std::string message);

// Whether training learns from a turn.
bool is_learnt(const ChatMLSample& chat, std::size_t turn);

// Roles, turns, start_index.
void check_turns(const ChatMLSample& chat, CheckedSample& out);
// Special tokens in texts, clips that an HF base's users can't have heard.
void check_special_tokens(const ChatMLSample& chat, const CheckOptions& options, CheckedSample& out);
// `voiced[turn]`: seconds between the silences of a turn's clip, 0 where there isn't one to measure.
void check_speech(const ChatMLSample& chat, const std::vector<double>& voiced, CheckedSample& out);
// What the measures of a clip say.
void check_sound(const CheckedClip& clip, const ClipMeasures& measures, int sample_rate, CheckedSample& out);
// References that are too short, too long, or their own reply.
void check_references(CheckedSample& out);

}  // namespace higgs
