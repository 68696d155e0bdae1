// Lets check_jinja.py reach our Jinja.
//   jinja_tool < cases.jsonl   a line {"text": ...} or {"error": ...} a case
// A case is a line {"template": ..., "variables": {...}}.
#include <iostream>

#include "base/error.h"
#include "text/jinja/template.h"

int main() {
  using sambay::jinja::Json;
  std::string line;
  while (std::getline(std::cin, line)) {
    const Json test = Json::parse(line);
    Json result;
    try {
      const sambay::jinja::Template made(test.at("template").get<std::string>(), "template");
      result["text"] = made.render(test.at("variables"), {.now = 1'700'000'000});
    } catch (const sambay::Error& error) {
      result["error"] = error.what();
    }
    std::cout << result.dump() << '\n';
  }
}
