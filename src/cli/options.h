// Options and small formats that several commands share.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

#include "autograd/exec.h"
#include "cli/commands.h"
#include "engine/sampler.h"
#include "hub/resolve.h"
#include "model/config.h"

namespace sambay::cli {

// --preset and what replaces its table's values.
void add_preset_options(CLI::App& command, PresetOptions& options, std::string& parametrization);
// The preset with `parametrization` parsed into it; bits other than 0: its weights quantized to so
// many.
ModelConfig make_config(PresetOptions options, const std::string& parametrization, int bits = 0);

// --bits 8|4: weights of a preset as quantized ones.
void add_bits_option(CLI::App& command, int& bits);

// --dtype f32|bf16; without it `dtype` stays what it is, and empty means model_precision's choice.
void add_dtype_option(CLI::App& command, std::string& dtype);
Precision parse_precision(const std::string& dtype, int kv_bits = 0);
// --kv-bits 8: keys and values of all tokens are kept in 8 bits.
void add_kv_bits_option(CLI::App& command, int& kv_bits);
// Of a model folder that is run: what --dtype says, or else what it is stored in (model/weights.h).
Precision model_precision(const std::string& dtype, int kv_bits,
                          const std::filesystem::path& folder);

// The folder of the model that a user named: a folder, or ORG/NAME[@revision], pulled at need.
std::filesystem::path model_folder(const std::string& named, const Common& common,
                                   hub::Needs needs = hub::Needs::model);

// --temperature, --top-k, --top-p, --min-p, --repetition-penalty, --seed.
void add_sampling_options(CLI::App& command, SamplingOptions& options);
// Replaces those that the command line does not give.
void set_sampling_defaults(const CLI::App& command, SamplingOptions& options,
                           const SamplingOptions& defaults);

// Throws Error naming `where` and the place of the first byte that is not UTF-8.
void check_utf8(std::string_view text, const std::string& where);
// All of standard input, as UTF-8.
std::string read_stdin();

// 1234567 -> "1.23 M"; bytes the same with binary units: "1.18 MiB".
std::string short_number(double value);
std::string short_bytes(double value);

}  // namespace sambay::cli
