// SHA-256 (FIPS 180-4), for the digest of a graph's nodes.
#pragma once
#include "memory.h"

namespace ep {

class Sha256 {
 public:
  void add(Span bytes);
  void hex(char out[65]);  // ends it

 private:
  void block(const uint8_t* bytes);
  uint32_t state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint8_t waiting_[64];
  size_t held_ = 0;
  uint64_t total_ = 0;
};

}  // namespace ep
