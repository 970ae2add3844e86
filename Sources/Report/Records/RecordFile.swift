import Foundation
public import Gauge

/// Why a file's records cannot be read, with what to do about it.
public enum RecordFileError: Error, Equatable, Sendable, CustomStringConvertible {
    case missing(path: String)
    case unreadable(path: String, detail: String)
    case folderWithoutRecords(path: String)
    case tooLarge(path: String, bytesMax: Int)
    case empty(path: String)
    case cutShort(path: String)
    case notJSON(path: String, detail: String)
    case noRecords(path: String)
    case schemaMissing(path: String, place: String)
    case otherSchema(path: String, found: String)
    case broken(path: String, place: String, detail: String)
    case notComparable(path: String, schema: String)

    private static let schemas =
        "\(RunRecord.schema), \(ComparisonRecord.schema), \(SweepRecord.schema), \(RateSearchRecord.schema) and \(InterferenceRecord.schema)"

    public var description: String {
        switch self {
        case .missing(let path): "there is no file or folder \(path): name one that `streamgauge run --json FILE` has written"
        case .unreadable(let path, let detail): "\(path) cannot be read: \(detail)"
        case .folderWithoutRecords(let path): "the folder \(path) has no file whose name ends in .json: put the records there, or name a file"
        case .tooLarge(let path, let bytesMax):
            "\(path) is larger than \(Units.format(bytes: bytesMax)), which no file of records needs: name another, or a part of it"
        case .empty(let path): "\(path) is empty: whatever wrote it did not come to its end; make it again"
        case .cutShort(let path): "\(path) ends in the middle of its JSON: whatever wrote or copied it did not come to its end; make it again"
        case .notJSON(let path, let detail): "\(path) is not JSON: \(detail) (records are written by --json FILE or --format json)"
        case .noRecords(let path): "\(path) is an empty list: there is no record in it"
        case .schemaMissing(let path, let place):
            "\(path) is not a file of records: \(place.isEmpty ? "it" : place) has no \"schema\"; \(Self.schemas) are read"
        case .otherSchema(let path, let found):
            "\(path) has schema \"\(found)\"; this program reads \(Self.schemas): take the program that wrote it, or measure again"
        case .broken(let path, let place, let detail): "\(path) is a broken record: \(place.isEmpty ? "" : "\"\(place)\": ")\(detail); measure again"
        case .notComparable(let path, let schema):
            "\(path) holds a record of schema \(schema); only \(RunRecord.schema) and \(ComparisonRecord.schema) can be held against each other: "
                + "look at it with `streamgauge report`"
        }
    }
}

/// The records of a file, which holds one or a list, or of a folder's files.
public struct RecordFile: Sendable {
    /// As the user named it.
    public let path: String
    public private(set) var runs: [RunRecord] = []
    public private(set) var comparisons: [ComparisonRecord] = []
    public private(set) var sweeps: [SweepRecord] = []
    public private(set) var rateSearches: [RateSearchRecord] = []
    public private(set) var interferences: [InterferenceRecord] = []

    /// Fifty thousand times a record without histograms, a hundred times what the canonical run writes.
    public static let bytesMaxDefault = 256 << 20

    /// - Parameters:
    ///   - path: of a file, or of a folder whose files ending in `.json` are read in the order of their names.
    ///   - bytesMax: of one file.
    public static func read(_ path: String, bytesMax: Int = bytesMaxDefault) throws(RecordFileError) -> RecordFile {
        guard FileManager.default.fileExists(atPath: path) else { throw .missing(path: path) }
        var records = RecordFile(path: path)
        // What has no contents to list is a file; if it is a folder that may not be listed, reading it as a file says so.
        guard let contents = try? FileManager.default.contentsOfDirectory(atPath: path) else {
            try records.add(path, bytesMax)
            return records
        }
        let names = contents.filter { $0.hasSuffix(".json") }.sorted()
        guard !names.isEmpty else { throw .folderWithoutRecords(path: path) }
        for name in names { try records.add(path.hasSuffix("/") ? path + name : path + "/" + name, bytesMax) }
        return records
    }

    private mutating func add(_ path: String, _ bytesMax: Int) throws(RecordFileError) {
        let data: Data
        do {
            // A pipe is as good as a file, so what it is does not say how long it is.
            data = try FileHandle(forReadingFrom: URL(fileURLWithPath: path)).read(upToCount: bytesMax + 1) ?? Data()
        } catch {
            throw .unreadable(path: path, detail: error.localizedDescription)
        }
        guard data.count <= bytesMax else { throw .tooLarge(path: path, bytesMax: bytesMax) }
        for record in try Self.decode(data, path) {
            switch record {
            case .run(let run): runs.append(run)
            case .comparison(let comparison): comparisons.append(comparison)
            case .sweep(let sweep): sweeps.append(sweep)
            case .rateSearch(let search): rateSearches.append(search)
            case .interference(let interference): interferences.append(interference)
            }
        }
    }

    /// Refuses what a diff has no rule for, so that it is not passed over in silence.
    ///
    /// - Throws: ``RecordFileError/notComparable(path:schema:)`` when there is anything but runs and comparisons.
    public func requireComparable() throws(RecordFileError) {
        let found = sweeps.first?.schema ?? rateSearches.first?.schema ?? interferences.first?.schema
        if let found { throw .notComparable(path: path, schema: found) }
    }

    static func decode(_ data: Data, _ path: String) throws(RecordFileError) -> [StoredRecord] {
        guard let last = data.last(where: { !" \n\r\t".utf8.contains($0) }) else { throw .empty(path: path) }
        do {
            let records = try JSONDecoder().decode(StoredRecords.self, from: data).records
            if records.isEmpty { throw RecordFileError.noRecords(path: path) }
            return records
        } catch let error as RecordFileError {
            throw error
        } catch let error as SchemaError {
            throw error.found.map { .otherSchema(path: path, found: $0) } ?? .schemaMissing(path: path, place: error.place)
        } catch let error as DecodingError {
            let opensAsRecords = data.first { !" \n\r\t".utf8.contains($0) }.map { "{[".utf8.contains($0) } ?? false
            if case .dataCorrupted(let context) = error, context.codingPath.isEmpty {
                if opensAsRecords, !"}]".utf8.contains(last) { throw .cutShort(path: path) }
                throw .notJSON(path: path, detail: context.debugDescription)
            }
            throw Self.broken(error, path)
        } catch {
            throw .broken(path: path, place: "", detail: "\(error)")
        }
    }

    private static func broken(_ error: DecodingError, _ path: String) -> RecordFileError {
        switch error {
        case .keyNotFound(let key, let context): .broken(path: path, place: place(context.codingPath + [key]), detail: "the key is missing")
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            .broken(path: path, place: place(context.codingPath), detail: context.debugDescription)
        @unknown default: .broken(path: path, place: "", detail: "\(error)")
        }
    }
}

enum StoredRecord {
    case run(RunRecord)
    case comparison(ComparisonRecord)
    case sweep(SweepRecord)
    case rateSearch(RateSearchRecord)
    case interference(InterferenceRecord)
}

private struct SchemaError: Error {
    let found: String?
    let place: String
}

private func place(_ keys: [any CodingKey]) -> String {
    keys.map { key in key.intValue.map { "[\($0)]" } ?? key.stringValue }.joined(separator: ".")
}

/// One record, or a list of them.
private struct StoredRecords: Decodable {
    private struct Element: Decodable {
        let record: StoredRecord

        private enum CodingKeys: String, CodingKey { case schema }

        init(from decoder: any Decoder) throws {
            let schema = try? decoder.container(keyedBy: CodingKeys.self).decodeIfPresent(String.self, forKey: .schema)
            switch schema {
            case RunRecord.schema: record = .run(try RunRecord(from: decoder))
            case ComparisonRecord.schema: record = .comparison(try ComparisonRecord(from: decoder))
            case SweepRecord.schema: record = .sweep(try SweepRecord(from: decoder))
            case RateSearchRecord.schema: record = .rateSearch(try RateSearchRecord(from: decoder))
            case InterferenceRecord.schema: record = .interference(try InterferenceRecord(from: decoder))
            default: throw SchemaError(found: schema, place: place(decoder.codingPath))
            }
        }
    }

    let records: [StoredRecord]

    init(from decoder: any Decoder) throws {
        guard var list = try? decoder.unkeyedContainer() else {
            records = [try Element(from: decoder).record]
            return
        }
        var records: [StoredRecord] = []
        while !list.isAtEnd { records.append(try list.decode(Element.self).record) }
        self.records = records
    }
}
