// Words that were met before, by their bytes. Included by unigram.inl.

constexpr size_t WORD_BYTES = 32, WORD_IDS = 6;
constexpr int CACHE_BITS = 14;

struct CachedWord {
  uint64_t bytes[WORD_BYTES / 8];
  int32_t ids[WORD_IDS];
  uint8_t size, count, has_blank, free[5];  // size is 0 where no word is
};
static_assert(sizeof(CachedWord) == 64, "a line of a processor's cache");

class Cache {
 public:
  // False without memory.
  bool open(const Model& m, Scratch& scratch) {
    constexpr size_t SIZE = sizeof(CachedWord) << CACHE_BITS;
    if (!scratch.cached.grow(SIZE + sizeof(CachedWord))) return false;
    uint8_t* at = scratch.cached.data();
    at += (64 - (reinterpret_cast<uintptr_t>(at) & 63)) & 63;
    words_ = reinterpret_cast<CachedWord*>(at);
    if (scratch.cached_of == m.unigram.number) return true;
    memset(at, 0, SIZE);
    scratch.cached_of = m.unigram.number;
    return true;
  }
  static uint64_t key_of(const uint8_t* bytes, size_t size, const uint8_t* readable) {
    uint64_t key = size;
    for (size_t at = 0; at < size && at < WORD_BYTES; at += 8) {
      key = (key ^ eight_bytes(bytes + at, size - at, readable)) * BASE;
      key ^= key >> 32;
    }
    return key * BASE;
  }
  CachedWord& of(uint64_t key) const { return words_[key >> (64 - CACHE_BITS)]; }
  static bool holds(const CachedWord& word, const uint8_t* bytes, size_t size, bool has_blank, const uint8_t* readable) {
    if (word.size != size || word.has_blank != has_blank) return false;
    uint64_t other = 0;
    for (size_t at = 0; at < size; at += 8) other |= word.bytes[at / 8] ^ eight_bytes(bytes + at, size - at, readable);
    return !other;
  }
  static void keep(CachedWord& word, const uint8_t* bytes, size_t size, bool has_blank, const int32_t* ids, size_t count) {
    memset(word.bytes, 0, WORD_BYTES);
    memcpy(word.bytes, bytes, size);
    memcpy(word.ids, ids, count * sizeof *ids);
    word.size = uint8_t(size);
    word.count = uint8_t(count);
    word.has_blank = has_blank;
  }

 private:
  // Behind the end stand zeros.
  static EP_INLINE uint64_t eight_bytes(const uint8_t* bytes, size_t left, const uint8_t* readable) {
    if (size_t(readable - bytes) < 8) {
      uint64_t some = 0;
      memcpy(&some, bytes, left < 8 ? left : 8);
      return some;
    }
    const uint64_t some = load<uint64_t>(bytes);
    return left < 8 ? some & ~uint64_t(0) >> (64 - 8 * left) : some;
  }
  CachedWord* words_ = nullptr;
};
