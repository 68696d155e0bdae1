#include "text/jinja/functions.h"

#include <array>
#include <ctime>

#include "text/jinja/arguments.h"
#include "text/jinja/operators.h"
#include "text/jinja/render.h"
#include "text/utf8.h"

namespace sambay::jinja {
namespace {

using Arguments = const CallArguments&;

class FunctionObject : public Object {
 public:
  explicit FunctionObject(Function function) : function_(function) {}
  std::string type_name() const override { return "function"; }
  bool callable() const override { return true; }
  Value call(Render& render, Arguments arguments) override { return function_(render, arguments); }

 private:
  Function function_;
};

Value make_range(Render& render, Arguments arguments) {
  const Bound args("range", arguments, {"start", "stop", "step"}, 1);
  const int64_t begin = args.given(1) ? args.integer(0, 0) : 0;
  const int64_t end = args.given(1) ? args.integer(1, 0) : args.integer(0, 0);
  const int64_t step = args.integer(2, 1);
  if (step == 0) {
    fault("range: step must not be zero");
  }
  constexpr size_t longest = 100'000;  // as in Jinja's sandbox
  std::vector<Value> items;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    render.budget.charge();
    if (items.size() == longest) {
      fault("range: longer than {}", longest);
    }
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) {
      break;
    }
  }
  return std::make_shared<const Sequence>(std::move(items), SequenceKind::range);
}

// The entries of a dict, or pairs, and then the named arguments.
template <class Set>
void fill(std::string_view what, Arguments arguments, Budget& budget, const Set& set) {
  if (arguments.positional.size() > 1) {
    fault("{}: expected at most 1 argument without a name", what);
  }
  for (const Value& from : arguments.positional) {
    if (const Dict* dict = defined(from).as_dict()) {
      budget.charge_elements(8 * dict->entries().size());
      for (const auto& [key, value] : dict->entries()) {
        set(key, value);
      }
      continue;
    }
    for (const Value& pair : iterate(from, budget)) {
      const auto parts = iterate(pair, budget);
      budget.charge(8);
      if (parts.size() != 2) {
        fault("{}: expected pairs", what);
      }
      set(parts[0], parts[1]);
    }
  }
  for (const auto& [name, value] : arguments.named) {
    set(Value::text(name), value);
  }
}

Value make_dict(Render& render, Arguments arguments) {
  const auto dict = std::make_shared<Dict>();
  fill("dict", arguments, render.budget,
       [&](const Value& key, const Value& value) { dict->set(key, value); });
  return DictPtr(dict);
}

Value make_namespace(Render& render, Arguments arguments) {
  const auto made = std::make_shared<Namespace>();
  fill("namespace", arguments, render.budget, [&](const Value& key, const Value& value) {
    made->attributes[text_of(key, "namespace: attribute")] = value;
  });
  render.at_end([made] { made->attributes.clear(); });
  return ObjectPtr(made);
}

Value raise_exception(Render&, Arguments arguments) {
  const Bound args("raise_exception", arguments, {"message"}, 1);
  throw Fault(args.text(0).substr(0, 1000));
}

Value strftime_now(Render& render, Arguments arguments) {
  const Bound args("strftime_now", arguments, {"format"}, 1);
  std::tm local{};
  localtime_r(&render.now, &local);
  constexpr size_t longest = 1024;
  std::array<char, longest> buffer{};
  // A mark in front tells an empty result from one that does not fit.
  const std::string format = "|" + args.text(0);
  const size_t bytes = format.size() > longest
                           ? 0
                           : std::strftime(buffer.data(), buffer.size(), format.c_str(), &local);
  if (bytes == 0) {
    fault("strftime_now: a result of more than {} bytes", longest);
  }
  return utf8_lossy(std::string_view(buffer.data() + 1, bytes - 1));
}

}  // namespace

std::optional<Value> Namespace::attribute(std::string_view name) {
  const auto found = attributes.find(name);
  return found == attributes.end() ? std::nullopt : std::optional(found->second);
}

ObjectPtr make_function(Function function) {
  return std::make_shared<FunctionObject>(function);
}

ObjectPtr find_function(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, Function>, 5> functions = {
      {{"dict", make_dict},
       {"namespace", make_namespace},
       {"raise_exception", raise_exception},
       {"range", make_range},
       {"strftime_now", strftime_now}}};
  for (const auto& [known, function] : functions) {
    if (known == name) {
      return make_function(function);
    }
  }
  return nullptr;
}

}  // namespace sambay::jinja
