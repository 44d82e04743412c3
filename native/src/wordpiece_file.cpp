// The tables of WordPiece and WordLevel: what bytes and code points become, and where pieces are found.
#include "edge_potion.h"
#include "reading.h"

namespace ep {
namespace {

constexpr int MOST_LETTERS = 100000;  // of a word

int read_characters(Reading& reading) {
  Model& model = reading.model;
  Table items, utf8, page_of, slots;
  if (int status = reading.need("byte_items", INT32, 1, items)) return status;
  if (int status = reading.need("utf8", INT32, 1, utf8)) return status;
  if (int status = reading.need("page_of", INT32, 1, page_of)) return status;
  if (int status = reading.need("slots", INT32, 2, slots)) return status;
  if (items.rows != 256 || utf8.rows != 4 * 256 || page_of.rows != PAGES_OF || slots.rows % PAGE || slots.columns != SLOTS)
    return reading.damaged("its tables of characters have other shapes than they should");
  for (int byte = 0; byte < 256; byte++) {
    const int32_t item = load<int32_t>(items.data, size_t(byte)), kind = item & KINDS;
    if (item < 0 || kind == KINDS || (item & ~(CODES | KINDS | CHANGED)) || (item & CHANGED && kind != WORD) ||
        (byte >= 128 && item != (CHANGED | WORD)) || (byte == 0 && item != ISOLATED))
      return reading.damaged("its byte_items hold what none of ours does");
    model.items[byte] = item;
    model.codes[byte] = uint32_t(item & CODES);
    model.kinds[byte] = uint8_t(item >> 22);
    if (byte >= 128) continue;
    const uint8_t bit = uint8_t(1 << (byte >> 4));
    if (kind == WORD) model.word_set[byte & 15] |= bit;
    if (kind == ISOLATED) model.isolated_set[byte & 15] |= bit;
    if (item & CHANGED) model.changed_set[byte & 15] |= bit;
  }
  const int32_t pages = int32_t(slots.rows / PAGE);
  for (size_t page = 0; page < PAGES_OF; page++) {
    const int32_t at = load<int32_t>(page_of.data, page);
    if (at < 0 || at >= pages) return reading.damaged("its page_of points beyond its pages");
  }
  model.utf8 = utf8.data;
  model.page_of = page_of.data;
  model.slots = slots.data;
  return EP_OK;
}

int make_powers(Reading& reading) {
  Model& model = reading.model;
  const size_t longest = size_t(model.longest_word > model.longest_piece ? model.longest_word : model.longest_piece);
  const size_t count = longest + 16;  // kernels take steps of eight letters
  model.up = static_cast<uint64_t*>(malloc(count * sizeof(uint64_t)));
  model.down = static_cast<uint64_t*>(malloc(count * sizeof(uint64_t)));
  if (!model.up || !model.down) return reading.no_memory();
  uint64_t inverse = BASE;  // Newton: each step doubles the bits that are right
  for (int step = 0; step < 6; step++) inverse *= 2 - BASE * inverse;
  model.up[0] = model.down[0] = 1;
  for (size_t j = 1; j < count; j++) {
    model.up[j] = model.up[j - 1] * BASE;
    model.down[j] = model.down[j - 1] * inverse;
  }
  return EP_OK;
}

}  // namespace

int read_wordpiece(Reading& reading) {
  Model& model = reading.model;
  int64_t number, slots;
  if (int status = reading.need_number("longest_piece", 1, MOST_LETTERS, number)) return status;
  model.longest_piece = int(number);
  if (int status = reading.need_number("longest_word", 1, MOST_LETTERS, number)) return status;
  model.longest_word = int(number);
  if (int status = read_characters(reading)) return status;
  if (int status = reading.need_hash("piece_multipliers", "piece_keys", "piece_ids", "pieces", model.pieces, slots))
    return status;
  if (!are_below(model.pieces.values, slots, model.vocabulary)) return reading.damaged("its piece_ids point beyond its table");
  return make_powers(reading);
}

}  // namespace ep
