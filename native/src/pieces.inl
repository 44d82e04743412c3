// A word -> the ids of its pieces, by hashes of its letters and the file's perfect hash. Included by tokenize.inl.

inline bool holds(const PerfectHash& hash, uint64_t slot, uint64_t key) { return load<uint64_t>(hash.keys, slot) == key; }
inline int32_t value_at(const PerfectHash& hash, uint64_t slot) { return load<int32_t>(hash.values, slot); }

// Before `slot_of`, and before the two others.
inline void prefetch_bucket(const PerfectHash& hash, uint64_t key) { prefetch(hash.multipliers + 8 * (key & hash.bucket_mask)); }
inline void prefetch_slot(const PerfectHash& hash, uint64_t slot) {
  prefetch(hash.keys + 8 * slot);
  prefetch(hash.values + 4 * slot);
}

struct Words : Tokens {
  // WordPiece: from each place the longest piece; a word in which there is none somewhere is unknown.
  template <class Code>
  bool cut(Code code, size_t letters) {
    if (!scratch.sums.grow(letters + 1) || !scratch.pieces.grow(letters)) return false;
    uint64_t* sums = scratch.sums.data();
    sums[0] = 0;
    for (size_t j = 0; j < letters; j++) sums[j + 1] = sums[j] + uint64_t(code(j)) * m.up[j + 1];
    size_t at = 0, pieces = 0;
    while (at < letters) {
      const size_t left = letters - at;
      const size_t size = left < size_t(m.longest_piece) ? left : size_t(m.longest_piece);
      const size_t found = longest(sums, at, size, scratch.pieces[pieces]);
      if (!found) {
        emit(m.unknown);
        return true;
      }
      pieces++;
      at += found;
    }
    for (size_t j = 0; j < pieces; j++) emit(scratch.pieces[j]);
    return true;
  }

  // How long the longest piece from `at` is, of at most `size` letters; 0 for none. Four lookups at a time, as each
  // waits for memory twice.
  size_t longest(const uint64_t* sums, size_t at, size_t size, int32_t& id) const {
    const uint64_t before = sums[at], back = m.down[at], salt = at ? SALT : 0;
    while (size) {
      const size_t group = size < 4 ? size : 4;
      uint64_t keys[4], slots[4];
      for (size_t k = 0; k < group; k++) {
        keys[k] = (sums[at + size - k] - before) * back + salt;
        slots[k] = m.pieces.slot_of(keys[k]);
      }
      for (size_t k = 0; k < group; k++) {
        if (holds(m.pieces, slots[k], keys[k])) {
          id = value_at(m.pieces, slots[k]);
          return size - k;
        }
      }
      size -= group;
    }
    return 0;
  }

  // A word by its letters, for whose pieces there is room.
  template <class Code>
  bool word(Code code, size_t letters) {
    uint64_t key = 0;
    for (size_t k = 0; k < letters; k++) key += uint64_t(code(k)) * m.up[k + 1];
    return word(code, letters, key, m.pieces.slot_of(key));
  }
  template <class Code>
  bool word(Code code, size_t letters, uint64_t key, uint64_t slot) {
    if (!holds(m.pieces, slot, key)) return cut(code, letters);
    emit(value_at(m.pieces, slot));
    return true;
  }
};
