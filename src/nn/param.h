// Parameters: each knows its name, shape, role and initialisation from birth.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "autograd/exec.h"

namespace sambay {

// What a parameter is, which is all that initialisation, learning rate, weight decay, precision and
// quantisation need to know (spec section 11: hidden is matrix-like, everything else vector-like).
enum class Role : uint8_t { embedding, hidden, readout, vector, ssm_scalar };

// The distributions of spec section 10, by meaning; what they are in SP and muP++ is decided in
// model/init.
enum class Init : uint8_t {
  zeros,
  ones,
  embedding,
  readout,
  linear,
  output_linear,  // output_linear: `proj`, `out_proj`, `w3`
  dt_proj,
  filter,
  filter_bias,
  lambda,
  a_log,
  dt_bias
};

struct Param {
  std::string name;  // "transformer.h.3.attn.in_proj.weight"
  Shape shape;
  Role role = Role::hidden;
  Init init = Init::linear;
  Weight weight;  // what forwards use: compute dtype if is_matrix(), else accum

  // Multiplied by activations in a matrix product, so kept in the compute dtype.
  bool is_matrix() const {
    return role == Role::embedding || role == Role::hidden || role == Role::readout;
  }
  DType dtype(const Precision& p) const { return is_matrix() ? p.compute : p.accum; }
};

// All parameters of a model in the order of declaration. Addresses are stable.
class ParamStore {
 public:
  ParamStore() = default;
  ParamStore(const ParamStore&) = delete;
  ParamStore& operator=(const ParamStore&) = delete;

  // The name must be new.
  Param& add(std::string name, Shape shape, Role role, Init init);
  // Null if there is none.
  Param* find(std::string_view name);
  const Param* find(std::string_view name) const;
  std::deque<Param>& all() { return params_; }
  const std::deque<Param>& all() const { return params_; }
  int64_t elements() const;

 private:
  std::deque<Param> params_;
  std::unordered_map<std::string_view, Param*> by_name_;  // keys are the names in params_
};

// Declares parameters under a prefix: ParamScope(store, "transformer.h.0").child("attn").
class ParamScope {
 public:
  ParamScope(ParamStore& store, std::string prefix) : store_(&store), prefix_(std::move(prefix)) {}
  ParamScope child(std::string_view name) const;
  Param& add(std::string_view name, Shape shape, Role role, Init init) const;

 private:
  ParamStore* store_;
  std::string prefix_;
};

}  // namespace sambay
