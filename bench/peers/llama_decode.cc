// Times llama.cpp's decoding at a position deep in a sequence without computing all that stands
// before it: keys and values of a short prompt are repeated until the position is reached.
// Usage: llama_decode MODEL THREADS STEPS POSITION...
// Prints {"model_bytes": N, "positions": [{"position": P, "seconds": [S, ...]}, ...]}.
#include <llama.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

constexpr int32_t piece = 512;  // tokens of the prompt that is repeated
constexpr int32_t warm_steps = 2;

void check(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "llama_decode: %s\n", what);
    std::exit(1);
  }
}

// Any token: what a model of random weights says is of no interest.
llama_token token_at(const llama_vocab* vocab, int32_t position) {
  return static_cast<llama_token>(int64_t{position} * 7919 % llama_vocab_n_tokens(vocab));
}

// Sequence 0 then has `position` tokens.
void fill(llama_context* context, const llama_vocab* vocab, int32_t position) {
  const llama_memory_t memory = llama_get_memory(context);
  std::vector<llama_token> prompt;
  for (int32_t i = 0; i < piece; ++i) {
    prompt.push_back(token_at(vocab, i));
  }
  check(llama_decode(context, llama_batch_get_one(prompt.data(), piece)) == 0, "prompt failed");
  std::vector<uint8_t> state(llama_state_seq_get_size(context, 0));
  llama_state_seq_get_data(context, state.data(), state.size(), 0);
  constexpr llama_seq_id source = 1;
  for (int32_t begin = piece; begin < position; begin += piece) {
    check(llama_state_seq_set_data(context, state.data(), state.size(), source) > 0,
          "the cache is full");
    llama_memory_seq_rm(memory, source, position - begin, -1);  // beyond the position
    llama_memory_seq_add(memory, source, -1, -1, begin);
    llama_memory_seq_cp(memory, source, 0, -1, -1);
    llama_memory_seq_rm(memory, source, -1, -1);
  }
  check(llama_memory_seq_pos_max(memory, 0) == position - 1, "the cache was not filled");
}

double step(llama_context* context, llama_token token) {
  const auto begin = std::chrono::steady_clock::now();
  check(llama_decode(context, llama_batch_get_one(&token, 1)) == 0, "a step failed");
  llama_synchronize(context);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void measure(llama_model* model, int32_t threads, int32_t steps, int32_t position) {
  const llama_vocab* vocab = llama_model_get_vocab(model);
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<uint32_t>(position + warm_steps + steps + piece);
  params.n_seq_max = 2;
  params.kv_unified = true;
  params.n_threads = threads;
  params.n_threads_batch = threads;
  llama_context* context = llama_init_from_model(model, params);
  check(context != nullptr, "no context");
  fill(context, vocab, position);
  std::printf("{\"position\": %d, \"seconds\": [", position);
  for (int32_t i = 0; i < warm_steps + steps; ++i) {
    const double seconds = step(context, token_at(vocab, position + i));
    if (i >= warm_steps) {
      std::printf("%s%.6f", i > warm_steps ? ", " : "", seconds);
    }
  }
  std::printf("]}");
  llama_free(context);
}

}  // namespace

int main(int argc, char** argv) {
  check(argc > 4, "usage: llama_decode MODEL THREADS STEPS POSITION...");
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  llama_backend_init();
  llama_model* model = llama_model_load_from_file(argv[1], llama_model_default_params());
  check(model != nullptr, "the model cannot be loaded");
  std::printf("{\"model_bytes\": %llu, \"positions\": [",
              static_cast<unsigned long long>(llama_model_size(model)));
  for (int i = 4; i < argc; ++i) {
    std::printf("%s", i > 4 ? ", " : "");
    measure(model, std::atoi(argv[2]), std::atoi(argv[3]), std::atoi(argv[i]));
  }
  std::printf("]}\n");
  llama_model_free(model);
  return 0;
}
