// The part of Jinja that chat templates are written in, with Python's meaning of every value.
//
// As Hugging Face's apply_chat_template sets Jinja up: trim_blocks, lstrip_blocks, loop controls,
// tojson that escapes no HTML, generation blocks, immutable values. Not there, and refused by name
// and line: include, import, extends, block, call, recursive loops, * and ** in calls, the operator
// % on text, and rare filters. One thing differs: a variable of the caller's is seen by loops and
// macros until the template sets it at the top level; Jinja hides it from them before that, too.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "text/jinja/ast.h"

namespace sambay::jinja {

struct RenderOptions {
  Limits limits = {};
  std::optional<std::time_t> now = {};  // what strftime_now() says, as local time; else the clock
};

// Immutable: any number of threads may use one.
class Template {
 public:
  // `tag` stands for the file in errors. Throws Error naming the line and what is wrong with it.
  Template(std::string_view source, std::string tag);

  // `variables`: an object. Throws Error naming the line: what the template raises, a mistake
  // that Python would raise, or a limit that is exceeded.
  std::string render(const Json& variables, const RenderOptions& options = {}) const;

 private:
  std::string tag_;
  Body body_;
};

}  // namespace sambay::jinja
