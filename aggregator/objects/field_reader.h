// Strict reading of a JSON object: each field that a kind knows is asked for by name and checked; Done refuses the
// rest by name, with the nearest name that would have been right. The first error wins and names its path.
#pragma once

#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "common/result.h"

namespace faultline {

class FieldReader {
 public:
  // `object` outlives the reader. `path` is what comes before the field's name in messages ("spec").
  FieldReader(boost::json::object& object, std::string path);

  enum class Need { kOptional, kRequired };

  // Each returns null or nullopt when the field is absent or wrong.
  const boost::json::string* String(std::string_view name, Need need = Need::kOptional);
  std::optional<int64_t> Integer(std::string_view name, int64_t min, int64_t max, Need need = Need::kOptional);
  std::optional<double> Number(std::string_view name, double min, double max, Need need = Need::kOptional);
  std::optional<bool> Boolean(std::string_view name);
  // A positive duration such as 30s.
  std::optional<int64_t> DurationNs(std::string_view name, Need need = Need::kOptional);
  // RFC 3339.
  std::optional<int64_t> Time(std::string_view name, Need need = Need::kOptional);
  // One of `words`; absent becomes `otherwise` in the object itself.
  std::string Word(std::string_view name, std::initializer_list<std::string_view> words,
                   std::string_view otherwise);
  std::vector<std::string> Strings(std::string_view name);
  // A map of strings to strings; numbers and booleans are turned into their text.
  void StringMap(std::string_view name);
  // A map of names to lists of strings.
  void StringLists(std::string_view name);
  void Object(std::string_view name, const std::function<void(FieldReader&)>& read, Need need = Need::kOptional);
  // An array of objects.
  void Objects(std::string_view name, const std::function<void(FieldReader&)>& read);
  // Anything: the caller checks it.
  boost::json::value* Any(std::string_view name, Need need = Need::kOptional);
  bool Has(std::string_view name) const { return object_.contains(name); }
  const boost::json::object& object() const { return object_; }

  // Errors are "path.name: reason".
  void Refuse(std::string_view name, std::string_view reason);
  Result<void> Done();

 private:
  std::string PathOf(std::string_view name) const;

  boost::json::object& object_;
  const std::string path_;
  std::vector<std::string> known_;
  std::optional<Error> error_;
};

// a-z, 0-9, - and ., starting and ending alphanumeric (RFC 1123), at most 253 characters.
bool IsObjectName(std::string_view name);
bool IsSnakeCase(std::string_view name);
// Parameters of faults that are objects and stay so, as JSON; others become a.b.
bool StaysWhole(std::string_view parameter);
// The candidate that is most like `name`; empty if none is close.
std::string NearestWord(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace faultline
