#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "text/jinja/template.h"

namespace sambay::jinja {
namespace {

using ::testing::HasSubstr;

const std::filesystem::path data = SAMBAY_TEST_DATA;

std::string render(const std::string& source, const Json& variables = Json::object(),
                   const RenderOptions& options = {}) {
  return Template(source, "t").render(variables, options);
}

std::string fault_of(const std::string& source, const Json& variables = Json::object(),
                     const RenderOptions& options = {}) {
  try {
    return "no fault: " + render(source, variables, options);
  } catch (const Error& error) {
    EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos);
    return error.what();
  }
}

// The lines of a file of JSON.
std::vector<Json> json_lines(const std::string& name) {
  std::ifstream file(data / name);
  std::vector<Json> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(Json::parse(line));
  }
  EXPECT_FALSE(lines.empty()) << name;
  return lines;
}

TEST(Jinja, RendersChatTemplatesAsPythonDoes) {
  const auto cases = json_lines("chat_goldens.jsonl");
  EXPECT_EQ(cases.size(), 60);
  for (const Json& test : cases) {
    const auto file = data / "templates" / (test.at("template").get<std::string>() + ".jinja");
    const Json variables = {{"messages", test.at("messages")},
                            {"add_generation_prompt", test.at("add_generation_prompt")},
                            {"eos_token", "<|endoftext|>"}};
    EXPECT_EQ(render(read_text(file), variables), test.at("text").get<std::string>())
        << test.dump();
  }
}

TEST(Jinja, RendersWhatPythonRendered) {
  for (const Json& test : json_lines("jinja_goldens.jsonl")) {
    const auto source = test.at("template").get<std::string>();
    try {
      EXPECT_EQ(render(source, test.at("variables")), test.at("text").get<std::string>())
          << test.dump();
    } catch (const Error& error) {
      ADD_FAILURE() << error.what() << "\n" << test.dump();
    }
  }
}

TEST(Jinja, TextOutsideTagsStaysAsItIs) {
  EXPECT_EQ(render("a { b } %} }} #} \\n \"x\""), "a { b } %} }} #} \\n \"x\"");
  EXPECT_EQ(render("one\r\ntwo\rthree\n\n"), "one\ntwo\nthree\n");
  EXPECT_EQ(render(""), "");
}

TEST(Jinja, BlocksTakeTheirLineEndAndIndentation) {
  EXPECT_EQ(render("a\n  {% if true %}\nb\n\t{% endif %}\nc"), "a\nb\nc");
  EXPECT_EQ(render("a {% if true %} b {% endif %} c"), "a  b  c");
  EXPECT_EQ(render("a\n {%- if true -%} \n b \n{%- endif +%}\nc"), "ab\nc");
  EXPECT_EQ(render("a\n  {%+ if true %}b{% endif %}"), "a\n  b");
  EXPECT_EQ(render("a\n  {# c #}\nb {#- c -#} d"), "a\nbd");
  EXPECT_EQ(render("x {{- 1 -}} y {{ 2 }}\nz"), "x1y 2\nz");
}

TEST(Jinja, RawTextIsNotRead) {
  EXPECT_EQ(render("{% raw %}{{ x }} {% if %}{% endraw %}!"), "{{ x }} {% if %}!");
  EXPECT_EQ(render("{%- raw -%}  {{ x }}  {%- endraw -%}  !"), "{{ x }}!");
}

TEST(Jinja, ValuesPrintAsInPython) {
  EXPECT_EQ(render("{{ true }} {{ none }} {{ missing }}|{{ 1.0 }} {{ 1e16 }} {{ 1e-05 }} {{ 7 }}"),
            "True None |1.0 1e+16 1e-05 7");
  EXPECT_EQ(render(R"({{ ['a', "it's", 'q"', 'é\n', none, 1.5, {'k': (1,)}, ()] }})"),
            R"(['a', "it's", 'q"', 'é\n', None, 1.5, {'k': (1,)}, ()])");
  EXPECT_EQ(render(R"({{ ['\x00\x7f\u200b\u00a0\U000e0001'] }})"),
            R"(['\x00\x7f\u200b\xa0\U000e0001'])");
}

TEST(Jinja, OperatorsBindAndComputeAsInPython) {
  EXPECT_EQ(
      render("{{ 2 + 3 * 4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }}"),
      "14 3 -4 2 3.5 1024");
  EXPECT_EQ(render("{{ 'a' ~ 1 + 2 ~ 'b' }} {{ 'ab' * 2 }} {{ [1] + [2] }}"), "a12b abab [1, 2]");
  EXPECT_EQ(render("{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' in 'abc' }} {{ 2 not in [1] }}"),
            "True False True True");
  EXPECT_EQ(
      render("{{ 0 or 'x' }} {{ '' and 1 }} {{ not 0 }} {{ 'y' if 0 }}|{{ 1 == 1.0 == true }}"),
      "x  True |True");
  EXPECT_EQ(render("{{ 'abc'[1] }} {{ 'äöü'[::-1] }} {{ [1,2,3][-2:] }} {{ {'a': 1}['a'] }}"),
            "b üöä [2, 3] 1");
}

TEST(Jinja, UndefinedIsEmptyUntilSomethingIsAskedOfIt) {
  EXPECT_EQ(render("{{ x }}{{ x is defined }}{{ x | default('d') }}{% for a in x %}{% endfor %}"),
            "Falsed");
  EXPECT_EQ(render("{{ m.a is none }}{{ m.b is defined }}", {{"m", {{"a", nullptr}}}}),
            "TrueFalse");
  EXPECT_THAT(fault_of("\n{{ x.y }}"), HasSubstr("[t: line 2] 'x' is undefined"));
  EXPECT_THAT(fault_of("{{ m.b.c }}", {{"m", Json::object()}}),
              HasSubstr("'dict object' has no attribute 'b'"));
  EXPECT_THAT(fault_of("{{ x + 1 }}"), HasSubstr("'x' is undefined"));
}

TEST(Jinja, MethodsGoBeforeKeysOnlyBehindADot) {
  const Json variables = {{"d", {{"items", 5}, {"x", 1}}}};
  EXPECT_EQ(
      render("{{ d['items'] }} {% for k, v in d.items() %}{{ k }}{{ v }}{% endfor %}", variables),
      "5 items5x1");
}

TEST(Jinja, WhatALoopSetsStaysInIt) {
  EXPECT_EQ(render("{% set x = 1 %}{% for i in [2, 3] %}{% set x = i %}{% endfor %}{{ x }}"), "1");
  EXPECT_EQ(render("{% set n = namespace(x=1) %}{% for i in [2, 3] %}{% set n.x = i %}{% endfor "
                   "%}{{ n.x }}"),
            "3");
  EXPECT_EQ(render("{% if true %}{% set x = 1 %}{% endif %}{{ x }}"), "1");
}

TEST(Jinja, AConditionOfALoopIsAskedWhenItsItemComes) {
  EXPECT_EQ(render("{% set n = namespace(go=true) %}{% for i in range(9) if n.go %}{{ i }}"
                   "{% if i == 3 %}{% set n.go = false %}{% endif %}{% endfor %}"),
            "0123");
}

TEST(Jinja, AGeneratorIsGoneThroughOnce) {
  EXPECT_EQ(render("{% set g = [1, 2] | map('string') %}{{ g | join }}|{{ g | join }}"), "12|");
}

TEST(Jinja, MacrosSeeWhereTheyWereDefined) {
  EXPECT_EQ(render("{% macro m(a, b=a) %}{{ a }}{{ b }}{{ x }}{% endmacro %}{% set x = 3 %}"
                   "{{ m(1) }} {{ m(1, b=2) }} {% for x in [5] %}{{ m(0) }}{% endfor %}"),
            "113 123 003");
}

TEST(Jinja, JsonIsWrittenAsPythonWritesIt) {
  const Json variables = {{"v", {{"b", {1, 2.0, "ü\"\n/<"}}, {"a", Json::object()}}}};
  EXPECT_EQ(render("{{ v | tojson }}", variables), R"({"b": [1, 2.0, "ü\"\n/<"], "a": {}})");
  EXPECT_EQ(render("{{ v | tojson(indent=2, sort_keys=true) }}", variables),
            "{\n  \"a\": {},\n  \"b\": [\n    1,\n    2.0,\n    \"ü\\\"\\n/<\"\n  ]\n}");
  EXPECT_EQ(render("{{ '😀é' | tojson(ensure_ascii=true) }}"), R"("\ud83d\ude00\u00e9")");
}

TEST(Jinja, CaseIsUnicodes) {
  EXPECT_EQ(render("{{ 'straße ﬁ ǆ' | upper }} {{ 'ÀΣΑΣ' | lower }} {{ 'ǆ ßa' | capitalize }}"),
            "STRASSE FI Ǆ àσας ǅ ßa");
  EXPECT_EQ(render("{{ 'they\\'re ǆx'.title() }}|{{ 'they\\'re a-b (c' | title }}"),
            "They'Re ǅx|They're A-B (C");
}

TEST(Jinja, TheClockIsLocalTime) {
  const std::time_t now = 1'700'000'000;
  std::tm local{};
  localtime_r(&now, &local);
  EXPECT_EQ(
      render("{{ strftime_now('%Y %H') }}{{ strftime_now('') }}", Json::object(), {.now = now}),
      fmt::format("{} {:02}", local.tm_year + 1900, local.tm_hour));
}

TEST(Jinja, ATemplateMayRaise) {
  EXPECT_EQ(fault_of("a\n{% if true %}\n{{ raise_exception('Roles must alternate') }}{% endif %}"),
            "[t: line 3] Roles must alternate");
}

struct Refusal {
  const char *source, *message;
};

TEST(Jinja, WhatIsNotSupportedIsNamedWithItsLine) {
  for (const auto& [source, message] : std::initializer_list<Refusal>{
           {"\n{% include 'x' %}", "[t: line 2] {% include %} is not supported"},
           {"{% extends 'x' %}", "{% extends %}"},
           {"{% call m() %}{% endcall %}", "{% call %}"},
           {"{% break %}", "{% break %} is not supported here"},
           {"{% for a in b recursive %}{% endfor %}", "recursive"},
           {"{{ 1 | frobnicate }}", "filter 'frobnicate' is not supported"},
           {"{{ 1 is frobnicated }}", "test 'frobnicated' is not supported"},
           {"{{ [].append(1) }}", "attribute 'append' of 'list' is not supported"},
           {"{{ ''.__class__ }}", "attribute '__class__' of 'str' is not supported"},
           {"{{ '%s' % 1 }}", "operator % on text is not supported"},
           {"{{ f(*x) }}", "unpacked"},
           {"{{ 9223372036854775807 + 1 }}", "beyond 64 bits"},
           {"{{ 99999999999999999999 }}", "beyond 64 bits"},
           {"{{ 'a' | safe + 'b' }}", "marked safe"}}) {
    EXPECT_THAT(fault_of(source), HasSubstr(message)) << source;
  }
}

TEST(Jinja, MistakesAreNamedWithTheirLine) {
  for (const auto& [source, message] : std::initializer_list<Refusal>{
           {"\n\n{{ ", "[t: line 3]"},
           {"{{ 1 + }}", "expected an expression, got the end of the tag"},
           {"{% if %}{% endif %}", "expected an expression"},
           {"{% if 1 %}x", "expected {% endif %}, got the end of the template"},
           {"{% for x in y %}{% endif %}", "expected {% endfor %}, got {% endif %}"},
           {"{% endif %}", "unexpected {% endif %}"},
           {"{# x", "a comment without its end"},
           {"{% raw %}", "a raw block without its end"},
           {"{{ 'x }}", "a text without its end quote"},
           {"{{ (1] }}", "unexpected ']'"},
           {"{{ 1 $ 2 }}", "unexpected character '$'"},
           {"{% set 1 = 2 %}", "expected a name to assign to"},
           {"{{ 1 + 'a' }}", "unsupported operand types for +: 'int' and 'str'"},
           {"{{ 1 / 0 }}", "division by zero"},
           {"{% for a, b in [1] %}{% endfor %}", "'int' object is not iterable"},
           {"{% for a, b in ['abc'] %}{% endfor %}", "cannot unpack 3 values to 2 names"},
           {"{{ none | length }}", "object of type 'NoneType' has no len()"},
           {"{{ 'a' < 1 }}", "have no order"},
           {"{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "takes not more than 1"},
           {"\xff", "not UTF-8"}}) {
    EXPECT_THAT(fault_of(source), HasSubstr(message)) << source;
  }
}

TEST(Jinja, HostileTemplatesEndWithOneLine) {
  const auto repeated = [](std::string_view text, int times) {
    std::string result;
    for (int i = 0; i < times; ++i) {
      result += text;
    }
    return result;
  };
  const RenderOptions tight = {.limits = {.steps = 200'000, .output_bytes = 1 << 20, .depth = 600},
                               .now = {}};
  const std::string many = "{% for a in range(99999) %}";
  for (const auto& [source, message] : std::initializer_list<std::pair<std::string, const char*>>{
           {many + many + "{% endfor %}{% endfor %}", "more than 200000 steps"},
           {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested deeper than 600"},
           {"{{ 'a' * 999999999999 }}", "steps"},
           {"{{ range(999999999) }}", "range: longer than 100000"},
           {"{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}"
            "{% endfor %}",
            "steps"},
           {"{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}"
            "{% endfor %}{{ n.x }}",
            "steps"},
           {"{% set n = namespace(x=[1]) %}{% for i in range(999) %}{% set n.x = [n.x] %}"
            "{% endfor %}",
            "nested deeper than 100"},
           {"{{ ('a' * 9999).replace('', 'b' * 9999) }}", "steps"},
           {"{{ " + repeated("(", 5000) + "1" + repeated(")", 5000) + " }}",
            "nested deeper than 200"},
           {"{{ 1" + repeated("+ 1", 5000) + " }}", "nested deeper than 200"},
           {"{{ x" + repeated(".x", 5000) + " }}", "nested deeper than 200"},
           {"{{ " + repeated("not ", 5000) + "1 }}", "nested deeper than 200"},
           {"{{ " + repeated("-", 5000) + "1 }}", "nested deeper than 200"},
           {repeated("{% if 1 %}", 5000), "nested deeper than 100"},
           {std::string(2 << 20, ' '), "expected at most 1048576"}}) {
    EXPECT_THAT(fault_of(source, Json::object(), tight), HasSubstr(message))
        << source.substr(0, 100);
  }
  const RenderOptions small = {.limits = {.output_bytes = 1000}, .now = {}};
  EXPECT_THAT(fault_of("{% for a in range(999) %}abc{% endfor %}", Json::object(), small),
              HasSubstr("more than 1000 bytes of text"));
}

TEST(Jinja, ValuesThatHoldThemselvesAreFreed) {
  EXPECT_EQ(
      render("{% set n = namespace() %}{% set n.n = n %}{% for a in [1] %}{% set n.l = loop %}"
             "{{ loop.changed(loop) }}{% endfor %}{% macro m() %}{% endmacro %}"),
      "True");
}

TEST(Jinja, DeepMessagesAreRefused) {
  Json deep = "x";
  for (int i = 0; i < 200; ++i) {
    deep = Json::array({deep});
  }
  EXPECT_THAT(fault_of("{{ x }}", {{"x", deep}}), HasSubstr("nested deeper than 100"));
}

}  // namespace
}  // namespace sambay::jinja
