#include "ops/ref/attention.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>
#include <vector>

namespace sambay::ops::ref {
namespace {

template <class T, class Element>
T load(Element x) {
  if constexpr (std::is_same_v<Element, Bf16>) {
    return static_cast<T>(to_float(x));
  } else {
    return static_cast<T>(x);
  }
}

template <class Element, class T>
Element store(T x) {
  if constexpr (std::is_same_v<Element, Bf16>) {
    return to_bf16(static_cast<float>(x));
  } else {
    return static_cast<Element>(x);
  }
}

// Row `row`, head `head` of a (T, H, d) tensor.
template <class Element>
Element* head_row(const Tensor& t, int64_t row, int64_t head) {
  return t.data<Element>() + row * t.stride(0) + head * t.stride(1);
}

template <class T, class Element>
T dot(const Element* a, const Element* b, int64_t count) {
  T sum = 0;
  for (int64_t x = 0; x < count; ++x) {
    sum += load<T>(a[x]) * load<T>(b[x]);
  }
  return sum;
}

// Where a key and its value lie.
template <class Element>
struct VisibleKey {
  const Element* k;
  const Element* v;
  int64_t v_head_stride;
  std::optional<KvTile> tile;  // k and v are its keys and values
  int64_t slot;                // of the tile

  template <class T>
  T key(int64_t x) const {
    return load<T>(tile ? k[tile->key_at(slot, x)] : k[x]);
  }
  template <class T>
  T value(int64_t half, int64_t x) const {
    return load<T>(v[half * v_head_stride + (tile ? tile->value_at(slot, x) : x)]);
  }
};

// In a tile of u8.
struct VisibleKey8 {
  const uint8_t* tile;
  KvTile layout = {DType::u8, 1, 1};
  int64_t k_head, v_head;  // of the tile
  int64_t slot;

  template <class T>
  T number(int64_t at, int64_t scales) const {
    float scale;
    std::memcpy(&scale, tile + KvTile::scales_of(scales) + slot * 4, sizeof scale);
    return static_cast<T>(scale) * static_cast<T>(tile[at] - KvTile::offset8);
  }
  template <class T>
  T key(int64_t x) const {
    return number<T>(layout.keys_of(k_head) + layout.key_at(slot, x), k_head);
  }
  template <class T>
  T value(int64_t half, int64_t x) const {
    return number<T>(layout.values_of(v_head + half) + layout.value_at(slot, x), layout.heads);
  }
};

// Key t of a span.
void find(const KvSpan& span, int64_t t, DType, const HeadMap& map, int64_t k_head, int64_t v_head,
          VisibleKey8& found) {
  const KvTile layout(DType::u8, map.head_dim, span.tiles.heads);
  const int64_t slot = span.first % tile_keys + t;
  found = {static_cast<const uint8_t*>(span.tiles.at) +
               k_head / layout.heads * span.tiles.group_stride +
               slot / tile_keys * layout.elements(),
           layout, k_head % layout.heads, v_head % layout.heads, slot % tile_keys};
}

template <class Element>
void find(const KvSpan& span, int64_t t, DType dtype, const HeadMap& map, int64_t k_head,
          int64_t v_head, VisibleKey<Element>& found) {
  if (span.tiles.at == nullptr) {
    found = {
        static_cast<const Element*>(span.k) + t * span.k_token_stride + k_head * span.k_head_stride,
        static_cast<const Element*>(span.v) + t * span.v_token_stride + v_head * span.v_head_stride,
        span.v_head_stride, std::nullopt, 0};
    return;
  }
  const KvTile tile(dtype, map.head_dim, span.tiles.heads);
  const int64_t slot = span.first % tile_keys + t;
  const auto tile_of = [&](int64_t head) {
    return static_cast<const Element*>(span.tiles.at) +
           head / tile.heads * span.tiles.group_stride + slot / tile_keys * tile.elements();
  };
  found = {tile_of(k_head) + tile.keys_of(k_head % tile.heads),
           tile_of(v_head) + tile.values_of(v_head % tile.heads), tile.value_elements(), tile,
           slot % tile_keys};
}

// The keys of segment s that a query at `position` sees, through the head map of query head n.
template <class Key>
std::vector<Key> visible_keys(const KvSpans& keys, int s, int64_t position, int64_t n,
                              const AttentionOptions& options) {
  const int64_t v_first = options.map.v_head(n) * (options.map.paired ? 2 : 1);
  std::vector<Key> out;
  const auto segment = static_cast<size_t>(s);
  for (auto i = static_cast<size_t>(keys.begin[segment]);
       i < static_cast<size_t>(keys.begin[segment + 1]); ++i) {
    const KvSpan& span = keys.spans[i];
    for (int64_t t = 0; t < span.count; ++t) {
      const int64_t p = span.first + t;
      if (p <= position && (options.window == 0 || position - p < options.window)) {
        find(span, t, keys.dtype, options.map, options.map.k_head(n), v_first, out.emplace_back());
      }
    }
  }
  return out;
}

template <class T, class Element, class Key>
T score(const Element* q, const Key& key, int64_t count) {
  T sum = 0;
  for (int64_t x = 0; x < count; ++x) {
    sum += load<T>(q[x]) * key.template key<T>(x);
  }
  return sum;
}

template <class T>
struct Lambda {
  T e1, e2, value;
};

template <class T>
Lambda<T> lambda_of(const DifferentialInputs& in) {
  const int64_t d = in.lambda_q1.dim(0);
  const T e1 = std::exp(dot<T>(in.lambda_q1.data<T>(), in.lambda_k1.data<T>(), d));
  const T e2 = std::exp(dot<T>(in.lambda_q2.data<T>(), in.lambda_k2.data<T>(), d));
  return {e1, e2, e1 - e2 + static_cast<T>(in.lambda_init)};
}

template <class T, class Element, class Key>
void attention_to(const Tensor& q, const Segments& queries, const KvSpans& keys,
                  const AttentionOptions& options, const Tensor& out, const Tensor& lse) {
  const HeadMap& map = options.map;
  for (int s = 0; s < queries.count(); ++s) {
    const int64_t first_row = queries.begin[static_cast<size_t>(s)];
    for (int64_t i = 0; i < queries.rows(s); ++i) {
      for (int64_t n = 0; n < map.heads; ++n) {
        const auto seen =
            visible_keys<Key>(keys, s, queries.past[static_cast<size_t>(s)] + i, n, options);
        std::vector<T> p(seen.size());
        T max = -std::numeric_limits<T>::infinity();
        for (size_t j = 0; j < seen.size(); ++j) {
          p[j] = static_cast<T>(options.scale) *
                 score<T>(head_row<Element>(q, first_row + i, n), seen[j], map.head_dim);
          max = std::max(max, p[j]);
        }
        T sum = 0;
        for (T& x : p) {
          x = std::exp(x - max);
          sum += x;
        }
        Element* to = head_row<Element>(out, first_row + i, n);
        for (int64_t x = 0; x < map.v_dim(); ++x) {
          T total = 0;
          for (size_t j = 0; j < seen.size(); ++j) {
            total += p[j] * seen[j].template value<T>(x / map.head_dim, x % map.head_dim);
          }
          to[x] = store<Element>(seen.empty() ? T{0} : total / sum);
        }
        if (lse.defined()) {
          lse.data<T>()[(first_row + i) * lse.stride(0) + n] = max + std::log(sum);
        }
      }
    }
  }
}

}  // namespace

template <class T, class Element>
void attention(const Tensor& q, const Segments& queries, const KvSpans& keys,
               const AttentionOptions& options, const Tensor& out, const Tensor& lse) {
  const auto run = keys.eight_bits ? attention_to<T, Element, VisibleKey8>
                                   : attention_to<T, Element, VisibleKey<Element>>;
  run(q, queries, keys, options, out, lse);
}

template <class T, class Element>
void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Segments& queries,
                        const Segments& tokens, const AttentionOptions& options, const Tensor& out,
                        const Tensor& lse, const Tensor& d_out,
                        const AttentionGradients& gradients) {
  const HeadMap& map = options.map;
  const int64_t d = map.head_dim, v_dim = map.v_dim();
  const auto size = static_cast<size_t>(k.elements());
  std::vector<T> d_k(size), d_v(size);
  for (int s = 0; s < queries.count(); ++s) {
    const auto segment = static_cast<size_t>(s);
    const int64_t before = tokens.rows(s) - queries.rows(s);
    for (int64_t i = 0; i < queries.rows(s); ++i) {
      const int64_t row = queries.begin[segment] + i;
      const int64_t last = before + i;  // the query's own key
      const int64_t first =
          options.window == 0 ? 0 : std::max<int64_t>(0, last + 1 - options.window);
      for (int64_t n = 0; n < map.heads; ++n) {
        const Element* d_o = head_row<Element>(d_out, row, n);
        const T delta = dot<T>(d_o, head_row<Element>(out, row, n), v_dim);
        const int64_t v_first = map.v_head(n) * (map.paired ? 2 : 1);
        std::vector<T> d_q(static_cast<size_t>(d));
        const Element* q_row = head_row<Element>(q, row, n);
        for (int64_t j = first; j <= last; ++j) {
          const int64_t t = tokens.begin[segment] + j;
          const Element* k_row = head_row<Element>(k, t, map.k_head(n));
          const T p = std::exp(static_cast<T>(options.scale) * dot<T>(q_row, k_row, d) -
                               lse.data<T>()[row * lse.stride(0) + n]);
          T d_p = 0;
          for (int64_t x = 0; x < v_dim; ++x) {
            const int64_t head = v_first + x / d;
            d_p += load<T>(d_o[x]) * load<T>(head_row<Element>(v, t, head)[x % d]);
            d_v[static_cast<size_t>((t * map.k_heads + head) * d + x % d)] += p * load<T>(d_o[x]);
          }
          const T d_s = static_cast<T>(options.scale) * p * (d_p - delta);
          for (int64_t x = 0; x < d; ++x) {
            d_q[static_cast<size_t>(x)] += d_s * load<T>(k_row[x]);
            d_k[static_cast<size_t>((t * map.k_heads + map.k_head(n)) * d + x)] +=
                d_s * load<T>(q_row[x]);
          }
        }
        for (int64_t x = 0; x < d; ++x) {
          head_row<Element>(gradients.d_q, row, n)[x] = store<Element>(d_q[static_cast<size_t>(x)]);
        }
      }
    }
  }
  for (int64_t t = 0; t < tokens.rows(); ++t) {
    for (int64_t head = 0; head < map.k_heads; ++head) {
      for (int64_t x = 0; x < d; ++x) {
        const auto at = static_cast<size_t>((t * map.k_heads + head) * d + x);
        head_row<Element>(gradients.d_k, t, head)[x] = store<Element>(d_k[at]);
        head_row<Element>(gradients.d_v, t, head)[x] = store<Element>(d_v[at]);
      }
    }
  }
}

template <class T, class Element>
void differential(const DifferentialInputs& in, const Tensor& out) {
  const T lambda = lambda_of<T>(in).value;
  const int64_t width = in.attn.dim(2);
  std::vector<T> o(static_cast<size_t>(width));
  for (int64_t t = 0; t < out.dim(0); ++t) {
    for (int64_t n = 0; n < out.dim(1); ++n) {
      const Element* a1 = head_row<Element>(in.attn, t, 2 * n);
      const Element* a2 = head_row<Element>(in.attn, t, 2 * n + 1);
      T squares = 0;
      for (size_t x = 0; x < o.size(); ++x) {
        o[x] = load<T>(a1[x]) - lambda * load<T>(a2[x]);
        squares += o[x] * o[x];
      }
      const T inverse = 1 / std::sqrt(squares / static_cast<T>(width) + static_cast<T>(in.eps));
      for (size_t x = 0; x < o.size(); ++x) {
        head_row<Element>(out, t, n)[x] = store<Element>(o[x] * inverse * in.subln.data<T>()[x] *
                                                         (1 - static_cast<T>(in.lambda_init)));
      }
    }
  }
}

template <class T, class Element>
void differential_backward(const DifferentialInputs& in, const Tensor& d_out,
                           const DifferentialInputs& gradients) {
  const auto [e1, e2, lambda] = lambda_of<T>(in);
  const int64_t width = in.attn.dim(2);
  const T gain = 1 - static_cast<T>(in.lambda_init);
  T d_lambda = 0;
  std::vector<T> o(static_cast<size_t>(width)), d_normed(o.size()), d_subln(o.size());
  for (int64_t t = 0; t < d_out.dim(0); ++t) {
    for (int64_t n = 0; n < d_out.dim(1); ++n) {
      const Element* a1 = head_row<Element>(in.attn, t, 2 * n);
      const Element* a2 = head_row<Element>(in.attn, t, 2 * n + 1);
      const Element* g = head_row<Element>(d_out, t, n);
      T squares = 0, inner = 0;
      for (size_t x = 0; x < o.size(); ++x) {
        o[x] = load<T>(a1[x]) - lambda * load<T>(a2[x]);
        squares += o[x] * o[x];
        d_normed[x] = load<T>(g[x]) * gain * in.subln.data<T>()[x];
        inner += d_normed[x] * o[x];
      }
      const T inverse = 1 / std::sqrt(squares / static_cast<T>(width) + static_cast<T>(in.eps));
      const T pull = inner * inverse * inverse / static_cast<T>(width);
      for (size_t x = 0; x < o.size(); ++x) {
        const T d_o = inverse * (d_normed[x] - pull * o[x]);
        head_row<Element>(gradients.attn, t, 2 * n)[x] = store<Element>(d_o);
        head_row<Element>(gradients.attn, t, 2 * n + 1)[x] = store<Element>(-lambda * d_o);
        d_lambda -= d_o * load<T>(a2[x]);
        d_subln[x] += load<T>(g[x]) * gain * o[x] * inverse;
      }
    }
  }
  for (size_t x = 0; x < o.size(); ++x) {
    gradients.subln.data<T>()[x] += d_subln[x];
  }
  for (int64_t x = 0; x < in.lambda_q1.dim(0); ++x) {
    gradients.lambda_q1.data<T>()[x] += d_lambda * e1 * in.lambda_k1.data<T>()[x];
    gradients.lambda_k1.data<T>()[x] += d_lambda * e1 * in.lambda_q1.data<T>()[x];
    gradients.lambda_q2.data<T>()[x] -= d_lambda * e2 * in.lambda_k2.data<T>()[x];
    gradients.lambda_k2.data<T>()[x] -= d_lambda * e2 * in.lambda_q2.data<T>()[x];
  }
}

#define SAMBAY_INSTANTIATE(T, Element)                                                        \
  template void attention<T, Element>(const Tensor&, const Segments&, const KvSpans&,         \
                                      const AttentionOptions&, const Tensor&, const Tensor&); \
  template void attention_backward<T, Element>(                                               \
      const Tensor&, const Tensor&, const Tensor&, const Segments&, const Segments&,          \
      const AttentionOptions&, const Tensor&, const Tensor&, const Tensor&,                   \
      const AttentionGradients&);                                                             \
  template void differential<T, Element>(const DifferentialInputs&, const Tensor&);           \
  template void differential_backward<T, Element>(const DifferentialInputs&, const Tensor&,   \
                                                  const DifferentialInputs&);
SAMBAY_INSTANTIATE(double, double)
SAMBAY_INSTANTIATE(float, float)
SAMBAY_INSTANTIATE(float, Bf16)
#undef SAMBAY_INSTANTIATE

}  // namespace sambay::ops::ref
