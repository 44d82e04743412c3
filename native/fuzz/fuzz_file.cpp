// The file reader and what it lets through: any bytes are a model or an error that says why, and a model embeds and classifies
// any text to numbers, or says that its table has none.
#include "agreement.h"
#include "edge_potion.h"

namespace {

const char TEXTS[] = "The cat's naïve façade, 日本語 \x01\x7f unbelievable\0\xff\xfe\0x";
constexpr size_t COUNT = 3;
constexpr int32_t LIMITS[] = {EP_MODEL_LIMIT, EP_NO_LIMIT, 1};

void embed(ep_model* model) {
  const size_t dim = size_t(ep_dim(model));
  std::vector<float> vectors(COUNT * dim);
  for (int32_t limit : LIMITS) {
    const int64_t answer = ep_embed(model, TEXTS, sizeof TEXTS - 1, vectors.data(), COUNT, limit, 1);
    REQUIRE(answer == int64_t(COUNT) || (answer == EP_DAMAGED && *ep_last_error()));
    for (float value : vectors) REQUIRE(answer < 0 || value - value == 0);
  }
  const int32_t ids[] = {0, ep_vocabulary_size(model) - 1, ep_vocabulary_size(model)};
  const size_t lengths[] = {2, 1};
  REQUIRE(ep_embed_ids(model, ids, lengths, 2, vectors.data(), 1) < 0);  // the last id is none
}

void classify(ep_model* model) {
  const int32_t labels = ep_label_count(model);
  std::vector<float> logits(COUNT * size_t(labels));
  int64_t decided[COUNT];
  for (int32_t limit : LIMITS) {
    const int64_t answer = ep_classify(model, TEXTS, sizeof TEXTS - 1, logits.data(), nullptr, COUNT, limit, 1);
    REQUIRE(answer == int64_t(COUNT) || (answer < 0 && *ep_last_error()));
    if (answer < 0) continue;
    for (float value : logits) REQUIRE(value - value == 0);
    REQUIRE(ep_probabilities(model, logits.data(), COUNT, logits.data(), decided) == int64_t(COUNT));
    for (float value : logits) REQUIRE(value >= 0 && value <= 1);
    for (int64_t label : decided) REQUIRE(label >= EP_NO_LABEL && label < labels);
  }
  for (int32_t label = 0; label < labels; label++) REQUIRE(strlen(ep_label(model, label)) < 65536);
  REQUIRE(!ep_label(model, -1) && !ep_label(model, labels));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (!size) return 0;
  const std::vector<uint8_t> file(data, data + size);  // so that what is read beyond its end is found
  if (ep_model* model = ep_open_memory(file.data(), size)) {
    embed(model);
    classify(model);
    ep_close(model);
  } else {
    REQUIRE(*ep_last_error());
  }
  ep::Model model;
  char error[512];
  if (ep::read_model({file.data(), size}, model, error, sizeof error) == EP_OK) {
    const uint8_t* text = reinterpret_cast<const uint8_t*>(TEXTS);
    ep::require_agreement(model, text, strlen(TEXTS));
    ep::require_agreement(model, text + strlen(TEXTS) + 1, 2);
  }
  return 0;
}
