// Drawing by gnuplot, which is told what to do through a pipe.
#pragma once

#include <filesystem>
#include <string>

namespace sambay {

// A string of gnuplot in single quotes.
std::string gnuplot_quoted(const std::string& text);

// The commands that make `out`, a name that ends in .svg or .png, the picture. Throws Error for
// another ending.
std::string gnuplot_output(const std::filesystem::path& out);

// Has gnuplot run the script. Throws Error, naming `out`: no gnuplot, or gnuplot failed.
void run_gnuplot(const std::string& script, const std::filesystem::path& out);

}  // namespace sambay
