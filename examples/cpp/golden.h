// golden.bin of a bundle: texts, the vectors that they should have, and by how much a vector may stray.
// docs/bundle-format.md has its layout. Its numbers are little-endian; so is nearly every device.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <string>

// Of one precision. One that is not asked for lets everything pass.
struct Bounds {
  double max_difference, median_cosine, cosine, short_cosine, length;
};

class Golden {
 public:
  explicit Golden(const std::string& name) {
    std::ifstream file(std::filesystem::path(name), std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
    if (bytes_.size() < 80 || bytes_.compare(0, 8, "EPGOLDEN") != 0 || u32(8) != 1 || u32(72) != bytes_.size() ||
        texts() == 0)
      throw std::runtime_error(name + " is no golden.bin of version 1, or only a part of one");
  }

  size_t texts() const { return u32(12); }
  size_t dim() const { return u32(16); }
  bool has_unit_length() const { return u32(20) != 0; }
  double unit_length() const { return f32(40); }  // by how much one may be off
  double length_share() const { return f32(36); }

  size_t known(size_t text) const { return u32(u32(56) + 4 * text); }
  bool is_short(size_t text) const { return known(text) < u32(28); }
  // A long text's sum rounds as often as it has terms.
  double growth(size_t text) const { return std::max(1.0, double(known(text)) / u32(32)); }
  double value(size_t text, size_t column) const { return f32(u32(68) + 4 * (text * dim() + column)); }

  // What a text graph takes: all texts, with NUL between two.
  std::string joined() const { return part(u32(52), u32(u32(48) + 4 * texts()) - 1); }

  Bounds bounds(const std::string& precision) const {
    for (size_t at = 80, end = 80 + 32 * size_t(u32(44)); at < end; at += 32)
      if (part(at, 12).c_str() == precision)
        return {most(at + 12), f32(at + 16), f32(at + 20), f32(at + 24), most(at + 28)};
    throw std::runtime_error("golden.bin has no bounds for precision '" + precision + "'");
  }

 private:
  std::string part(size_t begin, size_t size) const {
    if (begin > bytes_.size() || size > bytes_.size() - begin) throw std::runtime_error("golden.bin is damaged");
    return bytes_.substr(begin, size);
  }

  template <typename Number>
  Number number(size_t at) const {
    Number value;
    if (at > bytes_.size() - sizeof value) throw std::runtime_error("golden.bin is damaged");
    std::memcpy(&value, bytes_.data() + at, sizeof value);
    return value;
  }
  uint32_t u32(size_t at) const { return number<uint32_t>(at); }
  float f32(size_t at) const { return number<float>(at); }
  // An upper bound; -1 stands for none.
  double most(size_t at) const { return f32(at) < 0 ? std::numeric_limits<float>::max() : f32(at); }

  std::string bytes_;
};
