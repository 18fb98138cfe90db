// One manifest line -> ChatMLSample. What is accepted follows the reference's dataclasses under strict type
// checks: unknown keys are refused inside messages and contents and passed over at the top.
#include "higgs/data/chatml.h"

#include <initializer_list>
#include <limits>

#include "higgs/base/error.h"
#include "higgs/base/python_json.h"

namespace higgs {
namespace {

// Where in a line something stands; made into text only for an error.
struct Place {
  const std::string& line;
  std::size_t message = 0;  // from 1; 0: the line itself
  std::size_t content = 0;  // from 1; 0: the message itself

  [[noreturn]] void refuse(const std::string& what) const {
    std::string text = line;
    if (message != 0) text += ": message " + std::to_string(message);
    if (content != 0) text += ", content " + std::to_string(content);
    throw UserError(text + ": " + what);
  }
};

// Text from the manifest, fit for one line of an error message.
std::string in_quotes(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  const std::string cut(text.substr(0, kLongest));
  const std::string json = Json(cut).dump(-1, ' ', false, Json::error_handler_t::replace);
  return "'" + json.substr(1, json.size() - 2) + (text.size() > kLongest ? "..." : "") + "'";
}

const char* kind_of(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "true or false";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a string";
  return value.is_array() ? "a list" : "an object";
}

const Json* find(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

void refuse_unknown_keys(const Json& object, std::initializer_list<std::string_view> known,
                         const Place& place) {
  for (const auto& item : object.items()) {
    bool found = false;
    std::string names;
    for (const std::string_view name : known) {
      found = found || item.key() == name;
      if (!names.empty()) names += ", ";
      names += name;
    }
    if (!found) place.refuse("unknown key " + in_quotes(item.key()) + "; known here are " + names);
  }
}

[[noreturn]] void refuse_kind(const Place& place, const char* key, const char* wanted, const Json& value) {
  place.refuse("key " + in_quotes(key) + " must be " + wanted + ", not " + kind_of(value));
}

std::optional<std::string> optional_string(const Json& object, const char* key, const Place& place) {
  const Json* value = find(object, key);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (!value->is_string()) refuse_kind(place, key, "a string or null", *value);
  return value->get<std::string>();
}

std::string required_string(const Json& object, const char* key, const Place& place) {
  const Json* value = find(object, key);
  if (value == nullptr) place.refuse("key " + in_quotes(key) + " is missing");
  if (!value->is_string()) refuse_kind(place, key, "a string", *value);
  return value->get<std::string>();
}

// true and false count as 1 and 0 here and below, as they do in Python.
std::optional<std::int64_t> optional_integer(const Json& object, const char* key, const Place& place) {
  const Json* value = find(object, key);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (value->is_boolean()) return value->get<bool>() ? 1 : 0;
  if (!value->is_number()) refuse_kind(place, key, "an integer or null", *value);
  const bool too_large =
      value->is_number_unsigned() && value->get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max();
  if (!value->is_number_integer() || too_large) {
    place.refuse("key " + in_quotes(key) + " must be an integer of 64 bits or null, not " + value->dump());
  }
  return value->get<std::int64_t>();
}

std::optional<double> optional_number(const Json& object, const char* key, const Place& place) {
  const Json* value = find(object, key);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (value->is_boolean()) return value->get<bool>() ? 1.0 : 0.0;
  if (!value->is_number()) refuse_kind(place, key, "a number or null", *value);
  return with_infinity(value->get<double>());
}

std::string type_of(const Json& object, const char* otherwise, const Place& place) {
  return object.contains("type") ? required_string(object, "type", place) : otherwise;
}

Content parse_audio(const Json& object, const Place& place) {
  refuse_unknown_keys(object, {"audio_url", "raw_audio", "offset", "duration", "row_id", "type"}, place);
  AudioContent audio;
  audio.audio_url = required_string(object, "audio_url", place);
  audio.raw_audio = optional_string(object, "raw_audio", place);
  audio.offset = optional_number(object, "offset", place);
  audio.duration = optional_number(object, "duration", place);
  audio.row_id = optional_integer(object, "row_id", place);
  const std::string type = type_of(object, "audio", place);
  if (type == "text") place.refuse("key 'type' says \"text\", but there is no key 'text'; write \"audio\"");
  Content content;
  if (type == "audio") {
    content.audio = std::move(audio);
  } else {
    content.dropped = true;
  }
  return content;
}

Content parse_text(const Json& object, const Place& place) {
  refuse_unknown_keys(object, {"text", "type"}, place);
  Content content;
  content.text = required_string(object, "text", place);
  const std::string type = type_of(object, "text", place);
  if (type == "audio") {
    content.audio.emplace();
    content.audio->text = std::move(content.text);
    content.text.clear();
  } else {
    content.dropped = type != "text";
  }
  return content;
}

Content parse_content(const Json& value, const Place& place) {
  if (value.is_string()) {
    Content content;
    content.text = value.get<std::string>();
    return content;
  }
  if (!value.is_object()) {
    place.refuse(std::string("a content must be a string, a text or an audio object, not ") + kind_of(value));
  }
  const bool is_audio = value.contains("audio_url");
  if (is_audio && value.contains("text")) {
    place.refuse("keys 'audio_url' and 'text' exclude each other; make a list of two contents");
  }
  if (!is_audio && !value.contains("text")) {
    place.refuse("key 'text' or 'audio_url' is missing");
  }
  return is_audio ? parse_audio(value, place) : parse_text(value, place);
}

Message parse_message(const Json& value, const Place& place) {
  if (!value.is_object()) place.refuse(std::string("a message must be an object, not ") + kind_of(value));
  refuse_unknown_keys(value, {"role", "content", "recipient"}, place);
  Message message;
  message.role = required_string(value, "role", place);
  message.recipient = optional_string(value, "recipient", place).value_or("");
  if (!message.recipient.empty() && message.role != "assistant") {
    place.refuse("key 'recipient' is only for messages of the role \"assistant\"; remove it");
  }
  const Json* content = find(value, "content");
  if (content == nullptr) place.refuse("key 'content' is missing");
  if (!content->is_string() && !content->is_object() && !content->is_array()) {
    refuse_kind(place, "content", "a string, an object or a list", *content);
  }
  if (content->is_array()) {
    for (const Json& item : *content) {
      message.contents.push_back(
          parse_content(item, {place.line, place.message, message.contents.size() + 1}));
    }
  } else {
    message.contents.push_back(parse_content(*content, place));
  }
  return message;
}

std::optional<std::string> parse_speaker(const Json& document, const Place& place) {
  std::optional<std::string> speaker = optional_string(document, "speaker", place);
  const Json* misc = find(document, "misc");
  if (misc == nullptr || misc->is_null()) return speaker;
  if (!misc->is_object()) refuse_kind(place, "misc", "an object or null", *misc);
  const Json* other = find(*misc, "speaker");
  if (speaker || other == nullptr || other->is_null()) return speaker;
  return other->is_string() ? other->get<std::string>() : other->dump();
}

// Nothing that a reference knows of: whatever else stands there is passed over.
std::optional<std::string> parse_language(const Json& document) {
  const Json* misc = find(document, "misc");
  for (const Json* object : {&document, misc}) {
    if (object == nullptr || !object->is_object()) continue;
    const Json* language = find(*object, "language");
    if (language != nullptr && language->is_string()) return language->get<std::string>();
  }
  return std::nullopt;
}

}  // namespace

ChatMLSample parse_chatml(std::string_view line, const std::string& where) {
  const Json document = parse_python_json(line, where);
  const Place place{where};
  if (!document.is_object()) place.refuse("a line must be a JSON object with the key 'messages'");
  const Json* messages = find(document, "messages");
  if (messages == nullptr) place.refuse("key 'messages' is missing");
  if (!messages->is_array()) refuse_kind(place, "messages", "a list", *messages);
  // The reference passes over any other top-level `content`, and fails on this one.
  const Json* content = find(document, "content");
  if (content != nullptr && content->is_array() && content->size() > 1) {
    place.refuse("key 'content' is a list beside 'messages'; move it into a message or remove it");
  }

  ChatMLSample sample;
  sample.start_index = optional_integer(document, "start_index", place);
  sample.speaker = parse_speaker(document, place);
  sample.language = parse_language(document);
  sample.messages.reserve(messages->size());
  for (const Json& message : *messages) {
    sample.messages.push_back(parse_message(message, {where, sample.messages.size() + 1}));
  }
  return sample;
}

}  // namespace higgs
