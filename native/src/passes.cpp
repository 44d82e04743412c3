#include "passes.h"

namespace ep {
namespace {

// What a damaged file can make of a code point is cut there; no pass of ours makes so much.
constexpr size_t MOST_FROM_ONE = 4096;
constexpr int LARGEST_WHOLE = 5;  // bytes of a grapheme that is looked up as one

// Where the codes of a pass go.
class Out {
 public:
  explicit Out(Codes& codes) : codes_(codes), most_(codes.count * MOST_FROM_ONE) {}
  bool add(uint32_t code) {
    if (count == most_) return true;
    if (!codes_.next.grow(count + 1)) return false;
    codes_.next[count++] = code;
    return true;
  }
  // What an entry tells of a code.
  bool add(const Pass& pass, int32_t entry) {
    const uint8_t* from = pass.codes + size_t(entry / 32) * 4;
    for (int k = 0; k < entry % 32; k++)
      if (!add(load<uint32_t>(from, size_t(k)))) return false;
    return true;
  }
  bool add_alone(const Pass& pass, uint32_t code) {
    const int32_t entry = pass.entries.of(code);
    return entry < 0 ? add(code) : add(pass, entry);
  }
  void end() {
    codes_.now.swap(codes_.next);
    codes_.count = count;
  }
  size_t count = 0;

 private:
  Codes& codes_;
  size_t most_;
};

bool map_all(const Pass& pass, Codes& codes) {
  Out out(codes);
  for (size_t i = 0; i < codes.count; i++)
    if (!out.add_alone(pass, codes.now[i])) return false;
  out.end();
  return true;
}

// Whether two code points are of one grapheme, by Unicode's rules (UAX 29); what stands before them is remembered. Pairs of
// regional indicators are left out, as each has four bytes.
class Joints {
 public:
  bool joins(uint32_t a, uint32_t b) {
    const bool is_conjunct = linked_ && b & CONSONANT, is_pictograph = joined_ && b & PICTOGRAPH;
    see(b);
    if (a & CR && b & LF) return true;
    if ((a | b) & CONTROL) return false;
    if (b & JOINS_BEFORE || a & PREPEND || is_conjunct || is_pictograph) return true;
    if (a & HANGUL_L) return b & (HANGUL_L | HANGUL_V | HANGUL_LV | HANGUL_LVT);
    if (a & (HANGUL_LV | HANGUL_V)) return b & (HANGUL_V | HANGUL_T);
    return a & (HANGUL_LVT | HANGUL_T) && b & HANGUL_T;
  }
  void see(uint32_t b) {
    joined_ = b & ZWJ && pictograph_;
    pictograph_ = b & PICTOGRAPH || (b & EXTEND && !(b & ZWJ) && pictograph_);
    const bool goes_on = b & (LINKER | CONJUNCT_EXTEND);
    linked_ = (b & LINKER && consonant_) || (goes_on && linked_);
    consonant_ = b & CONSONANT || (goes_on && consonant_);
  }

 private:
  bool pictograph_ = false, joined_ = false, consonant_ = false, linked_ = false;
};

// What stands for a grapheme of few bytes: the first of its beginnings that is a key; -1 where none is.
int32_t entry_of_grapheme(const Pass& pass, const uint32_t* codes, size_t count) {
  const int32_t alone = pass.entries.of(codes[0]);
  if (alone >= 0 || !pass.hash.keys) return alone;
  uint64_t power = BASE, key = uint64_t(codes[0]) * power;
  for (size_t k = 1; k < count && k < 3; k++) {
    power *= BASE;
    key += uint64_t(codes[k]) * power;
    const uint64_t slot = pass.hash.slot_of(key);
    if (load<uint64_t>(pass.hash.keys, slot) == key) return load<int32_t>(pass.hash.values, slot);
  }
  return -1;
}

bool map_graphemes(const Pass& pass, Codes& codes) {
  Out out(codes);
  const uint32_t* all = codes.now.data();
  Joints joints;
  uint32_t before = 0;
  for (size_t begin = 0, end; begin < codes.count; begin = end) {
    size_t bytes = utf8_length(all[begin]);
    if (!begin) joints.see(before = uint32_t(pass.classes.of(all[0])));
    for (end = begin + 1; end < codes.count; end++) {
      const uint32_t next = uint32_t(pass.classes.of(all[end]));
      const bool joins = joints.joins(before, next);
      before = next;
      if (!joins) break;
      bytes += utf8_length(all[end]);
    }
    const int32_t whole = bytes <= LARGEST_WHOLE ? entry_of_grapheme(pass, all + begin, end - begin) : -1;
    if (whole >= 0) {
      if (!out.add(pass, whole)) return false;
      continue;
    }
    for (size_t k = begin; k < end; k++)
      if (!out.add_alone(pass, all[k])) return false;
  }
  out.end();
  return true;
}

// Marks that stand together by their classes, and as they came where these are the same: merged, two stretches at a time.
bool order_marks(const Pass& pass, Codes& codes, size_t begin, size_t end) {
  if (!codes.next.grow(end)) return false;
  uint32_t *from = codes.now.data(), *to = codes.next.data();
  for (size_t width = 1; width < end - begin; width *= 2) {
    for (size_t at = begin; at < end; at += 2 * width) {
      const size_t middle = at + width < end ? at + width : end, stop = middle + width < end ? middle + width : end;
      size_t one = at, two = middle;
      for (size_t k = at; k < stop; k++) {
        const bool takes_two = one == middle || (two < stop && pass.classes.of(from[two]) < pass.classes.of(from[one]));
        to[k] = from[takes_two ? two++ : one++];
      }
    }
    uint32_t* const other = from;
    from = to, to = other;
  }
  if (from != codes.now.data()) memcpy(codes.now.data() + begin, from + begin, (end - begin) * sizeof(uint32_t));
  return true;
}

bool order_all(const Pass& pass, Codes& codes) {
  for (size_t begin = 0, end; begin < codes.count; begin = end + 1) {
    end = begin;
    while (end < codes.count && pass.classes.of(codes.now[end])) end++;
    if (end - begin > 1 && !order_marks(pass, codes, begin, end)) return false;
  }
  return true;
}

// A mark composes with the starter before it unless one of no lower class stands between.
void compose_all(const Pass& pass, Codes& codes) {
  uint32_t* all = codes.now.data();
  size_t count = 0, starter = SIZE_MAX;
  uint32_t between = 0;  // the class of what stands behind the starter; 0 where nothing does
  for (size_t i = 0; i < codes.count; i++) {
    const uint32_t code = all[i], kind = uint32_t(pass.classes.of(code)) & CLASS;
    const bool is_next = starter + 1 == count;
    if (starter != SIZE_MAX && (is_next || between < kind)) {
      const uint64_t key = uint64_t(all[starter]) * BASE + uint64_t(code) * (BASE * BASE), slot = pass.hash.slot_of(key);
      if (load<uint64_t>(pass.hash.keys, slot) == key) {
        all[starter] = load<uint32_t>(pass.hash.values, slot);
        continue;
      }
    }
    if (!kind) starter = count;
    between = kind;
    all[count++] = code;
  }
  codes.count = count;
}

}  // namespace

bool run_passes(const Unigram& unigram, int begin, int end, Codes& codes) {
  for (int k = begin; k < end; k++) {
    const Pass& pass = unigram.passes[k];
    switch (pass.kind) {
      case Pass::map:
        if (!map_all(pass, codes)) return false;
        break;
      case Pass::graphemes:
        if (!map_graphemes(pass, codes)) return false;
        break;
      case Pass::order:
        if (!order_all(pass, codes)) return false;
        break;
      case Pass::compose: compose_all(pass, codes); break;
    }
  }
  return true;
}

}  // namespace ep
