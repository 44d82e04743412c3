// Texts to vectors on iOS and macOS by the native engine. Not run by us: no Apple device or Xcode here.
// Add native/src/*.cpp to the target, and onnx/text_quantized.onnx of a bundle to its resources; README.md has the settings.
import CEdgePotion

public struct EngineError: Error {
    public let reason: String
}

/// Any number of threads may embed at once: the engine takes care of that itself.
public final class Engine: @unchecked Sendable {
    private let model: OpaquePointer
    public let dim: Int

    /// The file is mapped, and must not change while the engine lives.
    public init(modelPath: String) throws {
        guard let model = ep_open(modelPath) else { throw EngineError(reason: String(cString: ep_last_error())) }
        self.model = model
        dim = Int(ep_dim(model))
    }

    deinit { ep_close(model) }

    /// One unit vector a text; a text without a known word gives zeros.
    public func embed(_ texts: [String]) throws -> [[Float]] {
        if texts.isEmpty { return [] }
        // NUL stands between texts, and never in one.
        let joined = texts.map { $0.filter { $0 != "\0" } }.joined(separator: "\0").utf8CString
        var vectors = [Float](repeating: 0, count: texts.count * dim)
        let done = joined.withUnsafeBufferPointer { bytes in  // the last of them is a NUL of Swift's own
            ep_embed(model, bytes.baseAddress, bytes.count - 1, &vectors, texts.count, Int32(EP_MODEL_LIMIT), 1)
        }
        if done < 0 { throw EngineError(reason: String(cString: ep_last_error())) }
        return (0..<texts.count).map { Array(vectors[($0 * dim)..<(($0 + 1) * dim)]) }
    }
}
