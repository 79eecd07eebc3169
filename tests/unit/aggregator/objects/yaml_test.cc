#include "aggregator/objects/yaml.h"

#include <gtest/gtest.h>

namespace faultline {
namespace {

namespace json = boost::json;

std::string Json(std::string_view yaml) {
  const auto documents = ParseYaml(yaml);
  if (!documents) return "error " + documents.error().message;
  std::string text;
  for (const json::value& document : *documents) text += json::serialize(document);
  return text;
}

TEST(YamlTest, ScalarsAreTypedAsTheCoreSchemaSays) {
  EXPECT_EQ(Json("[null, ~, true, False, 12, -3, 0x1F, 0o17, 1.5, 1e3, .5, +7]"),
            R"([null,null,true,false,12,-3,31,15,1.5E0,1E3,5E-1,7])");
  EXPECT_EQ(Json("['12', \"true\", yes, on, 30s, 1.2.3, 10.0.0.1, 1e999, -, 2026-01-01]"),
            R"(["12","true","yes","on","30s","1.2.3","10.0.0.1","1e999","-","2026-01-01"])");
  EXPECT_EQ(Json("!!str 12"), R"("12")");
  EXPECT_EQ(Json("a: |\n  x\n  y\n"), R"({"a":"x\ny\n"})");
  EXPECT_EQ(Json("a:\nb: ''\n"), R"({"a":null,"b":""})");
}

TEST(YamlTest, DocumentsCommentsAliases) {
  EXPECT_EQ(Json("---\n# nothing\n---\na: 1\n---\nb: 2\n"), R"({"a":1}{"b":2})");
  EXPECT_EQ(Json("x: &x {k: v}\ny: *x\n"), R"({"x":{"k":"v"},"y":{"k":"v"}})");
  EXPECT_EQ(Json("{\"a\": [1, \"b\"]}"), R"({"a":[1,"b"]})");
  EXPECT_EQ(Json(""), "");
}

TEST(YamlTest, ErrorsSayWhere) {
  EXPECT_EQ(Json("a: 1\na: 2\n"), "error 2:1: key a is there twice");
  EXPECT_EQ(Json("a: !!binary aGk=\n").substr(0, 10), "error 1:4:");
  EXPECT_EQ(Json("a: [1, 2\nb: 3\n").substr(0, 7), "error 2");
  EXPECT_EQ(Json("a: {b: 1, {c: 2}: 3}").substr(0, 8), "error 1:");
}

TEST(YamlTest, IsBounded) {
  std::string laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) laughs += (j ? ",*a" : "*a") + std::to_string(i - 1);
    laughs += "]\n";
  }
  EXPECT_NE(Json(laughs).find("more than 200000 nodes"), std::string::npos);
  EXPECT_NE(Json(std::string(100, '[') + std::string(100, ']')).find("nested deeper"), std::string::npos);
  EXPECT_FALSE(ParseYaml(std::string(100'000, '[')));
  EXPECT_FALSE(ParseYaml(std::string(kMaxYamlBytes + 1, 'a')));
}

TEST(YamlTest, WhatIsWrittenReadsBack) {
  const char* texts[] = {
      R"({"a":{"b":[1,2,{"c":"d","e":[]}],"f":{}},"g":"12","h":"true","i":null,"j":""})",
      R"([[1,[2]],[],{"x":["- y",": z","a: b","a #b","'q'","multi\nline"," lead","0x10","~","null"]}])",
      R"({"k: ey":"v","12":"n","":"e","t":1.5,"neg":-3,"colon:":"x:"})", R"("plain")", R"({})"};
  for (const char* text : texts) {
    const json::value value = json::parse(text);
    const auto back = ParseYaml(WriteYaml(value));
    ASSERT_TRUE(back) << back.error().message << "\n" << WriteYaml(value);
    ASSERT_EQ(back->size(), 1u) << text;
    EXPECT_EQ(back->front(), value) << WriteYaml(value);
  }
  const json::value long_key = json::object{{std::string(2000, 'k'), json::object{{"a", 1}}}, {"b", "\x01\x7f"}};
  EXPECT_EQ(ParseYaml(WriteYaml(long_key))->front(), long_key);
  EXPECT_EQ(WriteYaml(json::parse(R"({"a":[{"b":1,"c":[2]}],"d":{"e":"f"}})")),
            "a:\n- b: 1\n  c:\n  - 2\nd:\n  e: f\n");
}

TEST(YamlTest, FindsFields) {
  const std::string text = "a: 1\n---\nspec:\n  selector:\n    pods:\n    - x\n    - y\n";
  EXPECT_EQ(FindYamlField(text, 1, "spec.selector.pods[1]"), "7:7");
  EXPECT_EQ(FindYamlField(text, 1, "spec.selector"), "4:3");
  EXPECT_EQ(FindYamlField(text, 1, "spec.selector.missing"), "4:3");
  EXPECT_EQ(FindYamlField(text, 5, "spec"), "");
}

}  // namespace
}  // namespace faultline
