public import Gauge

/// Several runs side by side: a row each, with its ratio to the same transport without a multiplexer, and the two headline numbers.
///
/// A run that is INVALID has no figures here, only its reasons.
public enum CanonicalReport {
    public static func text(_ records: [RunRecord], width: Int = 80) -> String {
        var lines: [String] = []
        if let first = records.first { lines += first.environment.machineLine.wrappedList(to: width) + [""] }
        lines += headlines(records).flatMap { $0.wrapped(to: width, indent: 2) }
        lines.append("")
        lines += table(records).lines(width: width)
        if let count = records.first?.repeats.count, count > 1, records.allSatisfy({ $0.repeats.count == count }) {
            lines += ["", "Each row is the median of \(count) repeats."]
        }
        for record in records where !record.valid {
            lines.append("")
            lines += "INVALID: \(Shape.describe(record.setup))".wrapped(to: width, indent: 2)
            for reason in record.figures.invalidReasons { lines += "- \(reason)".wrapped(to: width - 2, indent: 2).map { "  " + $0 } }
        }
        if let build = records.first?.environment.buildConfiguration, build != "release" {
            lines += ["", "This is a \(build) build: its speed means nothing."]
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private static func table(_ records: [RunRecord]) -> TextTable {
        var table = TextTable([
            TextTable.Column("subject", .left), TextTable.Column("workload", .left), TextTable.Column("goodput"),
            TextTable.Column("messages"), TextTable.Column("p50", importance: 4), TextTable.Column("p99", importance: 5),
            TextTable.Column("CPU/GiB", importance: 3), TextTable.Column("calls/MiB", importance: 2), TextTable.Column("Jain", importance: 1),
            TextTable.Column("of raw"),
        ])
        for record in records {
            let figures = record.figures
            let name = [record.setup.subject, Shape.short(record.setup)]
            guard record.valid else {
                table.add(name + ["INVALID"])
                continue
            }
            table.add(
                name + [
                    cell(figures.goodputBytesPerSecond) { Units.format(bytesPerSecond: $0) },
                    cell(figures.messagesPerSecond) { Units.format(perSecond: $0) },
                    cell(figures.latency) { Units.format(nanoseconds: $0.p50) }, cell(figures.latency) { Units.format(nanoseconds: $0.p99) },
                    cell(bothSides(figures.cpuSecondsPerGiB)) { Units.format(seconds: $0) },
                    cell(bothSides(figures.syscallsPerMiB), Units.significant), cell(figures.jainFairness) { Units.fixed($0, places: 3) },
                    ratioToRaw(record, among: records).map { Units.fixed($0, places: 2) } ?? "-",
                ])
        }
        return table
    }

    private static func cell<Value>(_ figure: Measured<Value>, _ describe: (Value) -> String) -> String {
        figure.value.map(describe) ?? "-"
    }

    private static func bothSides(_ figure: BothSides<Measured<Double>>) -> Measured<Double> {
        figure.client.combined(with: figure.server, +)
    }

    /// The run of the same workload over the bare transport that `record` is held against. Streams are held against as many bare connections;
    /// but where throughput is measured, against as many as `record` has connections if there is such a run, because that is what the bytes of
    /// its streams went through. nil for a bare transport itself.
    static func raw(for record: RunRecord, among records: [RunRecord]) -> RunRecord? {
        guard let transport = record.setup.subject.split(separator: "+").first.map(String.init), transport != record.setup.subject else {
            return nil
        }
        let alike = records.filter { other in
            other.setup.subject == transport && other.valid && other.setup.workload == record.setup.workload
                && other.setup.direction == record.setup.direction && other.setup.messageSizeBytes == record.setup.messageSizeBytes
        }
        func flows(_ setup: RunSetup) -> Int { setup.connections * setup.streams }
        let onItsConnections = record.setup.headlineMetric == .goodput
            ? alike.first { flows($0.setup) == record.setup.connections } : nil
        return onItsConnections ?? alike.first { flows($0.setup) == flows(record.setup) }
    }

    private static func ratioToRaw(_ record: RunRecord, among records: [RunRecord]) -> Double? {
        let metric = record.setup.headlineMetric
        guard metric != .bytesPerStream, let own = record.figures.headline(metric),
            let base = raw(for: record, among: records)?.figures.headline(metric), base > 0
        else { return nil }
        return own / base
    }

    /// The two numbers that the canonical run is made for.
    private static func headlines(_ records: [RunRecord]) -> [String] {
        [throughput(records), requests(records)]
    }

    private static func throughput(_ records: [RunRecord]) -> String {
        let bulk = records.filter { $0.setup.subject == "tcp+yamux" && $0.setup.workload == "bulk" }
        guard let record = bulk.max(by: { $0.setup.connections * $0.setup.streams < $1.setup.connections * $1.setup.streams }) else {
            return "1. Throughput: not available: no run of tcp+yamux, bulk"
        }
        let streams = "\(Units.format(count: record.setup.connections)) x \(Units.format(count: record.setup.streams)) streams"
        guard record.valid else { return "1. Throughput of yamux over \(streams): INVALID" }
        guard let raw = raw(for: record, among: records), let own = record.figures.goodputBytesPerSecond.value,
            let base = raw.figures.goodputBytesPerSecond.value, base > 0
        else { return "1. Throughput of yamux over \(streams): not available: no valid run of raw tcp to compare with" }
        return "1. yamux over \(streams) carries \(Units.fixed(own / base, places: 2)) of raw TCP: "
            + "\(Units.format(bytesPerSecond: own)) of \(Units.format(bytesPerSecond: base))"
    }

    private static func requests(_ records: [RunRecord]) -> String {
        let requests = records.filter { $0.setup.subject == "tcp+yamux" && $0.setup.workload == "request" && $0.setup.connections == 1 }
        guard let record = requests.max(by: { $0.setup.streams < $1.setup.streams }) else {
            return "2. Requests: not available: no run of tcp+yamux, request, on one connection"
        }
        let shape = "\(Units.format(count: record.setup.streams)) streams of one connection"
        guard record.valid else { return "2. Requests on \(shape): INVALID" }
        guard let rate = record.figures.messagesPerSecond.value else {
            return "2. Requests on \(shape): not available: \(record.figures.messagesPerSecond.reason ?? "")"
        }
        return "2. \(Units.format(count: Int(rate.rounded()))) requests/s of \(Units.exact(bytes: record.setup.messageSizeBytes)) on \(shape)"
    }
}
