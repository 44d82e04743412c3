// Texts of any bytes: joined, by pointer and as ids they give the same, with every kind of kernel and wherever they are cut; so
// do logits, joined and by pointer.
// The model is named by EDGE_POTION_MODEL.
#include "agreement.h"
#include "edge_potion.h"
#include "mapping.h"

namespace {

constexpr int32_t LIMITS[] = {EP_MODEL_LIMIT, EP_NO_LIMIT, 1, 2, 7, 1000};

// The model twice: by the interface, and for the kernels below it.
struct Opened {
  ep_model* handle;
  ep::Mapping file;
  ep::Model model;

  Opened() {
    const char* path = getenv("EDGE_POTION_MODEL");
    handle = path ? ep_open(path) : nullptr;
    char error[512] = "";
    if (!handle || !file.open(path) || ep::read_model(file.bytes(), model, error, sizeof error) != EP_OK) {
      fprintf(stderr, "EDGE_POTION_MODEL: %s %s\n", path ? ep_last_error() : "name a text graph", error);
      exit(2);
    }
  }
};

Opened& opened() {
  static Opened* model = new Opened;
  return *model;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ep_model* const handle = opened().handle;
  const std::vector<char> text(data, data + size);
  std::vector<const char*> places;
  std::vector<size_t> lengths;
  for (size_t begin = 0, at = 0; at <= size; at++) {
    if (at < size && text[at]) continue;
    places.push_back(text.data() + begin);
    lengths.push_back(at - begin);
    begin = at + 1;
  }
  const size_t count = places.size(), dim = size_t(ep_dim(handle));
  std::vector<float> joined(count * dim), apart(count * dim), from_ids(count * dim);
  const int32_t limit = LIMITS[size % 6];
  REQUIRE(ep_embed(handle, text.data(), size, joined.data(), count, limit, 1) == int64_t(count));
  REQUIRE(ep_embed_texts(handle, places.data(), lengths.data(), count, apart.data(), limit, 2) == int64_t(count));
  REQUIRE(ep::same(joined, apart));
  std::vector<int32_t> ids;
  std::vector<size_t> tokens;
  for (size_t i = 0; i < count; i++) {
    const size_t before = ids.size(), most = 24 * lengths[i];  // a character is so many tokens at most
    ids.resize(before + most);
    const int64_t found = ep_token_ids(handle, places[i], lengths[i], limit, ids.data() + before, most);
    REQUIRE(found >= 0 && size_t(found) <= most);
    ids.resize(before + size_t(found));
    tokens.push_back(size_t(found));
  }
  REQUIRE(ep_embed_ids(handle, ids.data(), tokens.data(), count, from_ids.data(), 1) == int64_t(count));
  REQUIRE(ep::same(joined, from_ids));
  if (const size_t labels = size_t(ep_label_count(handle))) {
    std::vector<float> logits(count * labels), others(count * labels);
    REQUIRE(ep_classify(handle, text.data(), size, logits.data(), nullptr, count, limit, 1) == int64_t(count));
    REQUIRE(ep_classify_texts(handle, places.data(), lengths.data(), count, others.data(), apart.data(), limit, 2) == int64_t(count));
    REQUIRE(ep::same(logits, others) && ep::same(joined, apart));
  }
  for (size_t i = 0; i < count; i++)
    ep::require_agreement(opened().model, reinterpret_cast<const uint8_t*>(places[i]), lengths[i]);
  return 0;
}
