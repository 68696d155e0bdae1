#include "hub/listing.h"

#include <algorithm>

#include "base/json_fields.h"
#include "hub/digest.h"
#include "hub/names.h"

namespace sambay::hub {
namespace {

// Absent and null are the same.
bool has_value(const nlohmann::json& object, const char* field) {
  return object.contains(field) && !object[field].is_null();
}

std::string digest_field(JsonFields& fields, const char* name, size_t digits) {
  auto digest = fields.required<std::string>(name);
  if (!is_hex(digest, digits)) {
    fail(fields.where(), "{}: \"{}\": expected {} hexadecimal digits", name, digest.substr(0, 80),
         digits);
  }
  return digest;
}

RemoteFile parse_file(const nlohmann::json& json, const std::string& where) {
  JsonFields fields(json, where);
  RemoteFile file{.name = fields.required<std::string>("rfilename")};
  if (!is_safe_path(file.name)) {
    fail(where, "rfilename: \"{}\": refused, no name for a file below a folder",
         file.name.substr(0, 80));
  }
  JsonFields named(json, where + ": " + file.name);
  if (has_value(json, "size")) {
    file.size = named.integer("size", 0, max_file_bytes);
  }
  if (has_value(json, "lfs")) {
    JsonFields lfs(named.raw("lfs"), named.where() + ": lfs");
    file.digest = digest_field(lfs, "sha256", sha256_digits);
    file.size = lfs.integer("size", 0, max_file_bytes);
  } else if (has_value(json, "blobId")) {
    file.digest = digest_field(named, "blobId", sha1_digits);
  }
  return file;
}

}  // namespace

Listing parse_listing(std::string_view json, const std::string& where) {
  const auto parsed = parse_json(json, where);
  JsonFields fields(parsed, where);
  Listing listing{.commit = fields.required<std::string>("sha")};
  if (!is_commit(listing.commit)) {
    fail(where, "sha: \"{}\": expected a commit of 40 hexadecimal digits",
         listing.commit.substr(0, 80));
  }
  const auto& siblings = fields.raw("siblings");
  if (!siblings.is_array() || siblings.size() > max_files) {
    fail(where, "siblings: expected an array of at most {} files", max_files);
  }
  for (const auto& sibling : siblings) {
    listing.files.push_back(parse_file(sibling, where));
  }
  std::ranges::sort(listing.files, {}, &RemoteFile::name);
  const auto twice = std::ranges::adjacent_find(listing.files, {}, &RemoteFile::name);
  if (twice != listing.files.end()) {
    fail(where, "siblings: \"{}\" is there twice", twice->name);
  }
  return listing;
}

}  // namespace sambay::hub
