#include "text/jinja/loop.h"

#include <algorithm>

#include "text/jinja/operators.h"

namespace sambay::jinja {
namespace {

// loop.cycle and loop.changed.
class LoopFunction : public Object {
 public:
  LoopFunction(std::shared_ptr<Loop> loop, bool cycle) : loop_(std::move(loop)), cycle_(cycle) {}
  std::string type_name() const override { return "function"; }
  bool callable() const override { return true; }
  int32_t depth() const override { return loop_->depth(); }
  Value call(Render& render, const CallArguments& arguments) override {
    render.budget.charge_elements(arguments.positional.size());
    if (!cycle_) {
      return loop_->changed(arguments.positional);
    }
    if (arguments.positional.empty()) {
      fault("loop.cycle: no items for cycling given");
    }
    const auto count = std::ssize(arguments.positional);
    return arguments.positional[static_cast<size_t>(loop_->index() % count)];
  }

 private:
  std::shared_ptr<Loop> loop_;
  bool cycle_;
};

}  // namespace

LoopItems::LoopItems(Render& render, std::vector<Value> items, const Target& target,
                     const Expression* test)
    : render_(&render),
      scope_(render.scope),
      items_(std::move(items)),
      target_(&target),
      test_(test) {}

bool LoopItems::wanted(const Value& item) {
  if (test_ == nullptr) {
    return true;
  }
  bool result = false;
  render_->in_scope(scope_, [&] {
    target_->assign(*render_, item);
    result = render_->evaluate(*test_).truth();
  });
  return result;
}

std::optional<Value> LoopItems::next() {
  if (peeked_) {
    return std::exchange(peeked_, {});
  }
  while (place_ < items_.size()) {
    const Value& item = items_[place_++];
    render_->budget.charge();
    if (wanted(item)) {
      return item;
    }
  }
  return {};
}

const std::optional<Value>& LoopItems::peek() {
  if (!peeked_) {
    peeked_ = next();
  }
  return peeked_;
}

size_t LoopItems::left() {
  if (test_ != nullptr) {
    std::vector<Value> rest;
    while (auto item = next()) {
      rest.push_back(std::move(*item));
    }
    items_ = std::move(rest);
    place_ = 0;
    test_ = nullptr;
  }
  return items_.size() - place_ + (peeked_ ? 1 : 0);
}

int32_t LoopItems::depth() {
  if (!depth_) {
    depth_ = 0;
    for (const Value& item : items_) {
      depth_ = std::max(*depth_, item.depth());
    }
  }
  return *depth_;
}

Loop::Loop(Render& render, std::shared_ptr<LoopItems> items)
    : render_(&render), items_(std::move(items)) {}

std::optional<Value> Loop::next() {
  auto item = items_->next();
  if (item) {
    ++index_;
    previous_ = std::exchange(current_, item);
  }
  return item;
}

int64_t Loop::length() {
  if (!length_) {
    length_ = index_ + 1 + static_cast<int64_t>(items_->left());
  }
  return *length_;
}

bool Loop::changed(std::vector<Value> values) {
  const auto same = [&] {
    if (!compared_ || compared_->size() != values.size()) {
      return false;
    }
    for (size_t i = 0; i < values.size(); ++i) {
      if (!equal((*compared_)[i], values[i], render_->budget)) {
        return false;
      }
    }
    return true;
  };
  const bool result = !same();
  if (!compared_) {
    render_->at_end([self = shared_from_this()] { self->compared_.reset(); });
  }
  compared_ = std::move(values);
  return result;
}

std::optional<Value> Loop::attribute(std::string_view name) {
  if (name == "index") {
    return index_ + 1;
  }
  if (name == "index0") {
    return index_;
  }
  if (name == "first") {
    return index_ == 0;
  }
  if (name == "last") {
    return !items_->peek().has_value();
  }
  if (name == "length") {
    return length();
  }
  if (name == "revindex") {
    return length() - index_;
  }
  if (name == "revindex0") {
    return length() - index_ - 1;
  }
  if (name == "depth" || name == "depth0") {
    return int64_t{name == "depth" ? 1 : 0};  // it counts recursive loops only
  }
  if (name == "previtem") {
    return previous_ ? *previous_ : Value::undefined("there is no previous item");
  }
  if (name == "nextitem") {
    const auto& next = items_->peek();
    return next ? *next : Value::undefined("there is no next item");
  }
  if (name == "cycle" || name == "changed") {
    return ObjectPtr(std::make_shared<LoopFunction>(shared_from_this(), name == "cycle"));
  }
  return {};
}

}  // namespace sambay::jinja
