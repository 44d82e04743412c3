// Texts to vectors on iOS and macOS by the text graph: bytes in, [Float] out. Not run by us: no Apple device or Xcode here.
// Swift package: https://github.com/microsoft/onnxruntime-swift-package-manager, 1.20.0 or later.
// Add onnx/text_quantized.onnx of a bundle to the app's resources, and run checkDevice once on a new device.
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

/// Of two unit vectors: 1 is the same direction.
public func cosine(_ a: [Float], _ b: [Float]) -> Float {
    zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
}

/// What golden.json of a bundle holds.
public struct Golden: Decodable {
    let texts: [String]
    let known_tokens: [Int]
    let vectors: [[Float]]
    let short_text: Int
    let tolerance: [String: [String: Float]]
    let unit_length: Float?
}

/// Whether this device computes what golden.json says: directions, and unit length.
public func checkDevice(_ model: EdgePotion, goldenJson: Data) throws -> Bool {
    let golden = try JSONDecoder().decode(Golden.self, from: goldenJson)
    guard let bounds = golden.tolerance["int8"], let least = bounds["cosine"], let leastShort = bounds["short_cosine"]
    else { return false }
    // NUL parts texts: every check leaves out those that hold one, as older files do.
    let places = golden.texts.indices.filter { !golden.texts[$0].unicodeScalars.contains("\0") }
    let found = try model.embed(places.map { golden.texts[$0] })
    return places.indices.allSatisfy { row in
        let tokens = golden.known_tokens[places[row]]
        if tokens == 0 { return found[row].allSatisfy { $0 == 0 } }
        let length = cosine(found[row], found[row]).squareRoot()
        return cosine(found[row], golden.vectors[places[row]]) >= (tokens < golden.short_text ? leastShort : least)
            && abs(length - 1) <= (golden.unit_length ?? 1e-3)
    }
}
