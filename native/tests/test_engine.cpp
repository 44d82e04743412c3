// The engine's own tests, of what its callers rely on: test_engine MODEL.onnx, an int8 text graph of 512 tokens a text, which
// may be a classifier's. What vectors and logits are is held to ONNX Runtime by tests/native.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "edge_potion.h"
#include "sha256.h"
#include "wire.h"

namespace {

int failures = 0;

#define CHECK(holds)                                                \
  do {                                                              \
    if (!(holds)) {                                                 \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds);   \
      failures++;                                                   \
    }                                                               \
  } while (0)

std::vector<uint8_t> read(const char* path) {
  std::vector<uint8_t> bytes;
  FILE* file = fopen(path, "rb");
  if (!file) exit(2);
  uint8_t part[65536];
  for (size_t size; (size = fread(part, 1, sizeof part, file)) > 0;) bytes.insert(bytes.end(), part, part + size);
  fclose(file);
  return bytes;
}

std::string sha256(const std::string& text) {
  ep::Sha256 digest;
  digest.add({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  char hex[65];
  digest.hex(hex);
  return hex;
}

void digests_are_those_of_the_standard() {
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256(std::string(1000, 'a')) == "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3");
}

void a_message_is_never_read_beyond_its_end() {
  const uint8_t long_varint[] = {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  const uint8_t beyond[] = {0x0a, 0x05, 1, 2};
  const uint8_t group[] = {0x0b};
  for (ep::Span bytes : {ep::Span{long_varint, 11}, ep::Span{beyond, 4}, ep::Span{group, 1}}) {
    ep::Message message(bytes);
    ep::Field field;
    while (message.next(field)) {
    }
    CHECK(message.damaged());
  }
  const uint8_t whole[] = {0x08, 0x96, 0x01, 0x12, 0x01, 'x', 0x1d, 1, 2, 3, 4, 0x20, 0x01};
  ep::Message message({whole, sizeof whole});
  ep::Field field;
  CHECK(message.next(field) && field.number == 1 && field.is_varint && field.value == 150);
  CHECK(message.next(field) && field.number == 2 && field.bytes.size == 1 && field.bytes.data[0] == 'x');
  CHECK(message.next(field) && field.number == 4 && field.value == 1);  // what has four bytes is passed over
  CHECK(!message.next(field) && !message.damaged());
}

void bad_arguments_are_errors_with_a_sentence(ep_model* model) {
  CHECK(!ep_open(nullptr) && strlen(ep_last_error()));
  CHECK(!ep_open("/no/such/file.onnx") && strstr(ep_last_error(), "cannot be read"));
  CHECK(!ep_open("/") && strlen(ep_last_error()));
  CHECK(!ep_open_memory(nullptr, 5));
  CHECK(!ep_open_memory("not a model", 11) && strstr(ep_last_error(), "no ONNX file"));
  CHECK(ep_embed(nullptr, "a", 1, nullptr, 0, EP_MODEL_LIMIT, 1) == EP_BAD_ARGUMENT);
  CHECK(ep_embed(model, nullptr, 1, nullptr, 0, EP_MODEL_LIMIT, 1) == EP_BAD_ARGUMENT);
  CHECK(ep_token_ids(model, nullptr, 4, EP_MODEL_LIMIT, nullptr, 0) == EP_BAD_ARGUMENT);
  CHECK(ep_embed_texts(model, nullptr, nullptr, 1, nullptr, EP_MODEL_LIMIT, 1) == EP_BAD_ARGUMENT);
  CHECK(ep_metadata(model, "no such key") == nullptr && ep_metadata(nullptr, "x") == nullptr);
  CHECK(ep_dim(nullptr) == 0);
  std::vector<float> room(size_t(ep_dim(model)));
  CHECK(ep_embed(model, "a\0b", 3, room.data(), 1, EP_MODEL_LIMIT, 1) == EP_BAD_ARGUMENT && strstr(ep_last_error(), "more texts"));
  ep_close(nullptr);
  ep_stop(nullptr);
}

std::vector<std::string> some_texts() {
  std::vector<std::string> texts = {"", " ", "The cat.", "naïve façade 日本語", "\xff\xfe", std::string(5000, 'a'), "un\x01known"};
  for (int i = 0; i < 1500; i++) texts.push_back("sentence number " + std::to_string(i * 7919) + " about the weather in Ålesund");
  return texts;
}

std::vector<float> embedded(ep_model* model, const std::vector<std::string>& texts, int threads) {
  std::string joined;
  for (size_t i = 0; i < texts.size(); i++) joined += (i ? std::string(1, '\0') : "") + texts[i];
  std::vector<float> vectors(texts.size() * size_t(ep_dim(model)));
  CHECK(ep_embed(model, joined.data(), joined.size(), vectors.data(), texts.size(), EP_MODEL_LIMIT, threads) == int64_t(texts.size()));
  return vectors;
}

bool same(const std::vector<float>& one, const std::vector<float>& other) {
  return one.size() == other.size() && memcmp(one.data(), other.data(), one.size() * sizeof(float)) == 0;
}

void joined_by_place_and_shared_texts_have_the_same_bits(ep_model* model) {
  const std::vector<std::string> texts = some_texts();
  const std::vector<float> alone = embedded(model, texts, 1);
  for (int threads : {2, 3, 8}) CHECK(same(alone, embedded(model, texts, threads)));
  std::vector<const char*> places;
  std::vector<size_t> lengths;
  for (const std::string& text : texts) places.push_back(text.data()), lengths.push_back(text.size());
  std::vector<float> apart(alone.size());
  for (int threads : {1, 4}) {
    CHECK(ep_embed_texts(model, places.data(), lengths.data(), texts.size(), apart.data(), EP_MODEL_LIMIT, threads) == int64_t(texts.size()));
    CHECK(same(alone, apart));
  }
}

struct Classified {
  std::vector<float> logits, vectors;
};

Classified classified(ep_model* model, const std::vector<std::string>& texts, int threads) {
  std::string joined;
  for (size_t i = 0; i < texts.size(); i++) joined += (i ? std::string(1, '\0') : "") + texts[i];
  Classified found{std::vector<float>(texts.size() * size_t(ep_label_count(model))), std::vector<float>(texts.size() * size_t(ep_dim(model)))};
  CHECK(ep_classify(model, joined.data(), joined.size(), found.logits.data(), found.vectors.data(), texts.size(), EP_MODEL_LIMIT, threads) ==
        int64_t(texts.size()));
  return found;
}

void what_is_no_classifier_says_so(ep_model* model) {
  float logit = 0;
  CHECK(ep_label(model, 0) == nullptr);
  CHECK(ep_classify(model, "a", 1, &logit, nullptr, 1, EP_MODEL_LIMIT, 1) == EP_BAD_ARGUMENT && strstr(ep_last_error(), "no classifier"));
  CHECK(ep_probabilities(model, &logit, 1, &logit, nullptr) == EP_BAD_ARGUMENT);
}

void a_classifier_gives_the_same_bits_however_it_is_asked(ep_model* model) {
  const std::vector<std::string> texts = some_texts();
  const Classified alone = classified(model, texts, 1);
  CHECK(same(alone.vectors, embedded(model, texts, 1)));
  std::vector<const char*> places;
  std::vector<size_t> lengths;
  for (const std::string& text : texts) places.push_back(text.data()), lengths.push_back(text.size());
  std::vector<float> apart(alone.logits.size());
  for (int threads : {1, 2, 8}) {
    const Classified shared = classified(model, texts, threads);
    CHECK(same(alone.logits, shared.logits) && same(alone.vectors, shared.vectors));
    CHECK(ep_classify_texts(model, places.data(), lengths.data(), texts.size(), apart.data(), nullptr, EP_MODEL_LIMIT, threads) ==
          int64_t(texts.size()));
    CHECK(same(alone.logits, apart));
  }
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int i = 0; i < 8; i++) threads.emplace_back([&, i] { wrong += !same(alone.logits, classified(model, texts, 1 + i % 3).logits); });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

void probabilities_are_shares_and_labels_have_names(ep_model* model) {
  const size_t count = size_t(ep_label_count(model));
  std::vector<float> logits = classified(model, {"The cat."}, 1).logits, shares(count);
  int64_t label = -2;
  CHECK(ep_probabilities(model, logits.data(), 1, shares.data(), &label) == 1);
  for (float share : shares) CHECK(share >= 0 && share <= 1);
  CHECK(label == EP_NO_LABEL || (ep_label(model, int32_t(label)) && *ep_label(model, int32_t(label))));
  CHECK(ep_label(model, -1) == nullptr && ep_label(model, int32_t(count)) == nullptr);
}

void a_scan_gives_the_bits_of_whole_numbers() {
  constexpr size_t COUNT = 7;
  constexpr float QUERY_SCALE = 0.3f;
  uint64_t random = 88172645463325252;
  const auto next = [&random] { return random ^= random << 13, random ^= random >> 7, random ^= random << 17, random >> 40; };
  for (size_t width = 1; width < 300; width += width < 70 ? 1 : 29) {
    std::vector<int8_t> rows(COUNT * width);
    std::vector<int16_t> query(width);
    std::vector<float> scales(COUNT), scores(COUNT);
    for (int8_t& value : rows) value = int8_t(next() % 3 ? next() : 128);
    for (int16_t& value : query) value = int16_t(next() % 3 ? next() : 32768);
    for (float& scale : scales) scale = float(next()) / 1000;
    CHECK(ep_scan(rows.data(), COUNT, width, query.data(), scales.data(), QUERY_SCALE, scores.data()) == EP_OK);
    for (size_t r = 0; r < COUNT; r++) {
      int64_t sum = 0;
      for (size_t d = 0; d < width; d++) sum += int64_t(rows[r * width + d]) * query[d];
      const float scaled = float(sum) * scales[r], expected = scaled * QUERY_SCALE;
      CHECK(memcmp(&expected, &scores[r], sizeof expected) == 0);
    }
  }
  const std::vector<int16_t> large(513, -32768);
  CHECK(ep_scan(nullptr, 0, 511, large.data(), nullptr, 1, nullptr) == EP_OK);
  CHECK(ep_scan(nullptr, 0, 512, large.data(), nullptr, 1, nullptr) == EP_BAD_ARGUMENT && strstr(ep_last_error(), "int32"));
  CHECK(ep_scan(nullptr, 0, 0, large.data(), nullptr, 1, nullptr) == EP_BAD_ARGUMENT);
  CHECK(ep_scan(nullptr, 1, 1, large.data(), nullptr, 1, nullptr) == EP_BAD_ARGUMENT);
}

void nul_inside_a_text_is_left_out(ep_model* model) {
  if (ep_metadata(model, "nul") && strcmp(ep_metadata(model, "nul"), "drop")) return;  // here it is a character
  const char text[] = "ca\0t";
  const char* place = text;
  const size_t length = 4;
  std::vector<float> vector(size_t(ep_dim(model)));
  CHECK(ep_embed_texts(model, &place, &length, 1, vector.data(), EP_MODEL_LIMIT, 1) == 1);
  CHECK(same(vector, embedded(model, {"cat"}, 1)));
}

void ids_are_cut_where_the_model_cuts(ep_model* model) {
  std::string text;
  for (int i = 0; i < 3000; i++) text += "word ";
  std::vector<int32_t> ids(10, -1), all(20000, -1);
  CHECK(ep_token_ids(model, text.data(), text.size(), EP_MODEL_LIMIT, ids.data(), 4) == ep_max_tokens(model));
  CHECK(ep_token_ids(model, text.data(), text.size(), EP_NO_LIMIT, all.data(), all.size()) >= 3000);
  CHECK(ids[3] >= 0 && std::equal(ids.begin(), ids.begin() + 4, all.begin()) && ids[4] == -1);
  CHECK(ep_token_ids(model, "", 0, EP_MODEL_LIMIT, nullptr, 0) == 0);
}

void threads_may_share_a_handle(ep_model* model) {
  const std::vector<std::string> texts = some_texts();
  const std::vector<float> expected = embedded(model, texts, 1);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; i++)
    threads.emplace_back([&, i] {
      for (int turn = 0; turn < 3; turn++) wrong += !same(expected, embedded(model, texts, 1 + i % 4));
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

void a_call_is_stopped(ep_model* model) {
  std::string joined(64 << 20, 'x');
  for (size_t i = 5; i < joined.size(); i += 6) joined[i] = i % 60 == 5 ? '\0' : ' ';
  size_t count = 1;
  for (char letter : joined) count += letter == 0;
  std::vector<float> vectors(count * size_t(ep_dim(model)));
  for (int threads : {1, 3}) {
    std::atomic<bool> ended{false};
    int64_t answer = 0;
    std::thread work([&] {
      answer = ep_embed(model, joined.data(), joined.size(), vectors.data(), count, EP_MODEL_LIMIT, threads);
      ended = true;
    });
    while (!ended) ep_stop(model);
    work.join();
    CHECK(answer == EP_STOPPED || answer == int64_t(count));
  }
  CHECK(embedded(model, {"and on it goes"}, 1).size() > 0);
}

// Whatever is cut off or turned, the file opens or it does not, and what opens embeds.
void damaged_files_are_refused_or_run(const std::vector<uint8_t>& whole) {
  for (size_t size : {size_t(0), size_t(1), size_t(100), whole.size() / 2, whole.size() - 1}) {
    std::vector<uint8_t> part(whole.begin(), whole.begin() + long(size));
    part.push_back(0);
    ep_model* model = ep_open_memory(part.data(), size);
    CHECK(!model || size == whole.size() - 1);
    ep_close(model);
  }
  std::vector<uint8_t> turned = whole;
  uint64_t random = 88172645463325252;
  for (int turn = 0; turn < 300; turn++) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    const size_t at = turn < 150 ? random % whole.size() : whole.size() - 1 - random % 4096;
    turned[at] ^= uint8_t(1 << (random >> 60 & 7));
    if (ep_model* model = ep_open_memory(turned.data(), turned.size())) {
      std::vector<float> vectors(3 * size_t(ep_dim(model)));
      const char texts[] = "The naïve cat\0日本語 unbelievable\0\xff";
      ep_embed(model, texts, sizeof texts - 1, vectors.data(), 3, EP_MODEL_LIMIT, 1);
      std::vector<float> logits(3 * size_t(ep_label_count(model)));
      ep_classify(model, texts, sizeof texts - 1, logits.data(), nullptr, 3, EP_MODEL_LIMIT, 1);
      ep_close(model);
    }
    turned[at] = whole[at];
  }
}

}  // namespace

int main(int count, char** words) {
  if (count != 2) return fprintf(stderr, "test_engine MODEL.onnx\n"), 2;
  digests_are_those_of_the_standard();
  a_message_is_never_read_beyond_its_end();
  a_scan_gives_the_bits_of_whole_numbers();
  ep_model* model = ep_open(words[1]);
  if (!model) return fprintf(stderr, "%s\n", ep_last_error()), 1;
  bad_arguments_are_errors_with_a_sentence(model);
  joined_by_place_and_shared_texts_have_the_same_bits(model);
  nul_inside_a_text_is_left_out(model);
  ids_are_cut_where_the_model_cuts(model);
  threads_may_share_a_handle(model);
  a_call_is_stopped(model);
  if (ep_label_count(model)) {
    a_classifier_gives_the_same_bits_however_it_is_asked(model);
    probabilities_are_shares_and_labels_have_names(model);
  } else {
    what_is_no_classifier_says_so(model);
  }
  ep_close(model);
  damaged_files_are_refused_or_run(read(words[1]));
  printf("%s, %s kernels: %d failures\n", ep_version(), ep_kernels(), failures);
  return failures != 0;
}
