// The C interface: handles, texts by place or joined, errors as sentences.
#include "edge_potion.h"

#include <atomic>
#include <cerrno>
#include <cmath>
#include <new>

#include "kernels.h"
#include "mapping.h"
#include "work.h"

#define EP_STRING_(x) #x
#define EP_STRING(x) EP_STRING_(x)
#ifndef EP_VERSION
#define EP_VERSION 0.0.0
#endif

using namespace ep;

struct ep_model {
  Mapping mapping;
  Model model;
  Workers workers;
};

namespace {

thread_local char last_error[512] = "";
thread_local int32_t last_status = EP_OK;

int64_t fail(ep_status status, const char* sentence) {
  join_words(last_error, sizeof last_error, sentence);
  last_status = status;
  return status;
}

ep_model* opened(ep_model* model, Span file) {
  const int status = read_model(file, model->model, last_error, sizeof last_error);
  if (status == EP_OK) return model;
  last_status = status;
  delete model;
  return nullptr;
}

int64_t done(Outcome outcome, size_t count) {
  switch (outcome) {
    case Outcome::done: return int64_t(count);
    case Outcome::stopped: return fail(EP_STOPPED, "the work was stopped");
    case Outcome::not_finite: return fail(EP_DAMAGED, "the file is damaged: its table gives NaN or inf");
    case Outcome::bad_id: return fail(EP_BAD_ARGUMENT, "an id is none of the model's tokens");
    case Outcome::too_many: return fail(EP_BAD_ARGUMENT, "there are more texts than there is room for vectors");
    default: return fail(EP_OUT_OF_MEMORY, "there is not enough memory to embed these texts");
  }
}

int64_t fail_without_head() { return fail(EP_BAD_ARGUMENT, "the model is no classifier: its file holds no head"); }

// Tokens to cut at, -1 for never; -2 for what is none.
int64_t limit_of(const ep_model* model, int32_t max_tokens) {
  if (max_tokens == EP_MODEL_LIMIT) return model->model.max_tokens;
  return max_tokens >= EP_NO_LIMIT ? max_tokens : -2;
}
int64_t limit_of_classifier(const ep_model* model, int32_t max_tokens) {
  const int64_t limit = limit_of(model, max_tokens);
  return limit == -1 || limit > MOST_TOKENS ? MOST_TOKENS : limit;
}

}  // namespace

const char* ep_version(void) { return EP_STRING(EP_VERSION); }
const char* ep_kernels(void) { return kernels().name; }
const char* ep_last_error(void) { return last_error; }
int32_t ep_last_status(void) { return last_status; }

ep_model* ep_open(const char* path) {
  if (!path) return fail(EP_BAD_ARGUMENT, "the path is NULL"), nullptr;
  ep_model* model = new (std::nothrow) ep_model;
  if (!model) return fail(EP_OUT_OF_MEMORY, "there is not enough memory to open the model"), nullptr;
  errno = 0;
  if (!model->mapping.open(path)) {
    char names[400];
    join_words(names, sizeof names, path, " cannot be read: ");
    last_status = EP_CANNOT_READ;
    join_words(last_error, sizeof last_error, names, errno ? strerror(errno) : "it is no file, or empty");
    delete model;
    return nullptr;
  }
  return opened(model, model->mapping.bytes());
}

ep_model* ep_open_memory(const void* data, size_t size) {
  if (!data) return fail(EP_BAD_ARGUMENT, "the data is NULL"), nullptr;
  ep_model* model = new (std::nothrow) ep_model;
  if (!model) return fail(EP_OUT_OF_MEMORY, "there is not enough memory to open the model"), nullptr;
  return opened(model, {static_cast<const uint8_t*>(data), size});
}

void ep_close(ep_model* model) { delete model; }

int32_t ep_dim(const ep_model* model) { return model ? model->model.dim : 0; }
int32_t ep_max_tokens(const ep_model* model) { return model ? model->model.max_tokens : 0; }
int32_t ep_vocabulary_size(const ep_model* model) { return model ? model->model.vocabulary : 0; }

const char* ep_precision(const ep_model* model) {
  if (!model) return "";
  switch (model->model.precision) {
    case Precision::int8: return "int8";
    case Precision::float16: return "float16";
    default: return "float32";
  }
}

const char* ep_metadata(const ep_model* model, const char* key) {
  return model && key ? reinterpret_cast<const char*>(model->model.metadata_of(key).data) : nullptr;
}

int64_t ep_embed(ep_model* model, const char* joined, size_t bytes, float* vectors, size_t most, int32_t max_tokens,
                 int32_t threads) {
  if (!model || (!joined && bytes) || (!vectors && most)) return fail(EP_BAD_ARGUMENT, "an argument is NULL");
  const int64_t limit = limit_of(model, max_tokens);
  if (limit < -1) return fail(EP_BAD_ARGUMENT, "max_tokens is below -1");
  size_t count;
  const Joined texts{reinterpret_cast<const uint8_t*>(joined), bytes};
  const Outcome outcome = model->workers.answer(model->model, texts, {vectors, nullptr}, most, limit, threads, count);
  return done(outcome, count);
}

int64_t ep_embed_texts(ep_model* model, const char* const* texts, const size_t* lengths, size_t count, float* vectors,
                       int32_t max_tokens, int32_t threads) {
  if (!model || (count && (!texts || !lengths || !vectors))) return fail(EP_BAD_ARGUMENT, "an argument is NULL");
  const int64_t limit = limit_of(model, max_tokens);
  if (limit < -1) return fail(EP_BAD_ARGUMENT, "max_tokens is below -1");
  for (size_t i = 0; i < count; i++)
    if (!texts[i] && lengths[i]) return fail(EP_BAD_ARGUMENT, "a text is NULL");
  return done(model->workers.answer(model->model, texts, lengths, count, {vectors, nullptr}, limit, threads), count);
}

int64_t ep_embed_ids(ep_model* model, const int32_t* ids, const size_t* lengths, size_t count, float* vectors,
                     int32_t threads) {
  if (!model || (count && (!lengths || !vectors))) return fail(EP_BAD_ARGUMENT, "an argument is NULL");
  for (size_t i = 0; !ids && i < count; i++)
    if (lengths[i]) return fail(EP_BAD_ARGUMENT, "an argument is NULL");
  return done(model->workers.embed_ids(model->model, ids, lengths, count, vectors, threads), count);
}

int64_t ep_token_ids(ep_model* model, const char* text, size_t bytes, int32_t max_tokens, int32_t* ids, size_t most) {
  if (!model || (!text && bytes) || (!ids && most)) return fail(EP_BAD_ARGUMENT, "an argument is NULL");
  const int64_t limit = limit_of(model, max_tokens);
  if (limit < -1) return fail(EP_BAD_ARGUMENT, "max_tokens is below -1");
  const uint8_t* data = reinterpret_cast<const uint8_t*>(text);
  size_t count;
  const Outcome outcome = model->workers.token_ids(model->model, {data, bytes, data + bytes}, limit, ids, most, count);
  return done(outcome, count);
}

int32_t ep_label_count(const ep_model* model) { return model ? model->model.head.labels : 0; }

const char* ep_label(const ep_model* model, int32_t label) {
  if (!model || label < 0 || label >= model->model.head.labels) return nullptr;
  return model->model.head.names.data() + model->model.head.begins[size_t(label)];
}

int64_t ep_classify(ep_model* model, const char* joined, size_t bytes, float* logits, float* vectors, size_t most,
                    int32_t max_tokens, int32_t threads) {
  if (!model || (!joined && bytes) || (!logits && most)) return fail(EP_BAD_ARGUMENT, "an argument is NULL");
  if (!model->model.head.labels) return fail_without_head();
  const int64_t limit = limit_of_classifier(model, max_tokens);
  if (limit < -1) return fail(EP_BAD_ARGUMENT, "max_tokens is below -1");
  size_t count;
  const Joined texts{reinterpret_cast<const uint8_t*>(joined), bytes};
  const Outcome outcome = model->workers.answer(model->model, texts, {vectors, logits}, most, limit, threads, count);
  return done(outcome, count);
}

int64_t ep_classify_texts(ep_model* model, const char* const* texts, const size_t* lengths, size_t count, float* logits,
                          float* vectors, int32_t max_tokens, int32_t threads) {
  if (!model || (count && (!texts || !lengths || !logits))) return fail(EP_BAD_ARGUMENT, "an argument is NULL");
  if (!model->model.head.labels) return fail_without_head();
  const int64_t limit = limit_of_classifier(model, max_tokens);
  if (limit < -1) return fail(EP_BAD_ARGUMENT, "max_tokens is below -1");
  for (size_t i = 0; i < count; i++)
    if (!texts[i] && lengths[i]) return fail(EP_BAD_ARGUMENT, "a text is NULL");
  return done(model->workers.answer(model->model, texts, lengths, count, {vectors, logits}, limit, threads), count);
}

int64_t ep_probabilities(const ep_model* model, const float* logits, size_t count, float* probabilities, int64_t* labels) {
  if (!model || (count && !logits)) return fail(EP_BAD_ARGUMENT, "an argument is NULL");
  const Head& head = model->model.head;
  if (!head.labels) return fail_without_head();
  const size_t width = size_t(head.labels);
  double shares[MOST_LABELS];
  for (size_t i = 0; i < count; i++, logits += width) {
    size_t best = 0;
    for (size_t c = 1; c < width; c++)
      if (logits[c] > logits[best]) best = c;
    double sum = 0;
    for (size_t c = 0; c < width; c++) sum += shares[c] = exp(double(logits[c]) - logits[best]);
    for (size_t c = 0; c < width; c++) shares[c] = head.multi_label ? 1 / (1 + exp(-double(logits[c]))) : shares[c] / sum;
    if (labels) labels[i] = float(shares[best]) >= head.threshold ? int64_t(best) : int64_t(EP_NO_LABEL);
    for (size_t c = 0; probabilities && c < width; c++) *probabilities++ = float(shares[c]);
  }
  return int64_t(count);
}

int32_t ep_scan(const int8_t* rows, size_t count, size_t width, const int16_t* query, const float* scales, float query_scale,
                float* scores) {
  if (!query || (count && (!rows || !scales || !scores))) return int32_t(fail(EP_BAD_ARGUMENT, "an argument is NULL"));
  if (!width) return int32_t(fail(EP_BAD_ARGUMENT, "the width is 0"));
  constexpr int32_t MOST = INT32_MAX / 128;  // a value of a row is -128 at the farthest
  int32_t sum = 0;
  for (size_t d = 0; d < width && sum <= MOST; d++) sum += abs(int32_t(load<int16_t>(query, d)));
  if (sum > MOST) return int32_t(fail(EP_BAD_ARGUMENT, "the query's values are so large that their sums may not fit int32"));
  kernels().scan(rows, count, width, query, scales, query_scale, scores);
  return EP_OK;
}

void ep_stop(ep_model* model) {
  if (model) model->workers.stop();
}
