// Bytes beyond ASCII, and those that are dropped: decoded, normalized and parted into words again, as the model's own
// tokenizer does it. Included by tokenize.inl, after pieces.inl.

inline bool is_changed(const Model& m, const uint8_t* word, size_t size) {
  int32_t all = 0;
  for (size_t k = 0; k < size; k++) all |= m.items[word[k]];
  return all & CHANGED;
}

// One character at bytes[0], of `left` bytes: its code point, U+FFFD for what is no UTF-8, and its length in bytes.
inline int32_t decoded(const Model& m, const uint8_t* bytes, size_t left, size_t& length) {
  const size_t lead = bytes[0];
  const int32_t need = load<int32_t>(m.utf8, lead), low = load<int32_t>(m.utf8, 256 + lead), high = load<int32_t>(m.utf8, 512 + lead);
  const int32_t second = left > 1 ? bytes[1] : 0, third = left > 2 ? bytes[2] : 0, fourth = left > 3 ? bytes[3] : 0;
  int32_t value = int32_t(lead);
  length = 1;
  bool good = second >= low && second <= high;
  if (good) length = 2, value = value * 64 + second;
  good = good && (third & 0xC0) == 0x80 && need > 2;
  if (good) length = 3, value = value * 64 + third;
  good = good && (fourth & 0xC0) == 0x80 && need > 3;
  if (good) length = 4, value = value * 64 + fourth;
  const int64_t point = int32_t(length) == need ? int64_t(value) - load<int32_t>(m.utf8, 768 + lead) : REPLACEMENT;
  return point < 0 || point > LAST_CODE_POINT ? REPLACEMENT : int32_t(point);
}

// The letters of a word as they come, no more than it may have.
struct Letters {
  uint32_t* codes;
  size_t most, count = 0;
  bool too_many = false;

  void add(int32_t item) {
    if (count < most)
      codes[count++] = uint32_t(item & CODES);
    else
      too_many = true;
  }
  bool end(Words& tokens) {
    if (!count) return true;
    if (!tokens.make_room(count)) return false;
    const uint32_t* letters = codes;
    bool good = true;
    if (too_many)
      tokens.emit(tokens.m.unknown);
    else
      good = tokens.word([letters](size_t k) { return letters[k]; }, count);
    count = 0;
    too_many = false;
    return good;
  }
};

// The words in bytes[0, size), which stand between blanks or signs of ASCII: any number of letters takes the same memory.
// 0, or -1 without memory, -2 when the call was stopped.
inline int64_t words_aside(Words& tokens, const uint8_t* bytes, size_t size) {
  constexpr size_t BETWEEN_LOOKS = 4096;  // bytes, whether the call was stopped
  const Model& m = tokens.m;
  if (!tokens.scratch.letters.grow(size_t(m.longest_word))) return -1;
  Letters letters{tokens.scratch.letters.data(), size_t(m.longest_word)};
  size_t look = BETWEEN_LOOKS;
  for (size_t at = 0, length; at < size && !tokens.is_full(); at += length) {
    if (at >= look) {
      if (tokens.scratch.stopped()) return -2;
      look = at + BETWEEN_LOOKS;
    }
    const int32_t point = decoded(m, bytes + at, size - at, length);
    const size_t page = size_t(load<int32_t>(m.page_of, size_t(point / PAGE)));
    for (size_t k = 0; k < SLOTS; k++) {
      const int32_t slot = load<int32_t>(m.slots, (page * PAGE + size_t(point % PAGE)) * SLOTS + k);
      if (!slot) continue;
      const int32_t item = int32_t(uint32_t(slot) + uint32_t(point)), kind = item < WORD ? 0 : item & KINDS;
      if (kind == WORD) {
        letters.add(item);
        continue;
      }
      if (!letters.end(tokens)) return -1;
      if (!kind) continue;
      letters.add(item);
      if (!letters.end(tokens)) return -1;
    }
  }
  return letters.end(tokens) ? 0 : -1;
}
