#include "train/plot.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "base/error.h"
#include "train/metrics.h"

namespace sambay {
namespace {

namespace fs = std::filesystem;

// A string of gnuplot in single quotes, where only the quote itself is special.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    out += c == '\'' ? "''" : std::string(1, c);
  }
  return out + "'";
}

std::string terminal(const fs::path& out) {
  if (out.extension() == ".svg") {
    return "svg size 960,600 background 'white'";
  }
  if (out.extension() == ".png") {
    return "pngcairo size 960,600";
  }
  fail(out.string(), "expected a name that ends in .svg or .png");
}

std::string run_name(const fs::path& run) {
  const fs::path folder =
      fs::is_directory(run) ? fs::absolute(run) : fs::absolute(run).parent_path();
  const fs::path plain = folder.lexically_normal();
  return (plain.has_filename() ? plain : plain.parent_path()).filename().string();
}

bool on_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (::access((fs::path(folder) / program).c_str(), X_OK) == 0) {
      return true;
    }
  }
  return false;
}

// A gnuplot that ends early must not take this process along.
class IgnoredSigpipe {
 public:
  IgnoredSigpipe() : before_(std::signal(SIGPIPE, SIG_IGN)) {}
  ~IgnoredSigpipe() { std::signal(SIGPIPE, before_); }
  IgnoredSigpipe(const IgnoredSigpipe&) = delete;
  IgnoredSigpipe& operator=(const IgnoredSigpipe&) = delete;

 private:
  void (*before_)(int);
};

}  // namespace

std::string plot_script(const PlotOptions& options) {
  std::string data, curves;
  for (size_t i = 0; i < options.runs.size(); ++i) {
    data += fmt::format("$run{} << END\n", i);
    for (const auto& [step, value] : read_curve(options.runs[i], options.metric)) {
      data += fmt::format("{} {}\n", step, value);
    }
    data += "END\n";
    curves += fmt::format("{} $run{} using 1:2 with lines linewidth 1.5 title {}",
                          i == 0 ? "plot" : ",", i, quoted(run_name(options.runs[i])));
  }
  return fmt::format(
      "set terminal {}\nset output {}\nset xlabel 'step'\nset ylabel {} noenhanced\n"
      "set key noenhanced\nset grid\n{}{}\n",
      terminal(options.out), quoted(options.out.string()), quoted(options.metric), data, curves);
}

void plot_curves(const PlotOptions& options) {
  const std::string script = plot_script(options);
  if (!on_path("gnuplot")) {
    fail("plot", "gnuplot is not installed (Debian: gnuplot-nox)");
  }
  const IgnoredSigpipe ignored;
  FILE* gnuplot = ::popen("gnuplot", "w");
  if (gnuplot == nullptr) {
    fail("plot", "cannot start gnuplot");
  }
  const bool written = std::fwrite(script.data(), 1, script.size(), gnuplot) == script.size();
  if (::pclose(gnuplot) != 0 || !written) {
    fail("plot", "gnuplot could not draw {}", options.out.string());
  }
}

}  // namespace sambay
