#include "hub/pull.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/progress.h"
#include "base/signals.h"
#include "hub/cache.h"
#include "hub/download.h"
#include "hub/remote.h"

namespace sambay::hub {
namespace {

namespace fs = std::filesystem;

bool matches(const char* glob, const std::string& name) {
  return fnmatch(glob, name.c_str(), 0) == 0;
}

bool is_wanted(const RemoteFile& file, const PullOptions& options) {
  const auto any = [&](const std::vector<std::string>& globs) {
    return std::ranges::any_of(
        globs, [&](const std::string& glob) { return matches(glob.c_str(), file.name); });
  };
  return (options.include.empty() ? is_model_file(file.name) : any(options.include)) &&
         !any(options.exclude);
}

// Threads that take one file after the other. The first fault ends all.
class Downloads {
 public:
  // `files` outlives this and stays as it is.
  Downloads(const Cache& cache, const std::vector<RemoteFile>& files) : cache_(&cache) {
    std::vector<const RemoteFile*> contents;
    std::set<std::string> seen;  // two names may have the same content
    for (const RemoteFile& file : files) {
      if (seen.insert(file.digest).second) {
        contents.push_back(&file);
      }
    }
    // The longest first, so that none of them is left over at the end.
    std::ranges::stable_sort(contents, std::greater(), &RemoteFile::size);
    for (const RemoteFile* file : contents) {
      Job& job = jobs_.emplace_back();
      job.file = file;
      job.count.present = bytes_present(cache, *file);
      total_ += file->size;
    }
  }

  int64_t total() const { return total_; }
  int64_t present() const {
    int64_t bytes = 0;
    for (const Job& job : jobs_) {
      bytes += job.count.present;
    }
    return bytes;
  }
  int64_t fetched(const RemoteFile& file) const {
    const auto job = std::ranges::find_if(
        jobs_, [&](const Job& candidate) { return candidate.file->digest == file.digest; });
    return job->count.fetched;
  }
  bool cancelled() const { return stop_requested() || failed_; }

  // `remote` makes a thread's connection; `report` is called now and then on this thread.
  void run(const std::function<Remote()>& remote, const std::string& title,
           const std::string& commit, int connections,
           const std::function<void(const std::string& note)>& report) {
    constexpr std::chrono::milliseconds pause{100};
    const auto count = std::min(jobs_.size(), static_cast<size_t>(connections));
    {
      std::vector<std::jthread> threads;
      for (size_t i = 0; i < count; ++i) {
        threads.emplace_back([&] { work(remote, commit); });
      }
      std::unique_lock lock(mutex_);
      while (!ended_.wait_for(lock, pause, [&] { return threads_ended_ == count; })) {
        report(fmt::format("{} of {} files", jobs_done_.load(), jobs_.size()));
      }
    }
    if (thrown_) {
      std::rethrow_exception(thrown_);
    }
    if (jobs_done_ < jobs_.size()) {
      fail_stopped(title);
    }
  }

 private:
  struct Job {
    const RemoteFile* file = nullptr;
    DownloadCount count;
  };

  void work(const std::function<Remote()>& make_remote, const std::string& commit) {
    std::exception_ptr thrown;
    try {
      Remote remote = make_remote();
      for (size_t i = next_++; i < jobs_.size() && !cancelled(); i = next_++) {
        download(*cache_, remote, commit, *jobs_[i].file, jobs_[i].count);
        ++jobs_done_;
      }
    } catch (...) {
      thrown = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    if (thrown && !failed_.exchange(true)) {
      thrown_ = thrown;
    }
    ++threads_ended_;
    ended_.notify_all();
  }

  const Cache* cache_;
  std::deque<Job> jobs_;
  int64_t total_ = 0;
  std::atomic<size_t> next_{0}, jobs_done_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::condition_variable ended_;
  size_t threads_ended_ = 0;
  std::exception_ptr thrown_;
};

void check_space(const fs::path& folder, int64_t bytes) {
  std::error_code error;
  const auto space = fs::space(folder, error);
  if (!error && static_cast<uint64_t>(bytes) > space.available) {
    fail(folder.string(), "{:.2f} GB are to come, and {:.2f} GB are free on this disk",
         static_cast<double>(bytes) / 1e9, static_cast<double>(space.available) / 1e9);
  }
}

void run_with_progress(Downloads& downloads, const std::function<Remote()>& remote,
                       const std::string& title, const std::string& commit,
                       const PullOptions& options) {
  constexpr int64_t kilo = 1000, mega = 1'000'000;
  const bool large = downloads.total() > 10 * mega;
  const int64_t scale = large ? mega : kilo;
  Progress progress(
      title, downloads.total() / scale,
      {.unit = large ? "MB" : "kB", .quiet = options.quiet, .begun = downloads.present() / scale});
  const auto report = [&](const std::string& note) {
    progress.update(downloads.present() / scale, note);
  };
  downloads.run(remote, title, commit, options.connections, report);
  report("");
  progress.finish();
}

}  // namespace

bool is_model_file(const std::string& name) {
  static constexpr std::array globs = {
      "config.json", "generation_config.json",  "*.safetensors",     "*.safetensors.index.json",
      "tokenizer*",  "special_tokens_map.json", "added_tokens.json", "vocab.json",
      "merges.txt",  "chat_template*",          "chat.json",         "README*",
      "LICENSE*"};
  return name.find('/') == name.npos &&
         std::ranges::any_of(globs, [&](const char* glob) { return matches(glob, name); });
}

PullResult pull(const ModelName& model, const Settings& settings, const PullOptions& options) {
  const Cache cache(settings.cache, model);
  if (settings.offline) {
    const auto folder = cache.find(model.revision, Needs::config);
    if (!folder) {
      fail(model.text(), "not in {}, and HF_HUB_OFFLINE is set", settings.cache.string());
    }
    return {*folder, folder->filename().string(), {}};
  }
  Remote remote(model, settings, options.retry, stop_requested);
  Listing listing = remote.listing();
  std::erase_if(listing.files, [&](const RemoteFile& file) { return !is_wanted(file, options); });
  if (listing.files.empty()) {
    fail(model.text(), "no file of commit {} is wanted", listing.commit);
  }
  // config.json comes last, so that a snapshot that has it has all.
  std::stable_partition(listing.files.begin(), listing.files.end(),
                        [](const RemoteFile& file) { return file.name != "config.json"; });
  for (RemoteFile& file : listing.files) {
    if (!file.is_known()) {
      remote.complete(file, listing.commit);
    }
  }
  cache.make_folders();
  Downloads downloads(cache, listing.files);
  check_space(cache.folder(), downloads.total() - downloads.present());
  const auto connect = [&] {
    return Remote(model, settings, options.retry, [&] { return downloads.cancelled(); });
  };
  run_with_progress(downloads, connect, model.text(), listing.commit, options);

  PullResult result{cache.snapshot(listing.commit), listing.commit, {}};
  for (const RemoteFile& file : listing.files) {
    cache.link(listing.commit, file.name, file.digest);
    result.files.push_back({file.name, file.size, downloads.fetched(file), file.digest});
  }
  if (model.revision != listing.commit) {
    cache.set_commit(model.revision, listing.commit);
  }
  return result;
}

}  // namespace sambay::hub
