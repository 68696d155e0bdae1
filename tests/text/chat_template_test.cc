#include "text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "support/temp_dir.h"

namespace sambay {
namespace {

using ::testing::HasSubstr;

const jinja::Json question = {{{"role", "user"}, {"content", "Why?"}}};

class ChatTemplates : public ::testing::Test {
 protected:
  void write(const std::string& name, std::string_view text) {
    std::ofstream(folder_ / name) << text;
  }
  // What the folder's template makes of a question.
  std::string prompt() {
    const auto config = folder_ / "tokenizer_config.json";
    const auto read =
        std::filesystem::exists(config) ? read_tokenizer_config(config) : TokenizerConfig();
    const auto found = ChatTemplate::load(folder_.path(), read);
    return found ? found->render(question, true) : "none";
  }
  std::string fault() {
    try {
      return "no fault: " + prompt();
    } catch (const Error& error) {
      return error.what();
    }
  }

  testing::TempDir folder_;
};

TEST_F(ChatTemplates, TheFileOfItsOwnGoesFirst) {
  EXPECT_EQ(prompt(), "none");
  write("tokenizer_config.json",
        R"({"chat_template": "old {{ eos_token }}", "eos_token": "</s>"})");
  EXPECT_EQ(prompt(), "old </s>");
  write("chat_template.jinja", "new {{ messages[0].content }}{{ eos_token }}");
  EXPECT_EQ(prompt(), "new Why?</s>");
}

TEST_F(ChatTemplates, OfSeveralTheDefaultIsTaken) {
  write("tokenizer_config.json", R"({"chat_template": [{"name": "tool_use", "template": "t"},
                                     {"name": "default", "template": "d"}]})");
  EXPECT_EQ(prompt(), "d");
  write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "t"}]})");
  EXPECT_THAT(fault(), HasSubstr("no template named default; the first is rag"));
}

TEST_F(ChatTemplates, SpecialTokensMayBeObjects) {
  write("tokenizer_config.json",
        R"({"chat_template": "{{ bos_token }}|{{ eos_token is defined }}|{{ pad_token }}",
            "bos_token": {"content": "<s>", "__type": "AddedToken"}, "eos_token": null,
            "pad_token": "p", "add_bos_token": true})");
  EXPECT_EQ(prompt(), "<s>|False|p");
}

TEST_F(ChatTemplates, FaultsNameFileAndLine) {
  write("chat_template.jinja", "\n{% if %}");
  EXPECT_THAT(fault(), HasSubstr("chat_template.jinja: line 2] expected an expression"));
  write("chat_template.jinja", "\n{{ raise_exception('No system role') }}");
  EXPECT_THAT(fault(), HasSubstr("chat_template.jinja: line 2] No system role"));
  std::filesystem::remove(folder_ / "chat_template.jinja");
  write("tokenizer_config.json", R"({"chat_template": "{{"})");
  EXPECT_THAT(fault(), HasSubstr("tokenizer_config.json: chat_template: line 1]"));
}

TEST_F(ChatTemplates, MalformedConfigsAreNamed) {
  for (const auto& [text, message] : std::initializer_list<std::pair<const char*, const char*>>{
           {"[]", "expected an object"},
           {R"({"chat_template": 1})", "chat_template: expected a text or a list"},
           {R"({"chat_template": [1]})", "chat_template[0]] expected an object"},
           {R"({"chat_template": [{"name": "default"}]})", "template: expected a text"},
           {R"({"eos_token": 5})", "eos_token: expected a text or an object"},
           {R"({"eos_token": {}})", "eos_token] content: expected a text"},
           {R"({"add_bos_token": "yes"})", "add_bos_token"}}) {
    write("tokenizer_config.json", text);
    EXPECT_THAT(fault(), HasSubstr(message)) << text;
  }
}

}  // namespace
}  // namespace sambay
