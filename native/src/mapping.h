// A file in memory: mapped, so that processes share its pages and nothing is read before it is needed.
#pragma once
#include "memory.h"

namespace ep {

class Mapping {
 public:
  Mapping() = default;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();
  bool open(const char* path);  // UTF-8
  Span bytes() const { return bytes_; }

 private:
  Span bytes_;
};

}  // namespace ep
