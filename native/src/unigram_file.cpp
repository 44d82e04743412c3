// The tables of Unigram, which are used where they lie; and what becomes of every code point by itself, made of them once.
#include <atomic>

#include "edge_potion.h"
#include "passes.h"
#include "reading.h"

namespace ep {
namespace {

constexpr int MOST_LETTERS = 100000;  // of a piece
constexpr double LARGEST_SCORE = 1e200;  // so that sums of them are finite
bool has_code_of_its_own(size_t page) { return page == 0 || page == 0x16 || page == 0x20 || page == 0x25 || page == 0x30; }

// `PREFIX + NAME`, as the tables of a pass are called.
struct Name {
  char text[64];
  Name(int pass, const char* name) {
    char number[3] = {char('0' + pass / 10), char('0' + pass % 10), 0};
    char prefix[16];
    join_words(prefix, sizeof prefix, "pass", number + (pass < 10), "_");
    join_words(text, sizeof text, prefix, name);
  }
};

class UnigramReading {
 public:
  explicit UnigramReading(Reading& reading) : reading_(reading), model_(reading.model), unigram_(reading.model.unigram) {}

  int read() {
    if (int status = read_facts()) return status;
    if (int status = read_passes()) return status;
    if (int status = read_trie()) return status;
    if (int status = make_codes_of_symbols()) return status;
    if (int status = make_items()) return status;
    const uint32_t space = unigram_.item_of(SPACE_CODE);
    unigram_.has_chunks = (unigram_.splits_white || unigram_.splits_blanks) && space == unigram_.plain_item(SPACE_CODE);
    return EP_OK;
  }

 private:
  int read_facts() {
    Unigram& u = unigram_;
    int64_t number;
    if (int status = reading_.need_number("longest_piece", 1, MOST_LETTERS, number)) return status;
    u.longest_piece = int32_t(number);
    if (int status = reading_.need_flag("collapse_spaces", u.collapses)) return status;
    if (int status = reading_.need_flag("split_whitespace", u.splits_white)) return status;
    if (int status = reading_.need_flag("split", u.splits_blanks)) return status;
    const Span strip = reading_.told("strip"), prepend = reading_.told("prepend"), nul = reading_.told("nul");
    u.strips_left = is(strip, "left") || is(strip, "both");
    u.strips_right = is(strip, "right") || is(strip, "both");
    if (!strip.data || (strip.size && !u.strips_left && !u.strips_right)) return reading_.missing("strip");
    u.prepends = is(prepend, "always") || (is(prepend, "first") && !u.splits_white);  // of a whole text that is the same
    if (!u.prepends && !is(prepend, "never")) return reading_.missing("prepend");
    if (!nul.data) return reading_.missing("nul");
    if (is(nul, "drop")) return EP_OK;
    if (nul.size && !reading_.number("nul", 1, LAST_CODE_POINT, number)) return reading_.missing("nul");
    u.nul = nul.size ? int32_t(number) : 0;
    return u.nul >= 0xD800 && u.nul < 0xE000 ? reading_.missing("nul") : EP_OK;
  }

  int read_paged(const char* page_of, const char* numbers, Paged& paged, int64_t least, int64_t most) {
    Table pages, all;
    if (int status = reading_.need(page_of, INT32, 1, pages)) return status;
    if (int status = reading_.need(numbers, INT32, 1, all)) return status;
    if (pages.rows != PAGES_OF || all.rows % PAGE || !are_below(pages.data, PAGES_OF, all.rows / PAGE))
      return reading_.fail(EP_DAMAGED, "the file's ", page_of, " points beyond its pages");
    for (size_t k = 0; k < size_t(all.rows); k++)
      if (load<int32_t>(all.data, k) < least || load<int32_t>(all.data, k) > most)
        return reading_.fail(EP_DAMAGED, "the file's ", numbers, " holds what none of ours does");
    paged = {pages.data, all.data};
    return EP_OK;
  }

  int read_passes() {
    const Span told = reading_.told("passes");
    if (!told.data) return reading_.missing("passes");
    for (size_t begin = 0, end; begin < told.size; begin = end + 1) {
      const void* blank = memchr(told.data + begin, ' ', told.size - begin);
      end = blank ? size_t(static_cast<const uint8_t*>(blank) - told.data) : told.size;
      const Span word = {told.data + begin, end - begin};
      const int number = unigram_.pass_count;
      if (number == MOST_PASSES) return reading_.missing("passes");
      Pass& pass = unigram_.passes[number];
      int status;
      if (is(word, "map")) status = read_map(pass, number, Pass::map);
      else if (is(word, "graphemes")) status = read_map(pass, number, Pass::graphemes);
      else if (is(word, "order")) status = read_classes(pass, number, Pass::order);
      else if (is(word, "compose")) status = read_classes(pass, number, Pass::compose);
      else
        return reading_.fail(EP_NOT_OURS, "the file's tokenizer normalizes as this engine does not; take an engine as new as the "
                                          "file");
      if (status) return status;
      unigram_.pass_count++;
    }
    return EP_OK;
  }

  int read_map(Pass& pass, int number, Pass::Kind kind) {
    pass.kind = kind;
    const Name page_of(number, "page_of"), entries(number, "entries"), codes(number, "codes");
    Table points;
    if (int status = reading_.need(codes.text, INT32, 1, points)) return status;
    if (!are_below(points.data, points.rows, LAST_CODE_POINT + 1)) return not_codes(codes);
    pass.codes = points.data;
    if (int status = read_paged(page_of.text, entries.text, pass.entries, -1, INT32_MAX)) return status;
    const int64_t count = rows_of(entries);
    for (size_t k = 0; k < size_t(count); k++)
      if (!is_entry(load<int32_t>(pass.entries.numbers, k), points.rows)) return not_codes(entries);
    return kind == Pass::map ? EP_OK : read_graphemes(pass, number, points.rows);
  }
  int read_graphemes(Pass& pass, int number, int64_t codes) {
    const Name page_of(number, "class_page_of"), classes(number, "classes");
    if (int status = read_paged(page_of.text, classes.text, pass.classes, 0, 2 * LF - 1)) return status;
    const Name multipliers(number, "sequence_multipliers"), keys(number, "sequence_keys"), values(number, "sequence_values");
    Table any;
    if (int status = reading_.take(keys.text, INT64, 1, any)) return status;
    if (!any.data) return EP_OK;  // none stands for more than one code point
    int64_t slots;
    if (int status = reading_.need_hash(multipliers.text, keys.text, values.text, "graphemes", pass.hash, slots)) return status;
    for (size_t k = 0; k < size_t(slots); k++) {
      const int32_t entry = load<int32_t>(pass.hash.values, k);
      if (entry < 0 || !is_entry(entry, codes)) return not_codes(values);
    }
    return EP_OK;
  }
  int read_classes(Pass& pass, int number, Pass::Kind kind) {
    pass.kind = kind;
    const Name page_of(number, "class_page_of"), classes(number, "classes");
    const int64_t most = kind == Pass::order ? CLASS : 2 * SECOND - 1;
    if (int status = read_paged(page_of.text, classes.text, pass.classes, 0, most)) return status;
    if (kind == Pass::order) return EP_OK;
    const Name multipliers(number, "pair_multipliers"), keys(number, "pair_keys"), values(number, "pair_values");
    int64_t slots;
    if (int status = reading_.need_hash(multipliers.text, keys.text, values.text, "pairs", pass.hash, slots)) return status;
    return are_below(pass.hash.values, slots, LAST_CODE_POINT + 1) ? EP_OK : not_codes(values);
  }
  static bool is_entry(int32_t entry, int64_t codes) { return entry < 0 || entry / 32 + entry % 32 <= codes; }
  int not_codes(const Name& table) {
    return reading_.fail(EP_DAMAGED, "the file's ", table.text, " holds what is no code point");
  }
  int64_t rows_of(const Name& name) {
    Table table;
    return reading_.take(name.text, INT32, 1, table) ? 0 : table.rows;
  }

  int read_trie() {
    Unigram& u = unigram_;
    Table units, ids, words, scores, unknown, symbols;
    if (int status = read_paged("symbol_page_of", "symbols", u.symbols, 0, ITEM)) return status;
    if (int status = reading_.need("symbols", INT32, 1, symbols)) return status;
    if (int status = reading_.need("trie_units", INT64, 1, units)) return status;
    if (int status = reading_.need("trie_ids", INT32, 1, ids)) return status;
    if (int status = reading_.need("trie_words", INT32, 1, words)) return status;
    if (int status = reading_.need("trie_scores", DOUBLE, 1, scores)) return status;
    if (int status = reading_.need("unknown_score", DOUBLE, 1, unknown)) return status;
    if (ids.rows != units.rows || words.rows != units.rows || scores.rows != units.rows || unknown.rows != 1)
      return reading_.damaged("its tables of the trie are not one row a node");
    for (size_t k = 0; k < size_t(symbols.rows); k++) {
      const uint32_t symbol = load<uint32_t>(symbols.data, k);
      if (symbol > symbols_) symbols_ = symbol;
    }
    const int64_t last_base = units.rows - 1 - int64_t(symbols_);
    for (size_t n = 0; n < size_t(units.rows); n++) {
      const int32_t base = load<int32_t>(units.data, 2 * n);
      if (base < 0 || base > last_base) return reading_.damaged("its trie_units point beyond its nodes");
    }
    for (size_t n = 0; n < size_t(units.rows); n++) {
      const int32_t id = load<int32_t>(ids.data, n), word = load<int32_t>(words.data, n);
      if (id < -1 || id >= model_.vocabulary || word < -1 || word >= model_.vocabulary)
        return reading_.damaged("its trie_ids or trie_words point beyond its table");
      const double score = load<double>(scores.data, n);
      if (id < 0 ? score != double(-INFINITY) : !is_score(score))
        return reading_.damaged("its trie_scores hold what is no score");
    }
    u.unknown_score = load<double>(unknown.data);
    if (!is_score(u.unknown_score)) return reading_.damaged("its unknown_score is no score");
    u.units = units.data;
    u.ids = ids.data;
    u.whole_ids = words.data;
    u.scores = scores.data;
    u.nodes = uint32_t(units.rows);
    return read_bytes();
  }
  static bool is_score(double score) { return score >= -LARGEST_SCORE && score <= LARGEST_SCORE; }

  int read_bytes() {
    bool has_bytes;
    Table bytes;
    if (int status = reading_.need_flag("byte_fallback", has_bytes)) return status;
    if (!has_bytes) return EP_OK;
    if (int status = reading_.need("byte_ids", INT32, 1, bytes)) return status;
    if (bytes.rows != 256) return reading_.damaged("its byte_ids are not one a byte");
    for (size_t byte = 0; byte < 256; byte++) {
      const int32_t id = load<int32_t>(bytes.data, byte);
      if (id < -1 || id >= model_.vocabulary) return reading_.damaged("its byte_ids point beyond its table");
    }
    unigram_.byte_ids = bytes.data;
    return EP_OK;
  }

  int make_codes_of_symbols() {
    Buffer<uint32_t>& code_of = unigram_.code_of;
    if (!code_of.grow(symbols_ + 1)) return reading_.no_memory();
    memset(code_of.data(), 0, (symbols_ + 1) * sizeof(uint32_t));
    for (uint32_t code = 0; code <= uint32_t(LAST_CODE_POINT); code++)
      if (const int32_t symbol = unigram_.symbols.of(code)) code_of[size_t(symbol)] = code;
    unigram_.blank = unigram_.plain_item(BLANK_CODE);
    return EP_OK;
  }

  // Most pages of code points are like another one, in all tables.
  int make_items() {
    Unigram& u = unigram_;
    if (!u.page_of.grow(PAGES_OF)) return reading_.no_memory();
    Buffer<uint64_t> hashes;
    Buffer<uint32_t> firsts;  // of each kind, the page that was seen first
    if (!hashes.grow(PAGES_OF) || !firsts.grow(PAGES_OF)) return reading_.no_memory();
    size_t kinds = 0;
    for (size_t page = 0; page < PAGES_OF; page++) {
      const uint64_t hash = hash_of(page);
      size_t kind = 0;
      while (kind < kinds && (hashes[kind] != hash || !are_alike(page, firsts[kind]))) kind++;
      u.page_of[page] = uint32_t(kind * PAGE);
      if (kind < kinds) continue;
      hashes[kind] = hash;
      firsts[kind] = uint32_t(page);
      kinds++;
      if (!u.items.grow(kinds * PAGE)) return reading_.no_memory();
      for (uint32_t k = 0; k < PAGE; k++)
        if (int status = make_item(uint32_t(page) * PAGE + k, u.items[kind * PAGE + k])) return status;
    }
    static std::atomic<uint64_t> models{0};
    u.number = models.fetch_add(1, std::memory_order_relaxed) + 1;
    return EP_OK;
  }
  template <class See>
  void see_pages(size_t page, See see) const {
    const auto see_one = [&](const Paged& paged) {
      if (paged.page_of) see(load<int32_t>(paged.page_of, page));
    };
    see_one(unigram_.symbols);
    for (int k = 0; k < unigram_.pass_count; k++) see_one(unigram_.passes[k].entries), see_one(unigram_.passes[k].classes);
    see(has_code_of_its_own(page) ? int32_t(page) : -1);
  }
  uint64_t hash_of(size_t page) const {
    uint64_t hash = 0;
    see_pages(page, [&hash](int32_t number) { hash = (hash ^ uint64_t(uint32_t(number))) * BASE, hash ^= hash >> 29; });
    return hash;
  }
  bool are_alike(size_t one, size_t other) const {
    int32_t numbers[2 * MOST_PASSES + 2];
    size_t count = 0, place = 0;
    see_pages(one, [&](int32_t number) { numbers[count++] = number; });
    bool alike = true;
    see_pages(other, [&](int32_t number) { alike = alike && numbers[place++] == number; });
    return alike;
  }

  int make_item(uint32_t code, uint32_t& item) {
    uint32_t flags = 0;
    codes_.count = 0;
    if (!codes_.add(code)) return reading_.no_memory();
    for (int k = 0; k < unigram_.pass_count; k++) {
      flags |= flags_before(unigram_.passes[k], k);
      if (!run_passes(unigram_, k, k + 1, codes_)) return reading_.no_memory();
    }
    if (codes_.count == 1) {
      item = unigram_.plain_item(codes_.now[0]) | flags;
      if (item & NO_SYMBOL && codes_.now[0] == code) item = (item & ~ITEM) | ITSELF;
      return EP_OK;
    }
    Buffer<uint32_t>& several = unigram_.several;
    const size_t at = several_;
    several_ += codes_.count + 1;
    if (several_ > ITEM || codes_.count > MOST_CODES)
      return reading_.damaged("its passes make more of code points than ours do");
    if (!several.grow(several_)) return reading_.no_memory();
    several[at] = uint32_t(codes_.count);
    for (size_t k = 0; k < codes_.count; k++) several[at + 1 + k] = unigram_.plain_item(codes_.now[k]);
    item = SEVERAL | uint32_t(at) | flags;
    return EP_OK;
  }

  // What a pass may do to `codes_` and to what stands beside them.
  uint32_t flags_before(const Pass& pass, int number) const {
    if (pass.kind == Pass::map) return 0;
    if (!codes_.count) return JOINS | HOLDS;  // its neighbours come together
    const auto class_of = [&](size_t k) { return uint32_t(pass.classes.of(codes_.now[k])); };
    const uint32_t first = class_of(0), last = class_of(codes_.count - 1);
    constexpr uint32_t HOLDING = PREPEND | CONTROL | ZWJ | LINKER | CONJUNCT_EXTEND | HANGUL_L;
    if (pass.kind != Pass::graphemes)
      return (first & SECOND ? JOINS : first & CLASS ? REORDERS : 0) | (last & CLASS ? TAILED : 0);
    uint32_t flags = 0;
    for (size_t k = 0; k < codes_.count; k++)
      if (class_of(k) & HOLDING) flags = HOLDS;
    if (first & JOINS_BEFORE) flags |= number ? JOINS : MARK;
    return first & (HANGUL_V | HANGUL_T) ? flags | JOINS : flags;
  }

  static constexpr size_t MOST_CODES = 4096;  // of one
  Reading& reading_;
  Model& model_;
  Unigram& unigram_;
  uint32_t symbols_ = 0;
  Codes codes_;
  size_t several_ = 0;
};

}  // namespace

int read_unigram(Reading& reading) { return UnigramReading(reading).read(); }

}  // namespace ep
