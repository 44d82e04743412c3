// Bytes -> where words begin and stop, 64 of them at a time, and the hash of a word. Included by tokenize.inl, after
// `classify`.

inline uint64_t eight_letters(const Model& m, uint64_t bytes, const uint64_t* up) {
  uint64_t key = 0;
  for (int k = 0; k < 8; k++) key += uint64_t(m.codes[bytes >> (8 * k) & 255]) * up[k];
  return key;
}

// The hash of an ASCII word, eight letters a step; behind its end stand zeros, which count for nothing.
inline uint64_t key_of(const Model& m, const uint8_t* word, size_t letters, const uint8_t* readable) {
  uint64_t key = 0;
  const uint64_t* up = m.up + 1;
  if (size_t(readable - word) < letters + 8) {
    for (size_t k = 0; k < letters; k++) key += uint64_t(m.codes[word[k]]) * up[k];
    return key;
  }
  size_t at = 0;
  for (; at + 8 <= letters; at += 8) key += eight_letters(m, load<uint64_t>(word + at), up + at);
  if (at < letters) {
    const uint64_t kept = ~uint64_t(0) >> (64 - 8 * (letters - at));
    key += eight_letters(m, load<uint64_t>(word + at) & kept, up + at);
  }
  return key;
}

// The words of s[0, size): where they begin and stop. Returns how many; `changed` tells whether any byte is CHANGED.
inline size_t words_of(const Model& m, const uint8_t* s, size_t size, const uint8_t* readable, Scratch& scratch, bool& changed) {
  uint32_t* starts = scratch.starts.data();
  uint32_t* stops = scratch.stops.data();
  uint64_t before_word = 0, before_isolated = 0, any_changed = 0;
  for (size_t begin = 0; begin <= size; begin += 64) {
    uint64_t word, isolated, aside;
    const size_t left = size - begin;
    if (size_t(readable - s) >= begin + 64) {
      classify(m, s + begin, word, isolated, aside);
    } else {
      uint8_t padded[64] = {};
      if (left) memcpy(padded, s + begin, left < 64 ? left : 64);
      classify(m, padded, word, isolated, aside);
    }
    if (left < 64) {
      const uint64_t kept = (uint64_t(1) << left) - 1;
      word &= kept, isolated &= kept, aside &= kept;
    }
    any_changed |= aside;
    const uint64_t words_before = word << 1 | before_word, isolated_before = isolated << 1 | before_isolated;
    uint64_t first = (word & ~words_before) | isolated, last = (words_before & ~word) | isolated_before;
    before_word = word >> 63, before_isolated = isolated >> 63;
    const uint32_t base = uint32_t(begin);
    for (; first; first &= first - 1) *starts++ = base + uint32_t(lowest_bit(first));
    for (; last; last &= last - 1) *stops++ = base + uint32_t(lowest_bit(last));
  }
  changed = any_changed != 0;
  return size_t(starts - scratch.starts.data());
}

// Bytes of a text that are looked at together.
constexpr size_t STRETCH = 4096;

inline bool in_word(const Model& m, uint8_t byte) { return (m.items[byte] & KINDS) == WORD; }

// Where a stretch of at most STRETCH bytes from `at` ends: a word that it would cut goes into the next one. `at` itself
// where one word fills it.
inline size_t stretch_end(const Model& m, const Text& text, size_t at) {
  if (text.size - at <= STRETCH) return text.size;
  size_t end = at + STRETCH;
  while (end > at && in_word(m, text.data[end - 1]) && in_word(m, text.data[end])) end--;
  return end;
}

inline size_t word_end(const Model& m, const Text& text, size_t at) {
  while (at < text.size && in_word(m, text.data[at])) at++;
  return at;
}
