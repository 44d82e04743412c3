// Words that were met before, by their bytes: two to a line of a processor's cache. For unigram.cpp alone.
#pragma once
#include "model.h"
#include "scratch.h"

namespace ep {

constexpr size_t WORD_BYTES = 16, WORD_IDS = 3;  // of nineteen words in twenty
constexpr int CACHE_BITS = 15;                   // 2 MiB a worker

// The bytes of a word, behind which stand zeros. Longer ones are none.
struct WordKey {
  uint64_t low, high;
  size_t size;

  EP_INLINE static WordKey of(const uint8_t* bytes, size_t size, const uint8_t* readable) {
    if (size > WORD_BYTES) return {0, 0, 0};
    WordKey key = {0, 0, size};
    if (size_t(readable - bytes) < WORD_BYTES) {
      memcpy(&key, bytes, size);
      return key;
    }
    const uint64_t low = load<uint64_t>(bytes), high = load<uint64_t>(bytes, 1);
    key.low = low & (size < 8 ? (uint64_t(1) << 8 * size) - 1 : ~uint64_t(0));
    key.high = size > 8 ? high & ~uint64_t(0) >> (128 - 8 * size) : 0;
    return key;
  }
  EP_INLINE size_t hash() const {
    const uint64_t mixed = (low ^ (low >> 31) ^ size) * BASE + (high ^ (high >> 29)) * SALT;
    return size_t((mixed ^ mixed >> 32) * BASE >> (64 - CACHE_BITS));
  }
};

struct CachedWord {
  uint64_t low, high;
  int32_t ids[WORD_IDS];
  uint8_t size, count, has_blank;  // size is 0 where no word is
  uint8_t is_older;                // of the first of a pair: the second was of use last
};
struct CachedPair {
  CachedWord words[2];
};
static_assert(sizeof(CachedPair) == 64, "a line");

class Cache {
 public:
  // False without memory.
  bool open(const Model& m, Scratch& scratch) {
    constexpr size_t SIZE = sizeof(CachedPair) << CACHE_BITS;
    if (!scratch.cached.grow(SIZE + sizeof(CachedPair))) return false;
    uint8_t* at = scratch.cached.data();
    at += (64 - (reinterpret_cast<uintptr_t>(at) & 63)) & 63;
    pairs_ = reinterpret_cast<CachedPair*>(at);
    if (scratch.cached_of == m.unigram.number) return true;
    memset(at, 0, SIZE);
    scratch.cached_of = m.unigram.number;
    return true;
  }
  CachedPair& of(const WordKey& key) const { return pairs_[key.hash()]; }

  static const CachedWord* found(CachedPair& pair, const WordKey& key, bool has_blank) {
    for (int k = 0; k < 2; k++) {
      const CachedWord& word = pair.words[k];
      if (((word.low ^ key.low) | (word.high ^ key.high)) || word.size != key.size || word.has_blank != has_blank) continue;
      pair.words[0].is_older = uint8_t(k);
      return key.size ? &word : nullptr;
    }
    return nullptr;
  }
  // In the place of that which was of use before the other.
  static void keep(CachedPair& pair, const WordKey& key, bool has_blank, const int32_t* ids, size_t count) {
    if (!key.size || count > WORD_IDS) return;
    const int place = !pair.words[0].is_older;
    CachedWord& word = pair.words[place];
    word.low = key.low, word.high = key.high;
    memcpy(word.ids, ids, count * sizeof *ids);
    word.size = uint8_t(key.size);
    word.count = uint8_t(count);
    word.has_blank = has_blank;
    pair.words[0].is_older = uint8_t(place);
  }

 private:
  CachedPair* pairs_ = nullptr;
};

}  // namespace ep
