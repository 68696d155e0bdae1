#include "base/gnuplot.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "base/error.h"

namespace sambay {
namespace {

namespace fs = std::filesystem;

std::string terminal(const fs::path& out) {
  if (out.extension() == ".svg") {
    return "svg size 960,600 background 'white'";
  }
  if (out.extension() == ".png") {
    return "pngcairo size 960,600";
  }
  fail(out.string(), "expected a name that ends in .svg or .png");
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

// Only the quote itself is special.
std::string gnuplot_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    out += c == '\'' ? "''" : std::string(1, c);
  }
  return out + "'";
}

std::string gnuplot_output(const fs::path& out) {
  return fmt::format("set terminal {}\nset output {}\n", terminal(out),
                     gnuplot_quoted(out.string()));
}

void run_gnuplot(const std::string& script, const fs::path& out) {
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
    fail("plot", "gnuplot could not draw {}", out.string());
  }
}

}  // namespace sambay
