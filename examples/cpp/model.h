// A text graph, .onnx or .ort, in ONNX Runtime: UTF-8 texts joined by NUL -> one vector a text.
#pragma once
#include <onnxruntime_cxx_api.h>

#include <filesystem>
#include <string>
#include <vector>

struct Vectors {
  std::vector<float> values;  // (texts, dim), one row after another
  size_t texts, dim;

  const float* row(size_t at) const { return values.data() + at * dim; }
};

class Model {
 public:
  explicit Model(const std::string& file)
      : environment_(ORT_LOGGING_LEVEL_ERROR),
        session_(environment_, std::filesystem::path(file).c_str(), on_one_thread()) {}  // short texts gain by no more

  Vectors embed(std::string joined) {
    const int64_t bytes = int64_t(joined.size());
    const Ort::Value text = Ort::Value::CreateTensor(
        Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault), reinterpret_cast<uint8_t*>(joined.data()),
        joined.size(), &bytes, 1);
    const char *input = "text", *output = "sentence_embedding";
    const std::vector<Ort::Value> found = session_.Run(Ort::RunOptions{nullptr}, &input, &text, 1, &output, 1);
    const std::vector<int64_t> shape = found[0].GetTensorTypeAndShapeInfo().GetShape();
    const float* values = found[0].GetTensorData<float>();
    return {{values, values + shape[0] * shape[1]}, size_t(shape[0]), size_t(shape[1])};
  }

  // "int8", "float16" or "float32", as the file says.
  std::string precision() const {
    Ort::AllocatorWithDefaultOptions allocator;
    const auto word = session_.GetModelMetadata().LookupCustomMetadataMapAllocated("precision", allocator);
    return word ? word.get() : "";
  }

 private:
  static Ort::SessionOptions on_one_thread() {
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);
    return options;
  }

  Ort::Env environment_;
  Ort::Session session_;
};
