// Texts to vectors on iOS and macOS by the text graph in ONNX Runtime. Not run by us: no Apple device or Xcode here.
// Swift package: https://github.com/microsoft/onnxruntime-swift-package-manager, 1.20.0 or later.
// Add onnx/text_quantized.onnx of a bundle to the app's resources, and call checkDevice once on a new device.
import Foundation
import OnnxRuntimeBindings

public final class EdgePotion {
    private let environment: ORTEnv
    private let session: ORTSession

    public init(modelPath: String) throws {
        environment = try ORTEnv(loggingLevel: .warning)
        session = try ORTSession(env: environment, modelPath: modelPath, sessionOptions: nil)
    }

    /// One unit vector a text; a text without a known word gives zeros.
    public func embed(_ texts: [String]) throws -> [[Float]] {
        if texts.isEmpty { return [] }
        // NUL stands between texts, and never in one.
        let joined = texts.map { $0.replacingOccurrences(of: "\0", with: "") }.joined(separator: "\0")
        let bytes = NSMutableData(data: Data(joined.utf8))
        let text = try ORTValue(tensorData: bytes, elementType: .uInt8, shape: [NSNumber(value: bytes.length)])
        let outputs = try session.run(withInputs: ["text": text], outputNames: ["sentence_embedding"], runOptions: nil)
        let values = try outputs["sentence_embedding"]!.tensorData() as Data
        let all = values.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
        let width = all.count / texts.count
        return (0..<texts.count).map { Array(all[($0 * width)..<(($0 + 1) * width)]) }
    }
}
