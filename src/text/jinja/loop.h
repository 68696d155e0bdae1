// What a for loop goes through, and its variable `loop`.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/render.h"

namespace sambay::jinja {

// The items for which the loop's condition holds. It is asked about an item when the item's turn
// comes, not before, unless the template asks how many there are.
class LoopItems {
 public:
  // `test` may be null; it is evaluated in a scope of its own within the loop's surroundings.
  LoopItems(Render& render, std::vector<Value> items, const Target& target, const Expression* test);

  std::optional<Value> next();
  const std::optional<Value>& peek();
  // How many are to come.
  size_t left();
  int32_t depth();

 private:
  bool wanted(const Value& item);

  Render* render_;
  std::shared_ptr<Scope> scope_;
  std::vector<Value> items_;
  const Target* target_;
  const Expression* test_;
  size_t place_ = 0;
  std::optional<Value> peeked_;
  std::optional<int32_t> depth_;
};

class Loop : public Object, public std::enable_shared_from_this<Loop> {
 public:
  Loop(Render& render, std::shared_ptr<LoopItems> items);

  // Goes on to the next item; nothing when there is none.
  std::optional<Value> next();

  std::string type_name() const override { return "loop"; }
  int32_t depth() const override { return items_->depth(); }
  std::optional<Value> attribute(std::string_view name) override;
  // Whether the values differ from those of the last call.
  bool changed(std::vector<Value> values);
  int64_t index() const { return index_; }

 private:
  int64_t length();

  Render* render_;
  std::shared_ptr<LoopItems> items_;
  int64_t index_ = -1;
  std::optional<int64_t> length_;
  std::optional<Value> previous_, current_;
  std::optional<std::vector<Value>> compared_;
};

}  // namespace sambay::jinja
