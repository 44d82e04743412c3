// Does this device compute what the model's makers computed? Not run by us: no Apple device or Xcode here.
// For both ways: try checkDevice(goldenJson: json) { try model.embed($0) }
import Foundation

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
public func checkDevice(goldenJson: Data, embed: ([String]) throws -> [[Float]]) throws -> Bool {
    let golden = try JSONDecoder().decode(Golden.self, from: goldenJson)
    guard let bounds = golden.tolerance["int8"], let least = bounds["cosine"], let leastShort = bounds["short_cosine"]
    else { return false }
    // NUL parts texts: every check leaves out those that hold one, as older files do.
    let places = golden.texts.indices.filter { !golden.texts[$0].unicodeScalars.contains("\0") }
    let found = try embed(places.map { golden.texts[$0] })
    return places.indices.allSatisfy { row in
        let tokens = golden.known_tokens[places[row]]
        if tokens == 0 { return found[row].allSatisfy { $0 == 0 } }
        let length = cosine(found[row], found[row]).squareRoot()
        return cosine(found[row], golden.vectors[places[row]]) >= (tokens < golden.short_text ? leastShort : least)
            && abs(length - 1) <= (golden.unit_length ?? 1e-3)
    }
}
