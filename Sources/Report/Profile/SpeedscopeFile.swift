import Foundation

/// Stacks in speedscope's file format (https://www.speedscope.app/file-format-schema.json): one sampled profile a side.
public enum SpeedscopeFile {
    private struct File: Encodable {
        let schema = "https://www.speedscope.app/file-format-schema.json"
        let shared: Shared
        let profiles: [Profile]
        let name: String
        let activeProfileIndex = 0
        let exporter = "streamgauge"

        enum CodingKeys: String, CodingKey {
            case schema = "$schema"
            case shared, profiles, name, activeProfileIndex, exporter
        }
    }

    private struct Shared: Encodable { let frames: [Frame] }

    private struct Frame: Encodable {
        let name: String
        let file: String?
    }

    private struct Profile: Encodable {
        let type = "sampled"
        let name: String
        let unit: String
        let startValue = 0
        let endValue: Double
        let samples: [[Int]]
        let weights: [Double]
    }

    /// - Parameters:
    ///   - name: of the whole.
    ///   - sides: each with a name. Stacks are in order of their names, since it is the whole that is kept and not the times.
    ///   - unit: `none`, `nanoseconds`, `microseconds`, ...
    public static func encode(name: String, _ sides: [(name: String, stacks: FoldedStacks)], unit: String = "none") throws -> [UInt8] {
        var numbers: [String: Int] = [:]
        var frames: [Frame] = []
        let profiles = sides.map { side in
            var entries: [(stack: [String], weight: UInt64)] = []
            side.stacks.forEach { entries.append(($0, $1)) }
            entries.sort { $0.stack.lexicographicallyPrecedes($1.stack) }
            let samples = entries.map { entry in
                entry.stack.map { frame in
                    if let known = numbers[frame] { return known }
                    numbers[frame] = frames.count
                    frames.append(Self.frame(frame))
                    return frames.count - 1
                }
            }
            return Profile(
                name: side.name, unit: unit, endValue: Double(side.stacks.total), samples: samples, weights: entries.map { Double($0.weight) })
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(File(shared: Shared(frames: frames), profiles: profiles, name: name)))
    }

    private static func frame(_ name: String) -> Frame {
        if name.hasSuffix("_[k]") { return Frame(name: String(name.dropLast(4)), file: "kernel") }
        guard let tick = name.firstIndex(of: "`") else { return Frame(name: name, file: nil) }
        return Frame(name: String(name[name.index(after: tick)...]), file: String(name[..<tick]))
    }
}
