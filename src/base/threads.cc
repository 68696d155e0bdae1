#include "base/threads.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"

namespace sambay {
namespace {

thread_local bool inside_parallel = false;

inline void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// One fork-join at a time. Workers spin for a moment after each job, since the next kernel follows
// within microseconds, then sleep until the next generation.
class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) {
      workers_.emplace_back([this] { work(); });
    }
  }
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      gate_.fetch_add(one_generation);
    }
    wake_.notify_all();
    for (auto& worker : workers_) {
      worker.join();
    }
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  void run(int64_t tasks, void (*call)(void*, int64_t), void* context) {
    const std::lock_guard one_at_a_time(run_mutex_);
    tasks_ = tasks;
    call_ = call;
    context_ = context;
    error_ = nullptr;
    next_.store(0, std::memory_order_relaxed);
    {
      const std::lock_guard lock(mutex_);
      const uint64_t generation = gate_.load(std::memory_order_relaxed) / one_generation + 1;
      gate_.store(generation * one_generation + open_bit, std::memory_order_release);
    }
    wake_.notify_all();
    drain();
    // Only those who came in are waited for: a worker that has no CPU just now misses this job.
    gate_.fetch_and(~open_bit, std::memory_order_relaxed);
    constexpr int spins = 20'000;
    for (int i = 0; (gate_.load(std::memory_order_acquire) & inside_mask) != 0; ++i) {
      if (i < spins) {
        pause_briefly();
      } else {
        std::this_thread::yield();
      }
    }
    if (error_) {
      std::rethrow_exception(error_);
    }
  }

 private:
  void drain() {
    inside_parallel = true;
    for (;;) {
      const int64_t task = next_.fetch_add(1, std::memory_order_relaxed);
      if (task >= tasks_) {
        break;
      }
      try {
        call_(context_, task);
      } catch (...) {
        const std::lock_guard lock(error_mutex_);
        if (!error_) {
          error_ = std::current_exception();
        }
        next_.store(tasks_, std::memory_order_relaxed);
      }
    }
    inside_parallel = false;
  }

  void work() {
    uint64_t seen = 0;  // generation
    const auto generation = [this] {
      return gate_.load(std::memory_order_acquire) / one_generation;
    };
    for (;;) {
      constexpr int spins = 20'000;
      for (int i = 0; i < spins && generation() == seen; ++i) {
        pause_briefly();
      }
      if (generation() == seen) {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return generation() != seen; });
      }
      if (stopping_) {
        return;
      }
      seen = enter_and_drain();
    }
  }

  // Takes part in the job at hand if it is still open; returns its generation either way.
  uint64_t enter_and_drain() {
    uint64_t gate = gate_.load(std::memory_order_acquire);
    while ((gate & open_bit) != 0) {
      if (gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acquire)) {
        drain();
        gate_.fetch_sub(1, std::memory_order_release);
        break;
      }
    }
    return gate / one_generation;
  }

  // gate_: the job's generation, whether it may still be entered, how many workers are inside.
  static constexpr uint64_t inside_mask = 0xffff, open_bit = 0x10000, one_generation = 0x20000;

  std::vector<std::thread> workers_;
  std::mutex run_mutex_, mutex_, error_mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> gate_{0};
  std::atomic<int64_t> next_{0};
  std::atomic<bool> stopping_{false};
  int64_t tasks_ = 0;
  void (*call_)(void*, int64_t) = nullptr;
  void* context_ = nullptr;
  std::exception_ptr error_;
};

int default_threads() {
  if (const char* wanted = std::getenv("SAMBAY_THREADS"); wanted != nullptr && *wanted != '\0') {
    char* end = nullptr;
    const long count = std::strtol(wanted, &end, 10);
    if (*end != '\0' || count < 1 || count > 4096) {
      fail("SAMBAY_THREADS", "\"{}\": expected a number from 1 to 4096", wanted);
    }
    return static_cast<int>(count);
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    return CPU_COUNT(&set);
  }
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

std::unique_ptr<Pool>& pool() {
  static auto instance = std::make_unique<Pool>(default_threads());
  return instance;
}

}  // namespace

int num_threads() {
  return pool()->threads();
}

void set_num_threads(int count) {
  if (count < 1) {
    fail("threads", "{}: expected at least 1", count);
  }
  if (count != num_threads()) {
    pool() = std::make_unique<Pool>(count);
  }
}

void detail::run_parallel(int64_t tasks, void (*call)(void*, int64_t), void* context) {
  if (tasks <= 0) {
    return;
  }
  if (tasks == 1 || inside_parallel || num_threads() == 1) {
    for (int64_t i = 0; i < tasks; ++i) {
      call(context, i);
    }
    return;
  }
  pool()->run(tasks, call, context);
}

}  // namespace sambay
