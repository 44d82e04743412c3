// Texts to vectors and labels on iOS and macOS by the native engine. Not run by us: no Apple device or Xcode here.
// Add native/src/*.cpp to the target, and onnx/text_quantized.onnx of a bundle to its resources; README.md has the settings.
import CEdgePotion

public struct EngineError: Error {
    public let reason: String
}

/// Any number of threads may embed at once: the engine takes care of that itself.
public final class Engine: @unchecked Sendable {
    private let model: OpaquePointer
    public let dim: Int
    /// The names of a classifier's labels; empty where the model is none.
    public let labels: [String]

    /// The file is mapped, and must not change while the engine lives.
    public init(modelPath: String) throws {
        guard let model = ep_open(modelPath) else { throw EngineError(reason: String(cString: ep_last_error())) }
        self.model = model
        dim = Int(ep_dim(model))
        labels = (0..<ep_label_count(model)).map { String(cString: ep_label(model, $0)) }
    }

    deinit { ep_close(model) }

    /// One unit vector a text; a text without a known word gives zeros.
    public func embed(_ texts: [String]) throws -> [[Float]] {
        if texts.isEmpty { return [] }
        let joined = Engine.joined(texts)
        var vectors = [Float](repeating: 0, count: texts.count * dim)
        let done = joined.withUnsafeBufferPointer { bytes in  // the last of them is a NUL of Swift's own
            ep_embed(model, bytes.baseAddress, bytes.count - 1, &vectors, texts.count, Int32(EP_MODEL_LIMIT), 1)
        }
        if done < 0 { throw EngineError(reason: String(cString: ep_last_error())) }
        return (0..<texts.count).map { Array(vectors[($0 * dim)..<(($0 + 1) * dim)]) }
    }

    /// What a classifier says of a text: its label, nil for none of these, and the probability of each of `labels`.
    public struct Decision {
        public let label: String?
        public let probabilities: [Float]
    }

    public func classify(_ texts: [String]) throws -> [Decision] {
        if texts.isEmpty { return [] }
        let joined = Engine.joined(texts), width = labels.count
        var shares = [Float](repeating: 0, count: texts.count * width)  // logits, and then probabilities in their place
        var chosen = [Int64](repeating: 0, count: texts.count)
        let done = joined.withUnsafeBufferPointer { bytes in
            shares.withUnsafeMutableBufferPointer { rows in
                let count = ep_classify(
                    model, bytes.baseAddress, bytes.count - 1, rows.baseAddress, nil, texts.count, Int32(EP_MODEL_LIMIT), 1)
                return count < 0 ? count : ep_probabilities(model, rows.baseAddress, texts.count, rows.baseAddress, &chosen)
            }
        }
        if done < 0 { throw EngineError(reason: String(cString: ep_last_error())) }
        return (0..<texts.count).map {
            Decision(
                label: chosen[$0] < 0 ? nil : labels[Int(chosen[$0])],
                probabilities: Array(shares[($0 * width)..<(($0 + 1) * width)]))
        }
    }

    /// NUL stands between texts, and never in one.
    private static func joined(_ texts: [String]) -> ContiguousArray<CChar> {
        texts.map { $0.filter { $0 != "\0" } }.joined(separator: "\0").utf8CString
    }
}
